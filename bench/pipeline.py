"""`dailies bench`: decoding only, `analyse` and the pipeline, interleaved in one run, after checking that they agree."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench.decoders import PyavPool, ffmpeg_decode
from processors.analyse import analyse
from processors.equal import differences
from processors.source import to_uri
from processors.tasks import registry
from schemas.events import ContentMetadata
from streams.client import Follower, Upload, publish
from streams.secure import Bootstrap

LIGHT = tuple(name for name, task in registry().items() if task.spec.group != "networks")
"""Tasks whose cost is the same on every machine: without the networks."""


@dataclass(slots=True)
class Contender:
    """Something that is timed. ``run`` gives the number of video frames that it went through."""

    name: str
    run: Callable[[], int]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    frames: int = 0


class Disagreement(Exception):
    """The contenders do not find the same: there is no figure to print."""


def processor_seconds(pids: list[int]) -> float:
    """User and system time of processes and everything below them, the ended children included, in seconds."""
    total = 0.0
    for pid in pids:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            try:
                t = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += t.user + t.system + (t.children_user + t.children_system)
    return total


@contextmanager
def timed(contender: Contender, pids: list[int]) -> Iterator[None]:
    """Add one wall-clock and one processor time to a contender."""
    cpu, begun = processor_seconds(pids), time.perf_counter()
    yield
    contender.seconds.append(time.perf_counter() - begun)
    contender.cpu.append(processor_seconds(pids) - cpu)


class Pipeline:
    """The running stack, asked to analyse the clip again and again: each time as a new version of the file."""

    def __init__(self, bootstrap: Bootstrap, clip: Path, tasks: tuple[str, ...]) -> None:
        self._bootstrap, self._clip, self._tasks = bootstrap, clip, tasks
        self.event: ContentMetadata | None = None

    def __call__(self) -> int:
        """From upload event to final event; the frames analysed. Raises ``Disagreement`` if the asset is not complete."""
        os.utime(self._clip)
        upload = Upload(to_uri(str(self._clip)))
        with closing(Follower(self._bootstrap)) as follower:
            publish(self._bootstrap, [upload], tasks=list(self._tasks))
            while not upload.ended:
                follower.step([upload])
        self.event = upload.metadata
        if self.event is None or self.event.run.status != "complete" or self.event.coverage.video_frames is None:
            raise Disagreement(f"the pipeline did not complete: {upload.refused or self.event}")
        return self.event.coverage.video_frames.analysed


def compare(
    clip: Path, bootstrap: Bootstrap, stack_pids: list[int], *, rounds: int, tasks: tuple[str, ...], console: Console
) -> None:
    """Check that all agree, then time them in turn and print the table. Raises ``Disagreement``."""
    cores = os.cpu_count() or 1
    pipeline = Pipeline(bootstrap, clip, tasks)
    reference: list[ContentMetadata] = []

    def whole_file() -> int:
        reference[:] = [analyse(str(clip), code="bench", tasks_wanted=tasks, device="cpu")]
        coverage = reference[0].coverage.video_frames
        return 0 if coverage is None else coverage.analysed

    pool = PyavPool(clip, cores)
    contenders = [
        Contender("ffmpeg, decoding only", lambda: ffmpeg_decode(clip)),
        Contender(f"PyAV, decoding only, {cores} processes", pool),
        Contender("dailies analyse (one process)", whole_file),
        Contender("dailies pipeline, upload to final event", pipeline),
    ]
    mine = [os.getpid(), *stack_pids]
    try:
        console.print("Checking that all find the same …")
        # The pipeline first: it makes a new version of the file, and findings are named after the version.
        counts = {c.name: c.run() for c in reversed(contenders)}
        _agree(counts, pipeline.event, reference[0])
        for turn in range(rounds):
            for contender in contenders:
                console.print(f"round {turn + 1} of {rounds}: {contender.name}", style="dim")
                with timed(contender, mine):
                    contender.frames = contender.run()
    finally:
        pool.close()
    console.print(_table(contenders))
    if pipeline.event is not None:
        console.print(_stages(pipeline.event))


def _agree(counts: dict[str, int], event: ContentMetadata | None, reference: ContentMetadata) -> None:
    if len(set(counts.values())) != 1:
        raise Disagreement(f"the numbers of frames differ: {counts}")
    if event is None or (found := differences(event, reference)):
        raise Disagreement(f"pipeline and analyse differ: {found[:5]}")


def _table(contenders: list[Contender]) -> Table:
    yardstick = statistics.median(contenders[1].seconds) / contenders[1].frames
    table = Table(title=f"{contenders[0].frames} frames, median of {len(contenders[0].seconds)} interleaved rounds", box=None)
    for column in ("", "frames/s", "min – max", "of PyAV decode-only", "CPU ms a frame"):
        table.add_column(column, justify="left" if column == "" else "right")
    for c in contenders:
        rates = sorted(c.frames / s for s in c.seconds)
        spread = f"{rates[0]:.0f} – {rates[-1]:.0f}"
        share = yardstick / (statistics.median(c.seconds) / c.frames)
        cpu = statistics.median(c.cpu) / c.frames * 1000
        table.add_row(c.name, f"{statistics.median(rates):.0f}", spread, f"{share:.2f}", f"{cpu:.2f}")
    return table


def _stages(event: ContentMetadata) -> Table:
    frames = event.coverage.video_frames.analysed if event.coverage.video_frames else 1
    table = Table(title="The pipeline's CPU by producer", box=None)
    for column in ("producer", "seconds", "ms a frame"):
        table.add_column(column, justify="left" if column == "producer" else "right")
    for producer in event.producers:
        table.add_row(producer.name, f"{producer.seconds:.2f}", f"{producer.seconds / frames * 1000:.3f}")
    return table
