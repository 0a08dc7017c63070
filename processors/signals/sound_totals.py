"""What is summed over a whole stream of sound: levels, offsets, correlation, the noise floor, the steps of its codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.sound_hops import FloatArray, window_sum

FLOAT_STEP = 2.0**-15
"""Taken for the step of float samples: as coarse as 16 bits, which they may have been before."""


def nothing_yet(channels: int) -> dict[str, Any]:
    """The totals before the first hop: arrays by channel, JSON-able with numpy arrays at the top."""
    return {
        "samples": 0,
        "sum": np.zeros(channels),
        "square": np.zeros(channels),
        "cross": np.zeros(max(0, channels - 1)),
        "apart": np.zeros(max(0, channels - 1)),
        "ceilings": np.zeros((2, channels)),
        "used": np.zeros(channels, np.int64),
        "floor": None,
    }


def add(totals: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The totals with some hops more (all but the noise floor)."""
    high, low = (getattr(arrays[n], m)(axis=0).astype(np.float64) for n, m in (("high", "max"), ("low", "min")))
    return {
        "samples": totals["samples"] + int(arrays["samples"].sum()),
        "sum": totals["sum"] + arrays["sum"].sum(axis=0),
        "square": totals["square"] + arrays["square"].sum(axis=0),
        **{name: totals[name] + arrays[name].sum(axis=0) for name in ("cross", "apart") if name in arrays},
        "ceilings": np.stack([np.maximum(totals["ceilings"][0], high), np.minimum(totals["ceilings"][1], low)]),
        "used": totals["used"] | np.bitwise_or.reduce(arrays["used"], axis=0).astype(np.int64),
        "floor": totals["floor"],
    }


def quietest(so_far: float | None, square: FloatArray, window: int) -> float | None:
    """The lowest sum over ``window`` hops none of which is digital silence; None where there is no such window."""
    sums = window_sum(np.where(square > 0, square, np.inf), window)
    lowest = min(float(sums.min(initial=math.inf)), math.inf if so_far is None else so_far)
    return None if math.isinf(lowest) else lowest


def steps(used: NDArray[np.int64]) -> FloatArray:
    """The quantisation step of each channel in full scales, from the bits that its codes use (0: float samples)."""
    lowest = (used & -used).astype(np.float64)
    return np.where(used == 0, FLOAT_STEP, lowest * 2.0**-31)


def level(square: float) -> float:
    """A mean square in dBFS (a full-scale sine reads −3.01)."""
    return 10 * math.log10(square)


def correlation(left: float, right: float, cross: float) -> float | None:
    """Correlation of two channels from their sums of products, −1 … 1; None where one is silent."""
    both = math.sqrt(left) * math.sqrt(right)
    return max(-1.0, min(1.0, cross / both)) if both else None


HIGHEST_LOSS = 50.0
"""dB: stands for a downmix that is silent."""


def downmix_loss(left: float, right: float, cross: float) -> float | None:
    """How far the power of left plus right is below that of two channels in phase, in dB: 0 for mono, 3 where the channels have
    nothing in common, more where they cancel each other; None where both are silent.
    """
    if not left + right:
        return None
    share = max(0.0, left + right + 2 * cross) / (2 * (left + right))
    return max(0.0, min(HIGHEST_LOSS, -10 * math.log10(share))) if share else HIGHEST_LOSS


def residual(left: float, right: float, apart: float) -> float:
    """The power of two channels' difference against that of both, in dB; −inf where they are equal."""
    return 10 * math.log10(apart / (left + right)) if apart else -math.inf
