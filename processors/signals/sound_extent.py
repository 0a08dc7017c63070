"""Where the sound of a programme begins and ends: what is before and after it is room tone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.sound_limits import SoundLimits

NOTHING: dict[str, int | None] = {"sounding": 0, "first": None, "last": None}
"""The state before the first hop: sounding hops up to the last one, the first hop of sound, one past the last one."""


def follow_extent(
    state: Mapping[str, Any], first_row: int, square: NDArray[np.float64], samples: NDArray[np.int32], limits: SoundLimits
) -> dict[str, int | None]:
    """Take hops in: ``square`` ``(rows, channels)`` are sums of squares, ``samples`` are samples a channel.

    Sound is a run of at least ``sound_hops`` hops whose mean square over all channels has ``sound_level``.
    """
    level = 10 ** (limits.sound_level / 10)
    loud = square.sum(axis=1) >= level * np.maximum(samples, 1) * square.shape[1]
    # How many hops in a row have sounded at each hop, with those that were seen before.
    at = np.arange(len(loud))
    silent = np.maximum.accumulate(np.where(loud, -1 - state["sounding"], at))
    run = at - silent
    inside = np.flatnonzero(run >= limits.sound_hops)
    first, last = state["first"], state["last"]
    if len(inside):
        first = first_row + int(inside[0]) - int(run[inside[0]]) + 1 if first is None else first
        last = first_row + int(inside[-1]) + 1
    return {"sounding": int(run[-1]), "first": first, "last": last}
