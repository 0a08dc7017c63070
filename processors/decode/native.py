"""Runs a job's decode tasks on native frames and cuts what they measure into cells, all on the same edges."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import cv2
import numpy as np
import orjson

from processors import tasks
from processors.decode.faults import reraise_memory
from processors.decode.frame import NativeFrame
from processors.tasks.base import NATIVE, DecodeAnalyser
from schemas.cell import CellKey, CellResult, CellStatus, Signals
from schemas.ids import digest
from schemas.manifest import ChunkRecord
from schemas.plan import Job, TaskRef

ROWS = 64
"""Owned frames a cell: two to three seconds of film or television."""

RUNTIME = f"numpy {np.__version__}, opencv {cv2.__version__}"

MAX_MESSAGE = 1000

T = TypeVar("T")


class NativeCells:
    """The decode tasks of one job.

    Each task is guarded: what one raises ends that task alone, and its cells from there on are ``failed``. A cell holds
    consecutive frames: where some are lost it ends. ``records`` are the manifest's, ``seconds`` CPU time by task.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._runs = [_Run(job, ref) for ref in job.tasks]
        self._owned: list[tuple[int, int]] = []  # number and pts of frames that are in no cell yet
        self.records: list[ChunkRecord] = []

    @property
    def seconds(self) -> dict[str, float]:
        """CPU time by task."""
        return {run.task.name: run.total for run in self._runs}

    def feed(self, frame: NativeFrame, *, owned: bool) -> Iterator[CellResult]:
        """Show a frame to every task; gives the cells that are complete."""
        if not self._runs:
            return
        for run in self._runs:
            run.guard(lambda analyser: analyser.feed(frame, owned=owned))
        if owned:
            self._owned.append((frame.number, frame.pts))
        while (rows := self._whole()) and all(run.ready() >= rows for run in self._runs if run.alive):
            yield from self._cut(rows)

    def _whole(self) -> int:
        """How many frames the next cell holds, if it is known where it ends."""
        rows = self._consecutive()
        return rows if rows == ROWS or rows < len(self._owned) else 0

    def _consecutive(self) -> int:
        first = self._owned[0][0] if self._owned else 0
        steps = (number - first == step for step, (number, _) in enumerate(self._owned[:ROWS]))
        return sum(itertools.takewhile(bool, steps))

    def hungry(self) -> bool:
        """Whether a task needs a further frame after the job's end."""
        return any(run.guard(lambda analyser: analyser.hungry()) for run in self._runs)

    def close(self) -> Iterator[CellResult]:
        """There are no more frames; gives the cells that are left."""
        for run in self._runs:
            run.guard(lambda analyser: analyser.close())
        while self._runs and self._owned:
            yield from self._cut(self._consecutive())

    def _cut(self, rows: int) -> list[CellResult]:
        taken, self._owned = self._owned[:rows], self._owned[rows:]
        first, pts, n = taken[0][0], np.array([pts for _, pts in taken], np.int64), len(self.records)
        cells = [run.cell(n, first, pts) for run in self._runs]
        record = ChunkRecord(
            rendition=NATIVE,
            n=n,
            first_row=first,
            rows=(rows, 0),
            fresh=n == 0 and self._job.segment == 0,
            bytes=sum(len(cell.value) for cell in cells),
            digests={cell.key.task: cell.digest for cell in cells},
        )
        self.records.append(record)
        return cells


class _Run:
    """One decode task at work, until it fails."""

    def __init__(self, job: Job, ref: TaskRef) -> None:
        self.task = ref
        self.total = 0.0
        self._job = job
        self._cell_seconds = 0.0
        self._error: Exception | None = None
        self._analyser: DecodeAnalyser | None = None
        task = tasks.decode_task(ref.name)
        self._version = task.spec.version  # that of what runs, whatever the plan has
        self._analyser = self._timed(lambda: task.open(job))

    @property
    def alive(self) -> bool:
        return self._error is None

    def guard(self, action: Callable[[DecodeAnalyser], T]) -> T | None:
        """Do something with the analyser; ``None`` if the task has failed or fails now."""
        analyser = self._analyser
        return None if analyser is None else self._timed(lambda: action(analyser))

    def ready(self) -> int:
        return self.guard(lambda analyser: analyser.ready()) or 0

    def _timed(self, action: Callable[[], T]) -> T | None:
        begun = time.thread_time()
        try:
            return action()
        except Exception as error:  # the guard of one task: whatever it raises, the other tasks' results stand
            reraise_memory(error)
            self._error, self._analyser = error, None
            return None
        finally:
            spent = time.thread_time() - begun
            self.total += spent
            self._cell_seconds += spent

    def cell(self, n: int, first_row: int, pts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> CellResult:
        """The result of the next ``len(pts)`` owned frames."""
        value = self.guard(lambda analyser: _signals(analyser, first_row, pts).to_bytes())
        status = CellStatus.FAILED if value is None else CellStatus.OK
        if value is None:
            error = type(self._error).__name__
            value = orjson.dumps({"error": error, "message": str(self._error)[:MAX_MESSAGE]})
        seconds, self._cell_seconds = self._cell_seconds, 0.0
        job = self._job
        key = CellKey(job.asset.id, job.run, job.stream, job.segment, NATIVE, n, self.task.name, self._version)
        return CellResult(key, status, digest(value), value, seconds, RUNTIME)


def _signals(analyser: DecodeAnalyser, first_row: int, pts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Signals:
    arrays, observations = analyser.take(len(pts))
    return Signals(first_row, len(pts), {"pts": pts, **arrays}, observations)
