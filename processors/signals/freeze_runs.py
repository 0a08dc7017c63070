"""Freezes from frozen rows: joins the runs of all segments, checks their drift, leaves out what has a name of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import Phase
from processors.signals.difference import Signature
from processors.signals.freeze import NOISE, FrozenRows, Mark
from processors.signals.intervals import BoolRows, Heard, Interval, Rows

NAMED_SHARE = 0.98
"""A run of which at least this share of frames has a name (black, colour bars, a card) is called that and not a freeze."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is still open: a picture and those that do not differ from it.

    ``named`` counts its frames that have a name, ``picture`` is its first frame's signature once the run has reached a mark.
    """

    start: int
    row: int
    named: int = 0
    told: bool = False
    picture: Signature | None = None


@dataclass(frozen=True, slots=True)
class FreezeState:
    """What is known between two steps: the open run and what segments have said of rows still to come."""

    run: Run | None = None
    ahead: tuple[FrozenRows, ...] = ()
    end: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the inverse is :meth:`from_json`."""
        return {
            "run": None if self.run is None else asdict(self.run),
            "ahead": [part.to_json() for part in self.ahead],
            "end": self.end,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> FreezeState:
        """The inverse of :meth:`to_json`."""
        run = body["run"]
        if run is not None:
            picture = run["picture"]
            run = Run(**{**run, "picture": None if picture is None else Signature.from_json(picture)})
        return cls(run, tuple(FrozenRows.from_json(part) for part in body["ahead"]), body["end"])


@dataclass(frozen=True, slots=True)
class FreezeRule:
    """Turns frozen rows into intervals that last at least ``ticks``, from the run's first frame to the first unlike it.

    Rows are frozen as their own segment says, except where an earlier segment's extension reaches: the earliest one's
    word counts, since each chain is followed up to where the next one agrees with it.
    """

    ticks: int

    def step(
        self,
        state: FreezeState,
        rows: Rows,
        named: BoolRows,
        own: Sequence[FrozenRows],
        extensions: Sequence[FrozenRows],
    ) -> tuple[FreezeState, Heard]:
        """The state after these rows (at least one), and what is to be said."""
        ahead = _in_order((*state.ahead, *extensions))
        frozen, marks = _decide(rows, own, ahead)
        breaks, picture = _breaks(state.run, rows, frozen, marks)
        run, heard = self._runs(state.run, rows, named, np.flatnonzero(breaks))
        run, told = self._tell(replace(run, picture=picture), rows)
        left = tuple(part.since(rows.first + len(rows)) for part in ahead)
        return FreezeState(run, tuple(part for part in left if len(part.frozen)), int(rows.end[-1])), heard + told

    def close(self, state: FreezeState, end_row: int) -> tuple[FreezeState, Heard]:
        """End the open run, since nothing follows or rows are lost: after the last row's end nothing is known."""
        heard = [] if state.run is None else self._end(state.run, state.end, end_row)
        return FreezeState(end=state.end), heard

    def _runs(self, run: Run | None, rows: Rows, named: BoolRows, starts: NDArray[np.intp]) -> tuple[Run, Heard]:
        """The run that is open at the end, and the finished ones that last long enough."""
        names = np.concatenate(([0], np.cumsum(named)))
        heard: Heard = []
        if run is not None:
            first_end = int(starts[0]) if len(starts) else len(rows)
            run = replace(run, named=run.named + int(names[first_end]))
            if not len(starts):
                return run, heard
            heard += self._end(run, int(rows.start[first_end]), rows.first + first_end)
        ticks = rows.start[starts]
        for k in np.flatnonzero(np.diff(ticks) >= self.ticks).tolist():
            low, high = int(starts[k]), int(starts[k + 1])
            whole = Run(int(ticks[k]), rows.first + low, int(names[high] - names[low]))
            heard += self._end(whole, int(ticks[k + 1]), rows.first + high)
        last = int(starts[-1])
        return Run(int(rows.start[last]), rows.first + last, int(names[-1] - names[last])), heard

    def _tell(self, run: Run, rows: Rows) -> tuple[Run, Heard]:
        """Say that the open run is a freeze as soon as it is certain; at most once a step."""
        end_row = rows.first + len(rows)
        if int(rows.start[-1]) - run.start < self.ticks or _is_named(run.named, end_row - run.row):
            return run, []
        phase = Phase.UPDATE if run.told else Phase.NEW
        return replace(run, told=True), [(phase, _interval(run, int(rows.end[-1]), end_row))]

    def _end(self, run: Run, end: int, end_row: int) -> Heard:
        found = _interval(run, end, end_row)
        if end - run.start < self.ticks or _is_named(run.named, end_row - run.row):
            return [(Phase.WITHDRAWN, found)] if run.told else []
        return [(Phase.END, found)] if run.told else [(Phase.NEW, found), (Phase.END, found)]


def _interval(run: Run, end: int, end_row: int) -> Interval:
    return Interval(run.start, end, run.row, end_row, end_row - run.row, 0.0, run.told)


def _is_named(named: int, rows: int) -> bool:
    return named >= NAMED_SHARE * rows


def _in_order(parts: Sequence[FrozenRows]) -> tuple[FrozenRows, ...]:
    """Extensions without overlap: where two reach over the same rows the earlier segment's stays."""
    found: list[FrozenRows] = []
    reached = 0
    for part in parts:
        rest = part.since(max(reached, part.row))
        if len(rest.frozen):
            found.append(rest)
            reached = rest.end
    return tuple(found)


def _decide(rows: Rows, own: Sequence[FrozenRows], ahead: Sequence[FrozenRows]) -> tuple[BoolRows, list[Mark]]:
    """Whether each row is frozen, and the marks that count, in order."""
    frozen = np.zeros(len(rows), bool)
    marks: list[Mark] = []
    for part, earlier in [*((p, False) for p in own), *((p, True) for p in ahead)]:
        low, high = max(part.row, rows.first), min(part.end, rows.first + len(rows))
        if low >= high:
            continue
        here = slice(low - rows.first, high - rows.first)
        frozen[here] = part.frozen[low - part.row : high - part.row]
        if earlier:
            marks = [m for m in marks if not low <= m.row < high]
        marks += [m for m in part.marks if low <= m.row < high]
    return frozen, sorted(marks, key=lambda m: m.row)


def _breaks(run: Run | None, rows: Rows, frozen: BoolRows, marks: Sequence[Mark]) -> tuple[BoolRows, Signature | None]:
    """Where runs begin, and the signature of the first picture of the last of them, if known.

    A run begins at each row that is not frozen, at the first row after a hole, and at a mark that has drifted too far from
    the run's first picture.
    """
    breaks = ~frozen
    breaks[0] |= run is None
    picture, seen = None if run is None else run.picture, 0
    for mark in marks:
        row = mark.row - rows.first
        if breaks[row]:
            continue
        if picture is None or breaks[seen:row].any():
            picture = mark.reference
        if mark.at.bound(picture) > NOISE:
            breaks[row], picture = True, mark.at
        seen = row + 1
    return breaks, None if breaks[seen:].any() else picture
