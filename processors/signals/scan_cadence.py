"""Cadences: which of the known patterns of repeated fields or frames a stream follows, from where to where.

Each pattern is tried in each of its phases. A frame that repeats what the pattern says counts for it, one that does not
counts against it, and a picture that does not move, or a cut, says nothing. A phase that has enough on its side is the cadence
until it has lost all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.scan_rows import BOTH, BOTTOM, JUMP, NEW, STILL, TOP, Row

RIGHT, WRONG, WEAK = 2, -2, -1
"""What a frame counts that repeats what a phase says; one that does not; and one that seems to repeat something where the phase
says nothing, if it does not show in that frame by itself.
"""
CAP = 20
"""The most that a phase has on its side."""
BREAK_ROWS = 30
"""A phase that begins so few frames after another of the same pattern has ended is a break of the cadence."""
HOLD_ROWS = 180
"""So long after its end a cadence waits for another phase to go on with it: longer than any takes to be certain."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """``cycle`` says what each frame repeats: N nothing, T its top field, B its bottom field, D the whole frame before it.

    ``enough`` repeats in their places make it certain, if three quarters of what they count is not
    lost by what speaks against it. ``pictures`` are there in each cycle.
    """

    name: str
    cycle: str
    enough: int
    pictures: int
    order: int = 0

    @property
    def fields(self) -> bool:
        """Whether it repeats fields, not frames."""
        return "T" in self.cycle


PATTERNS = (
    Pattern("2:3 pulldown, top field first", "NNTNB", 6, 4, 2),
    Pattern("2:3 pulldown, bottom field first", "NNBNT", 6, 4, 3),
    Pattern("2:3:3:2 pulldown, top field first", "NNTBN", 6, 4, 2),
    Pattern("2:3:3:2 pulldown, bottom field first", "NNBTN", 6, 4, 3),
    Pattern("2:3", "NDNDD", 9, 2),
    Pattern("2:2", "ND", 10, 1),
    Pattern("3:3", "NDD", 10, 1),
    Pattern("every 5th frame", "NNNND", 6, 4),
    Pattern("every 6th frame", "NNNNND", 6, 5),
    Pattern("every 25th frame", "N" * 24 + "D", 4, 24),
)
_SYMBOLS = {"N": NEW, "T": TOP, "B": BOTTOM, "D": BOTH}
_ROUND = 300
"""All cycles are whole in so many rows."""
_PHASES = [(number, phase) for number, pattern in enumerate(PATTERNS) for phase in range(len(pattern.cycle))]
_OF = np.array([number for number, _ in _PHASES])
_ENOUGH = np.array([PATTERNS[number].enough for number, _ in _PHASES])
_SURE = np.minimum(CAP, RIGHT * _ENOUGH * 3 // 4)


def _expected() -> NDArray[np.int64]:
    """What each row of the round repeats, by pattern and phase."""
    table = np.empty((_ROUND, len(_PHASES)), np.int64)
    for column, (number, phase) in enumerate(_PHASES):
        cycle = [_SYMBOLS[letter] for letter in PATTERNS[number].cycle]
        table[:, column] = [cycle[(row + phase) % len(cycle)] for row in range(_ROUND)]
    return table


_EXPECTED = _expected()


@dataclass(frozen=True, slots=True)
class Cadence:
    """A stretch that follows one pattern: raw ticks and rows, half-open. ``breaks`` counts its changes of phase, ``repeats``
    the frames that repeat something.
    """

    pattern: int
    start: int
    end: int
    row: int
    end_row: int
    repeats: int
    breaks: int = 0
    told: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the inverse is :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Cadence:
        """The inverse of :meth:`to_json`."""
        return cls(**{**body, "told": tuple(body["told"])})

    @property
    def what(self) -> Pattern:
        """Its pattern."""
        return PATTERNS[self.pattern]


class Cadences:
    """Follows the cadence of a stream, row by row.

    ``open`` is the newest cadence, ``active`` whether its phase still has something on its side.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        none = [0] * len(_PHASES)
        body = state or {"score": none, "held": none, "since": none, "start": none, "phase": -1, "open": None}
        self._score, self._held, self._since, self._start = (
            np.array(body[name], np.int64) for name in ("score", "held", "since", "start")
        )
        self._phase: int = body["phase"]
        self.open: Cadence | None = body["open"] and Cadence.from_json(body["open"])

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the constructor takes it."""
        return {
            "score": self._score.tolist(),
            "held": self._held.tolist(),
            "since": self._since.tolist(),
            "start": self._start.tolist(),
            "phase": self._phase,
            "open": self.open and self.open.to_json(),
        }

    @property
    def active(self) -> bool:
        """Whether the last row was within a cadence."""
        return self._phase >= 0

    def see(self, row: Row) -> Cadence | None:
        """Take the next row in; the cadence that has ended for good, if one has."""
        if row.repeat not in (STILL, JUMP):
            self._count(row)
        ended = None
        if self._phase < 0 and (sure := np.flatnonzero((self._held >= _ENOUGH) & (self._score >= _SURE))).size:
            ended = self._begin(int(sure[np.argmax(self._score[sure])]), row)
        elif self._phase < 0 and self.open is not None and row.row - self.open.end_row > HOLD_ROWS:
            ended = self.close()
        return ended

    def close(self) -> Cadence | None:
        """Nothing follows: the open cadence ends."""
        ended, self.open, self._phase = self.open, None, -1
        return ended

    def _count(self, row: Row) -> None:
        expected = _EXPECTED[row.row % _ROUND]
        right = expected == row.repeat
        if row.repeat == NEW:
            if not self._score.any():
                return
            self._score[~right] += WRONG
        else:
            begins = right & (self._score == 0)
            self._since[begins], self._start[begins] = row.row, row.start
            wrong = np.where((expected == NEW) & (not row.strong), WEAK, WRONG)
            self._score += np.where(right, RIGHT, wrong)
            self._held[right] += 1
        np.clip(self._score, 0, CAP, out=self._score)
        self._held[self._score == 0] = 0
        if self._phase < 0 or self.open is None:
            return
        if self._score[self._phase] == 0:
            self._phase = -1
        elif right[self._phase] and row.repeat != NEW:
            self.open = replace(self.open, end=row.end, end_row=row.row + 1, repeats=self.open.repeats + 1)

    def _begin(self, phase: int, row: Row) -> Cadence | None:
        """A phase has become certain: the open cadence goes on with it, or ends and another begins."""
        self._phase, before = phase, self.open
        number, since, held = int(_OF[phase]), int(self._since[phase]), int(self._held[phase])
        if before is not None and before.pattern == number and since - before.end_row <= BREAK_ROWS:
            self.open = replace(
                before, end=row.end, end_row=row.row + 1, repeats=before.repeats + held, breaks=before.breaks + 1
            )
            return None
        self.open = Cadence(number, int(self._start[phase]), row.end, since, row.row + 1, held)
        return before
