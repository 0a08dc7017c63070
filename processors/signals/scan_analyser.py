"""The analyser of fields and repeats: compares each frame's lines with its own and with the next frame's. One thread."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.decode.frame import NativeFrame
from processors.signals.scan_lines import FieldLines, LineReader, Step

_STEPS = ("ahead_even", "ahead_odd", "behind_even", "behind_odd", "top", "bottom")


class ScanAnalyser:
    """Measures the frames of one job.

    Signals, one row per owned frame: ``pts`` and ``duration`` (raw ticks); ``interlaced`` (the picture's own word); ``own``
    (idet's delta) and the fields of :class:`~processors.signals.scan_lines.Step` to the next frame, in 8-bit codes. They are
    NaN for the stream's last frame, where the geometry changes, where the next frame is lost, and for pictures of fewer lines
    than are judged.
    """

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        self._reader = LineReader()
        self._rows: list[tuple[int, int, bool, float]] = []
        self._steps: list[Step] = []
        self._last: tuple[int, FieldLines | None] | None = None
        self._closed = False

    def feed(self, frame: NativeFrame, *, owned: bool) -> None:
        """See one frame. Of those after the job's end only the first matters."""
        if self._closed or (not owned and not self.hungry()):
            return
        lines = self._reader.read(frame)
        if len(self._steps) < len(self._rows):
            self._steps.append(self._step(frame.number, lines))
        if owned:
            own = float("nan") if lines is None else lines.own()
            self._rows.append((frame.pts, frame.duration, frame.interlaced, own))
        self._last = frame.number, lines

    def hungry(self) -> bool:
        """Whether a further frame is needed for the last step."""
        return not self._closed and len(self._steps) < len(self._rows)

    def ready(self) -> int:
        """Owned frames whose step to the next is known."""
        return len(self._steps)

    def take(self, rows: int) -> tuple[dict[str, NDArray[Any]], tuple[dict[str, Any], ...]]:
        """The next rows' signals. Raises ``ValueError`` if there are not so many."""
        if not 0 <= rows <= self.ready():
            raise ValueError(f"{rows} rows asked for where {self.ready()} are ready")
        taken, self._rows = self._rows[:rows], self._rows[rows:]
        steps, self._steps = [asdict(step) for step in self._steps[:rows]], self._steps[rows:]
        arrays: dict[str, NDArray[Any]] = {
            "pts": np.array([row[0] for row in taken], np.int64),
            "duration": np.array([row[1] for row in taken], np.int64),
            "interlaced": np.array([row[2] for row in taken], np.bool_),
            "own": np.array([row[3] for row in taken], np.float64),
        }
        return arrays | {name: np.array([step[name] for step in steps], np.float64) for name in _STEPS}, ()

    def close(self) -> None:
        """There are no more frames: what leads to one that was not seen stays NaN."""
        self._closed = True
        self._steps += [Step()] * (len(self._rows) - len(self._steps))

    def _step(self, number: int, lines: FieldLines | None) -> Step:
        assert self._last is not None
        before, last = self._last
        if last is None or lines is None or last.geometry != lines.geometry or number != before + 1:
            return Step()
        return last.step(lines)
