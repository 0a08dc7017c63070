"""`dailies bench memory`: the resident memory of every role over many short assets, and over one that is hours long."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import plotille
import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.pipeline import LIGHT, Disagreement
from processors.source import to_uri
from schemas.events import ContentMetadata
from streams.client import Follower, Upload, publish
from streams.secure import Bootstrap

MIB = 1 << 20
SAMPLE_SECONDS = 1.0
IN_FLIGHT = 16
"""Short assets that are under way at once."""
WARM_UP = 0.1
"""The share of the run, by progress, after which memory must be flat: of 500 assets 50, of three hours 18 minutes."""
WINDOW = 0.1
"""The share of the run that a level is the median of."""
GOAL = 0.10


@dataclass(slots=True)
class Curve:
    """Resident bytes of one role's processes, its children included, by progress from 0 to 1."""

    progress: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    def level(self, begin: float) -> float:
        """The median from some progress on, over a window."""
        found = [r for p, r in zip(self.progress, self.resident, strict=True) if begin <= p <= begin + WINDOW]
        return statistics.median(found) if found else float("nan")

    @property
    def growth(self) -> float:
        """From the end of the warm-up to the end, as a share."""
        return self.level(1 - WINDOW) / self.level(WARM_UP) - 1


class Sampler:
    """Notes each process's resident memory once a second, on a thread of its own."""

    def __init__(self, pids: dict[str, int], progress: Callable[[], float]) -> None:
        self.curves = {name: Curve() for name in pids}
        self._pids, self._progress = pids, progress
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            at = self._progress()
            for name, pid in self._pids.items():
                self.curves[name].progress.append(at)
                self.curves[name].resident.append(resident(pid))

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()


def resident(pid: int) -> int:
    """Resident bytes of a process and everything below it."""
    total = 0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def many(
    folder: Path, clips: Sequence[Path], bootstrap: Bootstrap, pids: dict[str, int], *, assets: int, console: Console
) -> None:
    """Send copies of some clips through the stack, and print each role's memory. Raises ``Disagreement``."""
    waiting = list(range(assets))
    under_way: dict[str, tuple[Upload, Path]] = {}
    finals: dict[int, set[bytes]] = {}
    done = 0
    sampler = Sampler(pids, lambda: done / assets)
    with closing(sampler), closing(Follower(bootstrap)) as follower, Progress(console=console) as bar:
        task = bar.add_task(f"{assets} short assets", total=assets)
        while waiting or under_way:
            while waiting and len(under_way) < IN_FLIGHT:
                number = waiting.pop(0)
                clip = clips[number % len(clips)]
                copy = folder / f"{number}-{clip.name}"
                os.link(clip, copy)
                upload = Upload(to_uri(str(copy)))
                publish(bootstrap, [upload], tasks=list(LIGHT))
                under_way[upload.id] = upload, copy
            follower.step([upload for upload, _ in under_way.values()])
            for upload, copy in [pair for pair in under_way.values() if pair[0].ended]:
                del under_way[upload.id]
                copy.unlink()
                if upload.metadata is None or upload.metadata.run.status != "complete":
                    raise Disagreement(f"{copy.name} did not complete: {upload.refused or upload.metadata}")
                number = int(copy.name.partition("-")[0])
                finals.setdefault(number % len(clips), set()).add(_found(upload.metadata))
                done += 1
                bar.update(task, completed=done)
    if any(len(found) != 1 for found in finals.values()):
        raise Disagreement("copies of one clip gave different results")
    report(f"{assets} short assets", sampler.curves, console)


def one(clip: Path, frames: int, bootstrap: Bootstrap, pids: dict[str, int], *, console: Console) -> None:
    """Send one long asset through the stack, and print each role's memory. Raises ``Disagreement``."""
    upload = Upload(to_uri(str(clip)))
    sampler = Sampler(pids, lambda: upload.progress)
    begun = time.monotonic()
    with closing(sampler), closing(Follower(bootstrap)) as follower, Progress(console=console) as bar:
        task = bar.add_task(clip.name, total=1.0)
        publish(bootstrap, [upload], tasks=list(LIGHT))
        while not upload.ended:
            follower.step([upload])
            bar.update(task, completed=upload.progress)
    event = upload.metadata
    if event is None or event.run.status != "complete" or event.coverage.video_frames is None:
        raise Disagreement(f"it did not complete: {upload.refused or event}")
    if event.coverage.video_frames.analysed != frames:
        raise Disagreement(f"{event.coverage.video_frames.analysed} frames analysed of {frames}")
    seconds = time.monotonic() - begun
    title = f"One asset of {(event.technical.duration or 0) / 3600:.2f} h, {frames} frames at {frames / seconds:.0f} a second"
    report(title, sampler.curves, console)


def _found(event: ContentMetadata) -> bytes:
    """What was measured and found, without names and times."""
    findings = [f.model_dump_json(exclude={"id"}) for f in event.findings]
    return "\n".join([*(m.model_dump_json() for m in event.measurements), *findings]).encode()


def report(title: str, curves: dict[str, Curve], console: Console) -> None:
    """The table and the curves. Raises ``Disagreement`` where memory grew."""
    table = Table(title=f"{title}: resident memory, MiB", box=None)
    for column in ("process", "first", "after warm-up", "at the end", "highest", "growth"):
        table.add_column(column, justify="left" if column == "process" else "right")
    figure = plotille.Figure()
    figure.width, figure.height, figure.x_label, figure.y_label = 70, 16, "progress", "MiB"
    for name, curve in curves.items():
        levels = [curve.resident[0], curve.level(WARM_UP), curve.level(1 - WINDOW), max(curve.resident)]
        table.add_row(name, *(f"{level / MIB:.0f}" for level in levels), f"{100 * curve.growth:+.1f} %")
        figure.plot(curve.progress, [r / MIB for r in curve.resident], label=name)
    console.print(table)
    console.print(figure.show(legend=True), markup=False, highlight=False)
    grown = [name for name, curve in curves.items() if not curve.growth < GOAL]
    if grown:
        raise Disagreement(f"memory grew by more than {GOAL:.0%} after the warm-up: {', '.join(grown)}")
