"""Gated loudness from the energies of 10 ms hops: ITU-R BS.1770-5 annex 1, EBU Tech 3341 and 3342."""

from __future__ import annotations

import math

import numpy as np

from processors.signals.sound_hops import FloatArray

OFFSET = -0.691
"""dB: makes a 997 Hz sine at 0 dBFS in one front channel read −3.01 LUFS."""

MOMENTARY_HOPS = 40
SHORT_TERM_HOPS = 300
STEP_HOPS = 10
"""Hops between gating blocks (75 % overlap of 400 ms) and between the short-term values of the loudness range (100 ms)."""

ABSOLUTE_GATE = -70.0
RELATIVE_GATE = -10.0
RANGE_RELATIVE_GATE = -20.0
RANGE_PERCENTILES = (0.10, 0.95)


def lufs(power: float) -> float:
    """Loudness of a weighted mean square, which must be above 0."""
    return OFFSET + 10 * math.log10(power)


def power_of(level: float) -> float:
    """The weighted mean square of a loudness: the inverse of :func:`lufs`."""
    return float(10 ** ((level - OFFSET) / 10))


def integrated(blocks: FloatArray) -> float | None:
    """Programme loudness in LUFS of the mean squares of all 400 ms blocks; None where the gates leave nothing."""
    loud = blocks[blocks > power_of(ABSOLUTE_GATE)]
    if not len(loud):
        return None
    gate = loud.mean() * 10 ** (RELATIVE_GATE / 10)
    return lufs(float(loud[loud > gate].mean()))


def loudness_range(short_term: FloatArray) -> float | None:
    """Loudness range in LU of the mean squares of all 3 s windows; None where the gates leave nothing.

    Percentiles are the values nearest in rank, as in the reference code of EBU Tech 3342.
    """
    loud = short_term[short_term >= power_of(ABSOLUTE_GATE)]
    if not len(loud):
        return None
    gated = np.sort(loud[loud >= loud.mean() * 10 ** (RANGE_RELATIVE_GATE / 10)])
    low, high = (float(gated[math.floor((len(gated) - 1) * p + 0.5)]) for p in RANGE_PERCENTILES)
    return 10 * math.log10(high / low)
