"""Clipping: flat tops at the highest value that a channel ever reaches, put together to intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.sound_hops import FloatArray

SIDES = (("high", "flat_top", "over_top"), ("low", "flat_bottom", "over_bottom"))
"""Names of each side's signals: the extreme value, samples in flat runs at it, what a run cut off."""

_HOP, _CHANNEL, _SIDE, _VALUE, _COUNT, _OVER = range(6)


@dataclass(frozen=True, slots=True)
class Clipped:
    """An interval of hops, half-open, with the number of flat samples in it, the channels and the highest ceiling."""

    start: int
    end: int
    samples: int
    channels: tuple[int, ...]
    ceiling: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """When a flat run is clipping: it is at its channel's ceiling, and the wave would have gone on.

    By at least ``share`` of the ceiling and ``least_steps`` steps of quantisation. ``ceilings`` is ``(2, channels)``, ``steps``
    by channel, all in full scales.
    """

    ceilings: FloatArray
    steps: FloatArray
    share: float
    least_steps: float

    def met(self, rows: FloatArray) -> NDArray[np.bool_]:
        """Which of the rows of :func:`candidates` are clipping."""
        channel, side = rows[:, _CHANNEL].astype(np.int64), rows[:, _SIDE].astype(np.int64)
        ceiling = self.ceilings[side, channel]
        least = np.maximum(self.share * np.abs(ceiling), self.least_steps * self.steps[channel])
        found: NDArray[np.bool_] = (rows[:, _VALUE] == ceiling) & (rows[:, _OVER] >= least)
        return found


def candidates(first_row: int, arrays: Mapping[str, NDArray[Any]], ceilings: FloatArray, floor: float) -> FloatArray:
    """Rows of hops with flat runs at or beyond what each channel has reached so far: only they can be at its ceiling.

    ``ceilings`` is ``(2, channels)``: the highest and lowest value up to these hops' end. Columns: hop, channel, side, value,
    samples, what was cut off.
    """
    rows = []
    for side, (extreme, count, over) in enumerate(SIDES):
        reach = np.abs(arrays[extreme])
        hop, channel = np.nonzero((arrays[count] > 0) & (reach >= np.maximum(np.abs(ceilings[side]), floor)))
        rows.append(
            np.stack(
                [first_row + hop, channel, np.full(len(hop), side)]
                + [arrays[name][hop, channel].astype(np.float64) for name in (extreme, count, over)],
                axis=1,
            )
        )
    return np.concatenate(rows).astype(np.float64)


def clipped(rows: FloatArray, at_least: Threshold, gap: int, holes: NDArray[np.int64]) -> list[Clipped]:
    """Intervals of clipping among :func:`candidates`, now that the ceilings are known.

    Hops up to ``gap`` hops apart make one interval; none reaches over the first hop after a hole (``holes``, ascending).
    """
    rows = rows[at_least.met(rows)]
    rows = rows[np.lexsort((rows[:, _SIDE], rows[:, _CHANNEL], rows[:, _HOP]))]
    hop = rows[:, _HOP]
    piece = np.searchsorted(holes, hop, side="right")
    apart = np.flatnonzero((np.diff(hop) > gap) | (np.diff(piece) > 0)) + 1
    return [_interval(part) for part in np.split(rows, apart) if len(part)]


def _interval(rows: FloatArray) -> Clipped:
    channels = tuple(int(c) for c in np.unique(rows[:, _CHANNEL]))
    ceiling = float(np.abs(rows[:, _VALUE]).max())
    return Clipped(int(rows[0, _HOP]), int(rows[-1, _HOP]) + 1, int(rows[:, _COUNT].sum()), channels, ceiling)
