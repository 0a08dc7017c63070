"""Flash frames: one to three frames of one constant colour that come and go abruptly (EBU QC 0016B, constant colour frames).

Abrupt is scdet's measure: the difference at the edge, less the difference one frame further out (motion, a fade), is at
least 2 % of full scale at both edges; a dip through black is no flash. Frames at the very start or end of the stream, or
beside a hole or a change of geometry, are none either: nothing shows that they interrupt anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.intervals import BoolRows, Rows, stretches

LONGEST = 3
ABRUPT = 0.02


@dataclass(frozen=True, slots=True)
class FlashState:
    """What the next row needs: the differences of the last rows before a run of flat frames, and the run.

    ``before`` is the difference that the newest row that is not flat has to the one after it, ``earlier`` the one before
    that; -1 where there is none. ``frames`` counts the flat frames since, ``leaving`` is the last one's difference.
    """

    before: float = -1.0
    earlier: float = -1.0
    frames: int = 0
    start: int = 0
    row: int = 0
    leaving: float = -1.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> FlashState:
        """The inverse of :meth:`to_json`."""
        return cls(**body)


@dataclass(frozen=True, slots=True)
class Flash:
    """A flash: raw ticks and rows, half-open."""

    start: int
    end: int
    row: int
    end_row: int


def step(state: FlashState, rows: Rows, flat: BoolRows, diff: NDArray[np.float64]) -> tuple[FlashState, list[Flash]]:
    """The state after these rows, and the flashes that they end. ``diff`` is each row's difference to the next, or NaN."""
    known = np.where(np.isnan(diff), -1.0, diff)
    found: list[Flash] = []
    for low, high, is_flat in stretches(flat):
        if is_flat:
            first = state.frames == 0
            state = replace(
                state,
                frames=min(state.frames + high - low, LONGEST + 1),
                start=int(rows.start[low]) if first else state.start,
                row=rows.first + low if first else state.row,
                leaving=float(known[high - 1]),
            )
            continue
        before = state.before
        if state.frames:
            before = state.leaving
            if state.frames <= LONGEST and _abrupt(state.before, state.earlier) and _abrupt(before, float(known[low])):
                found.append(Flash(state.start, int(rows.start[low]), state.row, rows.first + low))
        state = FlashState(before=float(known[high - 1]), earlier=float(known[high - 2]) if high - low > 1 else before)
    return state, found


def _abrupt(edge: float, beyond: float) -> bool:
    """Whether a difference stands out from the one further out, as scdet has it. An unknown one further out is none."""
    return min(edge, abs(edge - max(beyond, 0.0))) >= ABRUPT
