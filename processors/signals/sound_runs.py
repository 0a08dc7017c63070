"""Flat tops: runs of equal samples at a hop's highest or lowest value, as clipping leaves them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.signals.sound_hops import FloatArray

SHORTEST = 3
"""Equal samples that make a run."""


class FlatTops(NamedTuple):
    """Per hop of one channel: samples in runs that begin in the hop at its extreme value, and the most that one cut off."""

    samples: NDArray[np.int32]
    overshoot: FloatArray


Runs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Starts and lengths."""


def runs_of_equals(codes: NDArray[Any]) -> Runs:
    """Starts and lengths of all runs of at least three equal samples other than 0."""
    equal = codes[1:] == codes[:-1]
    triple = np.zeros(max(0, len(codes) - 2) + 2, np.bool_)
    np.logical_and(equal[1:], equal[:-1], out=triple[1:-1])
    triple[1:-1] &= codes[: len(triple) - 2] != 0
    turns = np.flatnonzero(triple[1:] != triple[:-1])
    return turns[::2], turns[1::2] - turns[::2] + SHORTEST - 1


def flat_tops(
    codes: NDArray[Any], runs: Runs, edges: NDArray[np.int64], extreme: NDArray[Any], sign: int, rate: int
) -> FlatTops:
    """Flat tops (``sign`` 1; −1: flat bottoms) of one channel's samples, in codes.

    ``runs`` are :func:`runs_of_equals` of them, ``extreme`` is each hop's highest (lowest) code. A run belongs to the hop
    that it begins in, and counts up to one hop's length, so that one hop of context on either side is enough. What a run cut
    off is estimated as the height of a parabola over the run that goes on with the slope which the signal has before and
    after it: a few steps of quantisation for the round top of a slow or quiet wave, much more where a wave was clipped.
    """
    starts, lengths = runs
    inside = (starts >= edges[0]) & (starts < edges[-1])
    starts, lengths = starts[inside], lengths[inside]
    hop = np.searchsorted(edges, starts, side="right") - 1
    level = codes[starts]
    top = (level == extreme[hop]) & (level > 0 if sign > 0 else level < 0)
    starts, lengths, hop = starts[top], lengths[top], hop[top]
    cap = rate // 100 - SHORTEST
    whole = lengths <= cap
    lengths = np.minimum(lengths, cap)
    rise = _drop(codes, starts, starts - 2, sign)
    fall = np.where(whole, _drop(codes, starts, starts + lengths + 1, sign), 0.0)
    height = (lengths + 1) / 16 * (rise + fall)
    count, overshoot = np.zeros(len(edges) - 1, np.int32), np.zeros(len(edges) - 1)
    np.add.at(count, hop, lengths.astype(np.int32))
    np.maximum.at(overshoot, hop, height)
    return FlatTops(count, overshoot)


def _drop(codes: NDArray[Any], runs: NDArray[np.int64], there: NDArray[np.int64], sign: int) -> FloatArray:
    """How far below a run (for bottoms: above) the signal is at another place; 0 where there is no signal."""
    known = (there >= 0) & (there < len(codes))
    at = codes[np.where(known, there, runs)].astype(np.float64)
    return np.maximum(0.0, sign * (codes[runs].astype(np.float64) - at))
