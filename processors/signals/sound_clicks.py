"""Clicks: single impulses that stand far above everything around them once what changes slowly is taken away."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from processors.signals.sound_hops import HopView
from processors.signals.sound_limits import DefectLimits, full_scales

BLOCKS = 10
"""Blocks of about a millisecond in a hop."""

_NEAR = 2
"""Blocks on either side that a click may ring into; they are not its surroundings."""


def clicks(view: HopView, limits: DefectLimits) -> NDArray[np.int32]:
    """Clicks that lie in each output hop, ``(rows, channels)``.

    Where the fourth difference of a millisecond, in sixteenths, has ``click_level`` and ``click_ratio`` times the highest
    that there is up to ``click_clear_seconds`` on either side. Waves with a step in each period have none, nor has noise;
    nothing is counted so near the stream's ends.
    """
    clear = round(limits.click_clear_seconds * 100 * BLOCKS)
    first = view.first_row * BLOCKS
    low, high = first - clear, (view.first_row + view.rows) * BLOCKS + clear
    wanted = np.arange(low, high + 1, dtype=np.int64) * view.rate // (100 * BLOCKS) - view.first_unit
    inside = (wanted[:-1] >= 2) & (wanted[1:] <= view.raw.shape[1] - 2)
    found = np.zeros((view.rows, len(view.raw)), np.int32)
    if not inside.any():
        return found
    least = full_scales(limits.click_level)
    begin, end = int(np.flatnonzero(inside)[0]), int(np.flatnonzero(inside)[-1]) + 1
    edges = wanted[begin : end + 1]
    for channel, codes in enumerate(view.raw):
        heights = np.full(high - low, np.inf)
        heights[begin:end] = np.maximum.reduceat(_roughness(codes[edges[0] - 2 : edges[-1] + 2]), edges[:-1] - edges[0])
        heights[begin:end] *= view.scale / 16
        found[:, channel] = _alone(heights, clear, least, limits.click_ratio).reshape(view.rows, BLOCKS).sum(axis=1)
    return found


def _roughness(codes: NDArray[np.generic]) -> NDArray[np.float32]:
    """The absolute fourth difference of samples 2 … −2."""
    x = codes.astype(np.float32)
    for _ in range(4):
        x = x[1:] - x[:-1]
    return np.abs(x, out=x)


def _alone(heights: NDArray[np.float64], clear: int, least: float, ratio: float) -> NDArray[np.bool_]:
    """Which blocks, without the ``clear`` at either end, are the highest of their neighbours and far above all around them."""
    here = heights[clear:-clear]
    windows = sliding_window_view(heights, clear - _NEAR + 1).max(axis=-1)
    before, after = windows[: len(here)], windows[clear + _NEAR :]
    top = (here > heights[clear - 1 : -clear - 1]) & (here >= heights[clear + 1 : len(heights) - clear + 1])
    alone: NDArray[np.bool_] = np.isfinite(here) & top & (here >= least) & (here >= ratio * np.maximum(before, after))
    return alone
