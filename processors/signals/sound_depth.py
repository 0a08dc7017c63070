"""The bits that samples use: how deep sound is, whatever it is stored in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.sound_hops import HopView, hop_reduce

CONTAINER_BITS = {"u8": 8, "s16": 16, "s32": 24}
"""Bits that FFmpeg's sample formats stand for: 24 bit sound comes in 32."""

_FLOAT_BITS = 23
"""A float sample that is a whole number of steps of 24 bits was a whole number before."""

_PROBES = 8


def used_bits(view: HopView) -> NDArray[np.int32]:
    """The bits that each output hop's codes use, aligned to 32, ``(rows, channels)``; bit 0 in hops of float samples that are
    no whole numbers of steps of 24 bits.
    """
    if view.raw.dtype.kind != "f":
        bits = hop_reduce(np.bitwise_or, view.raw, view.edges).astype(np.int32)
        return np.left_shift(bits, 32 - 8 * view.raw.dtype.itemsize).T
    used = np.ones((len(view.raw), view.rows), np.int32)
    # A few samples say it of nearly every hop.
    probes = view.edges[:-1, None] + (np.diff(view.edges)[:, None] - 1) * np.arange(_PROBES) // (_PROBES - 1)
    for channel, row in np.argwhere(_whole(view.raw[:, probes])):
        codes = view.raw[channel, view.edges[row] : view.edges[row + 1]]
        if _whole(codes):
            steps = np.bitwise_or.reduce(np.ldexp(codes, _FLOAT_BITS).astype(np.int64))
            used[channel, row] = np.int64(steps << 8).astype(np.int32)
    return used.T


def _whole(codes: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether all along the last axis are whole numbers of steps."""
    steps = np.ldexp(codes, _FLOAT_BITS)
    whole: NDArray[np.bool_] = (steps == np.rint(steps)).all(axis=-1)
    return whole


def depth(used: int) -> int | None:
    """Bits of samples that use these; None for float samples, which have no depth, and for digital silence."""
    return None if not used or used & 1 else 33 - (used & -used).bit_length()
