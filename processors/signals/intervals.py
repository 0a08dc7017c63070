"""From a condition that holds row by row to intervals with a start and an end, however the rows are cut into steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import Phase
from schemas.clock import Clock

BoolRows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive rows of a stream: the first one's number, and each one's start and end in raw ticks (int64)."""

    first: int
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)


def least_ticks(clock: Clock, seconds: float) -> int:
    """The smallest whole number of ticks that lasts at least so long. Exact for decimal seconds."""
    ticks = Fraction(str(seconds)) * clock.tick[1] / clock.tick[0]
    return -(-ticks.numerator // ticks.denominator)


def stretches(holds: BoolRows) -> Iterator[tuple[int, int, bool]]:
    """The maximal stretches ``[low, high)`` of equal values, with the value."""
    edges = [0, *(np.flatnonzero(np.diff(holds)) + 1).tolist(), len(holds)]
    for low, high in pairwise(edges):
        if high > low:
            yield low, high, bool(holds[low])


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of rows in which a condition holds.

    ``start`` and ``end`` are raw ticks, half-open, ``row`` and ``end_row`` the frames; ``held`` counts the rows in which it
    held (pauses that were bridged are not among them), ``peak`` is the largest level among them. ``told`` says whether it
    has been said that there is a finding.
    """

    start: int
    end: int
    row: int
    end_row: int
    held: int
    peak: float
    told: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object; ``Interval(**body)`` is the inverse."""
        return asdict(self)


Heard = list[tuple[Phase, Interval]]


@dataclass(frozen=True, slots=True)
class IntervalRule:
    """When a condition is a finding: it lasts at least ``ticks`` and holds in at least ``rows`` rows.

    Pauses of at most ``bridge`` ticks do not end it. An interval ends where the first row begins in which the condition
    does not hold, and where the last row ends if there is none.
    """

    ticks: int = 0
    rows: int = 1
    bridge: int = 0

    def step(
        self, open_: Interval | None, rows: Rows, holds: BoolRows, level: NDArray[np.float64]
    ) -> tuple[Interval | None, Heard]:
        """The interval that is open after these rows, and what is to be said. A bridged pause is part of an open interval."""
        heard: Heard = []
        for low, high, held in stretches(holds):
            if not held:
                open_ = self._pause(open_, rows, low, high, heard)
                continue
            if open_ is not None and open_.end_row < rows.first + low and self._too_far(open_, rows, low):
                heard += self.close(open_)
                open_ = None
            peak = float(level[low:high].max())
            if open_ is None:
                start = int(rows.start[low])
                open_ = Interval(start, start, rows.first + low, rows.first + low, 0, peak)
            open_ = replace(
                open_,
                end=int(rows.end[high - 1]),
                end_row=rows.first + high,
                held=open_.held + high - low,
                peak=max(open_.peak, peak),
            )
        return self._tell(open_, rows, heard)

    def close(self, open_: Interval | None) -> Heard:
        """What is to be said when nothing follows: at the end of the stream, or where rows are lost."""
        if open_ is None or not self._enough(open_):
            return []
        return [(Phase.END, open_)] if open_.told else [(Phase.NEW, open_), (Phase.END, open_)]

    def _pause(self, open_: Interval | None, rows: Rows, low: int, high: int, heard: Heard) -> Interval | None:
        if open_ is None:
            return None
        if open_.end_row == rows.first + low:
            open_ = replace(open_, end=int(rows.start[low]))
        if self.bridge and not self._too_far(open_, rows, high - 1):
            return open_
        heard += self.close(open_)
        return None

    def _too_far(self, open_: Interval, rows: Rows, row: int) -> bool:
        return int(rows.start[row]) - open_.end > self.bridge

    def _tell(self, open_: Interval | None, rows: Rows, heard: Heard) -> tuple[Interval | None, Heard]:
        """Say what is certain of an interval that is still open: at most once a step, and only if it has grown."""
        if open_ is None or not self._sure(open_, rows):
            return open_, heard
        if open_.told:
            return open_, [*heard, (Phase.UPDATE, open_)] if open_.end_row > rows.first else heard
        open_ = replace(open_, told=True)
        return open_, [*heard, (Phase.NEW, open_)]

    def _sure(self, open_: Interval, rows: Rows) -> bool:
        """Whether it is a finding whatever follows: the start of its last row is already late enough."""
        last = open_.end_row - 1 - rows.first
        reached = int(rows.start[last]) if last >= 0 else open_.end
        return reached - open_.start >= self.ticks and open_.held >= self.rows

    def _enough(self, open_: Interval) -> bool:
        return open_.end - open_.start >= self.ticks and open_.held >= self.rows
