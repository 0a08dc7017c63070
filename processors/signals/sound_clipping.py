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


def clipped(
    rows: FloatArray, ceilings: FloatArray, steps: FloatArray, share: float, least_steps: float, gap: int
) -> list[Clipped]:
    """Intervals of clipping among :func:`candidates`, now that the ceilings are known.

    A run counts where the wave would have gone on by at least ``share`` of the ceiling and by ``least_steps`` steps of
    quantisation (``steps``, by channel). Hops up to ``gap`` hops apart make one interval.
    """
    channel, side = rows[:, _CHANNEL].astype(np.int64), rows[:, _SIDE].astype(np.int64)
    ceiling = ceilings[side, channel]
    least = np.maximum(share * np.abs(ceiling), least_steps * steps[channel])
    rows = rows[(rows[:, _VALUE] == ceiling) & (rows[:, _OVER] >= least)]
    rows = rows[np.lexsort((rows[:, _SIDE], rows[:, _CHANNEL], rows[:, _HOP]))]
    apart = np.flatnonzero(np.diff(rows[:, _HOP]) > gap) + 1
    return [_interval(part) for part in np.split(rows, apart) if len(part)]


def _interval(rows: FloatArray) -> Clipped:
    channels = tuple(int(c) for c in np.unique(rows[:, _CHANNEL]))
    ceiling = float(np.abs(rows[:, _VALUE]).max())
    return Clipped(int(rows[0, _HOP]), int(rows[-1, _HOP]) + 1, int(rows[:, _COUNT].sum()), channels, ceiling)
