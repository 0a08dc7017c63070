"""`dailies bench picture`: what the native picture tasks cost, in CPU time, against decoding the same clip and nothing else."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.decoders import count_frames
from processors.decode.job import run_job
from processors.plan import PlanRequest, make_plan
from processors.probe import probe
from processors.source import SourcePolicy, open_source, to_uri
from processors.tasks import registry
from schemas.manifest import Manifest
from schemas.plan import Job

NATIVE_TASKS = tuple(name for name, task in registry().items() if task.spec.where == "decode" and task.spec.kind == "video")


@dataclass(slots=True)
class Turn:
    """Something that is timed: CPU seconds of this process by round."""

    name: str
    run: Callable[[], int]
    cpu: list[float] = field(default_factory=list)
    frames: int = 0

    @property
    def each(self) -> float:
        """Milliseconds a frame: the median of the rounds."""
        return 1000 * statistics.median(self.cpu) / max(1, self.frames)


def measure(clip: Path, *, rounds: int, tasks: tuple[str, ...], console: Console) -> float:
    """Time decoding alone, a decode job without tasks and one with them, in turn; print the table and give the share.

    The share is what the tasks add to a job, over decoding alone. All run in this process on one thread, without renditions, so
    that its CPU time is theirs: on a busy machine wall-clock time would say little.
    """
    job = _job(clip, tasks)
    bare = job.model_copy(update={"tasks": ()})
    turns = (
        Turn("PyAV, decoding only", lambda: count_frames(str(clip), job)),
        Turn("decode job, no task", lambda: _decode(clip, bare)),
        Turn(f"decode job, {', '.join(tasks)}", lambda: _decode(clip, job)),
    )
    for number in range(rounds):
        for turn in turns:
            console.print(f"round {number + 1} of {rounds}: {turn.name}", style="dim")
            begun = time.process_time()
            turn.frames = turn.run()
            turn.cpu.append(time.process_time() - begun)
    alone, without, together = (turn.each for turn in turns)
    share = (together - without) / alone
    console.print(_table(turns))
    console.print(f"The native picture tasks add {together - without:.2f} ms a frame: {share:.0%} of decoding alone.")
    return share


def _job(clip: Path, tasks: tuple[str, ...]) -> Job:
    request = PlanRequest(caused_by="bench", created="2026-01-01T00:00:00Z", code="bench", tasks=tasks, single_segment=True)
    plan = make_plan(probe(to_uri(str(clip)), SourcePolicy()), request)
    return next(job for job in plan.jobs if job.kind == "video").model_copy(update={"renditions": ()})


def _decode(clip: Path, job: Job) -> int:
    frames = 0
    with open_source(to_uri(str(clip)), SourcePolicy()) as source:
        for output in run_job(job, source):
            if isinstance(output, Manifest):
                frames = output.decoded
    return frames


def _table(turns: tuple[Turn, ...]) -> Table:
    table = Table(title=f"{turns[0].frames} frames, CPU time, median of {len(turns[0].cpu)} interleaved rounds", box=None)
    for column in ("", "ms a frame", "min – max", "of decoding alone"):
        table.add_column(column, justify="left" if not column else "right")
    for turn in turns:
        each = [1000 * cpu / max(1, turn.frames) for cpu in turn.cpu]
        table.add_row(turn.name, f"{turn.each:.2f}", f"{min(each):.2f} – {max(each):.2f}", f"{turn.each / turns[0].each:.2f}")
    return table
