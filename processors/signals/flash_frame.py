"""Flash frames: one to three frames of one constant colour that come and go abruptly (EBU QC 0016B, constant colour frames).

Abrupt is scdet's measure: the difference at the edge, less the difference one frame further out (motion, a fade), is at
least 2 % of full scale at both edges; a dip through black is no flash. What comes before and after may be plain too: where one
colour becomes another as abruptly, one run ends and the next begins. Frames at the very start or end of the stream, or
beside a hole or a change of geometry, are none either: nothing shows that they interrupt anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.intervals import BoolRows, Rows

LONGEST = 3
ABRUPT = 0.02


@dataclass(frozen=True, slots=True)
class FlashState:
    """What the next row needs: the differences of the last rows before a run of flat frames, and the run.

    ``before`` is the difference that the newest row before the run has to the one after it, ``earlier`` the one before that;
    -1 where there is none. ``frames`` counts the flat frames since, ``leaving`` is the last one's difference, ``prior`` that of
    the row before it.
    """

    before: float = -1.0
    earlier: float = -1.0
    frames: int = 0
    start: int = 0
    row: int = 0
    leaving: float = -1.0
    prior: float = -1.0

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
    for low, high in pairwise(_edges(flat, known)):
        goes_on = flat[low] and state.frames and state.leaving < ABRUPT
        ended = 0 < state.frames <= LONGEST and not goes_on
        if ended and _abrupt(state.before, state.earlier) and _abrupt(state.leaving, float(known[low])):
            found.append(Flash(state.start, int(rows.start[low]), state.row, rows.first + low))
        before, earlier = (state.leaving, state.prior) if state.frames else (state.before, state.earlier)
        newest, prior = float(known[high - 1]), float(known[high - 2]) if high - low > 1 else before
        if not flat[low]:
            state = FlashState(before=newest, earlier=prior)
        elif goes_on:
            state = replace(state, frames=min(state.frames + high - low, LONGEST + 1), leaving=newest, prior=prior)
        else:
            frames, start, row = min(high - low, LONGEST + 1), int(rows.start[low]), rows.first + low
            state = FlashState(before, earlier, frames, start, row, newest, prior)
    return state, found


def _edges(flat: BoolRows, known: NDArray[np.float64]) -> list[int]:
    """Where runs begin, and the end: of pictures, or of one colour."""
    turns = np.diff(flat) | (flat[:-1] & flat[1:] & (known[:-1] >= ABRUPT))
    return [0, *(np.flatnonzero(turns) + 1).tolist(), len(flat)]


def _abrupt(edge: float, beyond: float) -> bool:
    """Whether a difference stands out from the one further out, as scdet has it. An unknown one further out is none."""
    return min(edge, abs(edge - max(beyond, 0.0))) >= ABRUPT
