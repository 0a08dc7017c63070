"""Single frames that are shown twice, or some more times, while the picture moves: what no cadence explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from processors.signals.scan_cadence import HOLD_ROWS, Cadence
from processors.signals.scan_rows import BOTH, NEW, Row

MOST = 4
"""More repeats of one frame in a row are a still picture."""
AROUND = 2
"""So many new frames lie on either side of it."""
MARGIN_ROWS = 12
"""A cadence explains what is repeated so near to it."""
JOIN_SECONDS = 1.0
"""Repeats so near to each other are one finding."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Frames that repeat the one before them: raw ticks and rows, half-open; ``frames`` of them."""

    start: int
    end: int
    row: int
    end_row: int
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Stutter:
    """``new`` counts the new frames just before (up to ``AROUND``), ``at`` is what is repeated now and ``after`` the new
    frames since. ``waiting`` are repeats that a cadence may still explain, by ``cadences`` (rows, half-open) that have ended;
    ``open`` is the finding that the next ones may join.
    """

    new: int = 0
    at: Repeat | None = None
    after: int = 0
    waiting: tuple[Repeat, ...] = ()
    cadences: tuple[tuple[int, int], ...] = ()
    open: Repeat | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the inverse is :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Stutter:
        """The inverse of :meth:`to_json`."""
        return cls(
            new=body["new"],
            at=body["at"] and Repeat(**body["at"]),
            after=body["after"],
            waiting=tuple(Repeat(**r) for r in body["waiting"]),
            cadences=tuple((low, high) for low, high in body["cadences"]),
            open=body["open"] and Repeat(**body["open"]),
        )

    def see(self, row: Row) -> Stutter:
        """The next row."""
        if row.repeat == BOTH and row.strong:
            if self.at is not None and not self.after:
                at = replace(self.at, end=row.end, end_row=row.row + 1, frames=self.at.frames + 1)
                return replace(self, at=at, new=0)
            at = Repeat(row.start, row.end, row.row, row.row + 1)
            return replace(self, at=at if self.new >= AROUND else None, after=0, new=0)
        if row.repeat != NEW:
            return replace(self, at=None, after=0, new=0)
        new = min(AROUND, self.new + 1)
        if self.at is None or self.after + 1 < AROUND:
            return replace(self, new=new, after=self.after + 1)
        found = (self.at,) if self.at.frames <= MOST else ()
        return replace(self, new=new, at=None, after=0, waiting=(*self.waiting, *found))

    def explained(self, cadence: Cadence) -> Stutter:
        """A cadence has ended."""
        return replace(self, cadences=(*self.cadences, (cadence.row, cadence.end_row)))

    def release(self, row: int, open_: Cadence | None, join: int) -> tuple[Stutter, list[Repeat]]:
        """Let go of what has waited long enough before ``row``; the findings that are complete. ``join`` is in ticks."""
        due = [r for r in self.waiting if row - r.row > HOLD_ROWS]
        spans: list[tuple[int, int]] = [*self.cadences, *([(open_.row, open_.end_row)] if open_ is not None else [])]
        group, complete = self.open, []
        for repeat in due:
            if _within(repeat, spans):
                continue
            if group is not None and repeat.start - group.end <= join:
                group = replace(group, end=repeat.end, end_row=repeat.end_row, frames=group.frames + repeat.frames)
                continue
            complete += [group] if group is not None else []
            group = repeat
        waiting = self.waiting[len(due) :]
        if group is not None and not (waiting and waiting[0].start - group.end <= join) and row - group.end_row > 2 * HOLD_ROWS:
            complete.append(group)
            group = None
        recent = tuple(c for c in self.cadences if row - c[1] <= 2 * HOLD_ROWS)
        return replace(self, waiting=waiting, open=group, cadences=recent), complete


def _within(repeat: Repeat, spans: Sequence[tuple[int, int]]) -> bool:
    return any(low - MARGIN_ROWS <= repeat.row and repeat.end_row <= high + MARGIN_ROWS for low, high in spans)
