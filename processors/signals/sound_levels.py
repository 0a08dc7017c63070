"""Levels of each hop for sound QC: sums, extremes, used bits, flat tops and quiet edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.sound_hops import HopView, hop_reduce
from processors.signals.sound_quiet import QuietEdges, hop_is_quiet, quiet_edges
from processors.signals.sound_runs import flat_tops, runs_of_equals
from schemas.chunk import hop_edge

Arrays = dict[str, NDArray[Any]]


def hop_levels(view: HopView, silence: float) -> Arrays:
    """The signals of task audio-qc on a chunk's output hops; ``silence`` is the level in full scales below which it is quiet.

    By channel, ``(rows, channels)``: ``high``, ``low`` (float32), ``sum``, ``square`` (float64), ``used`` (int32: the bits
    that the codes use, aligned to 32; 0 for float samples), ``flat_top``, ``flat_bottom`` (int32), ``over_top``,
    ``over_bottom`` (float32, full scales; see :func:`flat_tops`). By each two neighbours, ``(rows, channels - 1)`` float64,
    not for a single channel: ``cross`` (sums of products) and ``apart`` (of squared differences). By hop, int32:
    ``quiet_head``, ``quiet_tail``, ``zero_head``, ``zero_tail``, ``samples``, ``invalid``.
    """
    high = hop_reduce(np.maximum, view.raw, view.edges)
    low = hop_reduce(np.minimum, view.raw, view.edges)
    return {
        "high": (high * view.scale).astype(np.float32).T,
        "low": (low * view.scale).astype(np.float32).T,
        **_sums(view),
        "used": _used_bits(view).T,
        **_flat(view, high, low),
        **_quiet(view, high, low, silence),
        "samples": view.lengths,
        "invalid": view.invalid,
    }


def _sums(view: HopView) -> Arrays:
    span = slice(int(view.edges[0]), int(view.edges[-1]))
    samples = np.multiply(view.raw[:, span], view.scale, dtype=np.float64)
    edges = view.edges - view.edges[0]
    sums = {
        "sum": hop_reduce(np.add, samples, edges).T,
        "square": hop_reduce(np.add, samples * samples, edges).T,
    }
    if len(samples) > 1:
        sums["cross"] = hop_reduce(np.add, samples[:-1] * samples[1:], edges).T
        sums["apart"] = hop_reduce(np.add, np.square(samples[:-1] - samples[1:]), edges).T
    return sums


def _used_bits(view: HopView) -> NDArray[np.int32]:
    if view.raw.dtype.kind == "f":
        return np.zeros((view.raw.shape[0], view.rows), np.int32)
    bits = hop_reduce(np.bitwise_or, view.raw, view.edges).astype(np.int32)
    return np.left_shift(bits, 32 - 8 * view.raw.dtype.itemsize)


def _flat(view: HopView, high: NDArray[Any], low: NDArray[Any]) -> Arrays:
    tops, bottoms = [], []
    for codes, highest, lowest in zip(view.raw, high, low, strict=True):
        runs = runs_of_equals(codes)
        tops.append(flat_tops(codes, runs, view.edges, highest, 1, view.rate))
        bottoms.append(flat_tops(codes, runs, view.edges, lowest, -1, view.rate))
    return {
        "flat_top": np.stack([t.samples for t in tops], axis=1),
        "flat_bottom": np.stack([t.samples for t in bottoms], axis=1),
        "over_top": np.stack([t.overshoot * view.scale for t in tops], axis=1).astype(np.float32),
        "over_bottom": np.stack([t.overshoot * view.scale for t in bottoms], axis=1).astype(np.float32),
    }


def _quiet(view: HopView, high: NDArray[Any], low: NDArray[Any], silence: float) -> Arrays:
    wide = np.float64 if view.raw.dtype.kind == "f" else np.int64
    loudest = np.maximum(high.astype(wide), -low.astype(wide)).max(axis=0)
    quiet = _edges(view, loudest, highest_quiet(view, silence))
    zero = _edges(view, loudest, 0)
    return {"quiet_head": quiet.head, "quiet_tail": quiet.tail, "zero_head": zero.head, "zero_tail": zero.tail}


def highest_quiet(view: HopView, silence: float) -> float | int:
    """The highest absolute code that is quiet: below ``silence`` full scales, rounded down to a code as silencedetect does."""
    if view.raw.dtype.kind == "f":
        return float(np.nextafter(view.raw.dtype.type(silence), view.raw.dtype.type(0)))
    return math.floor(silence * (1 / view.scale - 1)) - 1


def _edges(view: HopView, loudest: NDArray[Any], limit: float) -> QuietEdges:
    begin, low, high = view.first_unit, int(view.edges[0]), int(view.edges[-1])
    before = hop_is_quiet(view.raw, hop_edge(view.rate, view.first_row - 1) - begin, low, limit)
    after = hop_is_quiet(view.raw, high, hop_edge(view.rate, view.first_row + view.rows + 1) - begin, limit)
    return quiet_edges(view.raw, view.edges, loudest, limit, (before, after))
