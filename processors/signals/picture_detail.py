"""Blockiness, blur, noise and banding of a luma plane at native resolution. What a scaled picture no longer shows.

Planes are float32 of shape (height, width) in 8-bit codes, whatever the depth: 10-bit codes are quarters.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.float32]

_BLOCK_LINES, _EDGE_LINES, _BAND_LINES = 2, 4, 4
"""Every so manieth line is looked at, across and down: a figure of the picture does not need each."""

PERIOD = 8
"""Of transform blocks, in pixels."""
_AROUND = 3
"""A gradient is held against those of so many pixels on either side (Muijs and Kirenko, 2005)."""
_FLAT = 0.01
"""Added to both sides of the ratio: a picture without any gradient has no blocks."""

EDGE_RISE = 24.0
"""8-bit codes from the foot to the top of an edge that counts."""
_EDGES = 0.001
"""Of the pixels: with fewer edges there is nothing to tell sharpness by."""
_SHARP_QUARTILE = 25
"""A picture is as sharp as its sharpest quarter of edges: the background may be out of focus."""

_TILE = 32
_SMOOTHEST = 10
"""Percentile of tiles: noise is measured where there is the least texture."""
_LEAST_TILES = 8
_CLIPPED = 20.0, 232.0
"""A tile whose mean is not between these 8-bit codes has its noise cut off."""
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)

_FLAT_RUN = 8
"""Pixels of one code, at least, on both sides of a contour."""
_CONTOUR = 0.5, 2.0
"""8-bit codes by which they differ."""


class Blockiness(NamedTuple):
    """Gradients at the edges of 8x8 blocks against all others (1: no blocks), and at which pixel (0…7) blocks begin."""

    ratio: float
    across: int
    down: int


def blockiness(luma: Luma) -> Blockiness:
    """8-periodic gradients in both directions; the ratio is the mean of both. NaN below 24 pixels."""
    if min(luma.shape) < 3 * PERIOD:
        return Blockiness(math.nan, 0, 0)
    (across, x), (down, y) = (_periodic(lines) for lines in _lines(luma, _BLOCK_LINES))
    return Blockiness((across + down) / 2, x, y)


def _lines(luma: Luma, every: int) -> tuple[Luma, Luma]:
    """Every so manieth row, and column, as rows."""
    return np.ascontiguousarray(luma[::every]), np.ascontiguousarray(luma[:, ::every].T)


def _periodic(luma: Luma) -> tuple[float, int]:
    """The largest ratio over all phases, and the column (0…7) at which blocks begin."""
    step = np.abs(luma[:, 1:] - luma[:, :-1])
    window = cv2.boxFilter(step, cv2.CV_32F, (2 * _AROUND + 1, 1), normalize=False)
    relative = step / np.maximum(window - step, 1.0)
    profile = relative[:, _AROUND:-_AROUND].mean(axis=0, dtype=np.float64)
    begins = (np.arange(len(profile)) + _AROUND + 1) % PERIOD
    at = np.bincount(begins, profile, PERIOD)
    count = np.bincount(begins, minlength=PERIOD)
    others = (at.sum() - at) / (len(profile) - count)
    ratio = (at / count + _FLAT) / (others + _FLAT)
    return float(ratio.max()), int(ratio.argmax())


def edge_width(luma: Luma) -> float:
    """Width of the sharpest quarter's widest edge, in pixels: an edge's height over its steepest step (1: one pixel).

    An edge is a run of rising, or of falling, samples in a row or column (Marziliano, 2002). NaN where there are too few.
    """
    lines = _lines(luma, _EDGE_LINES)
    widths = np.concatenate([_widths(part) for part in lines])
    if len(widths) < max(1.0, _EDGES * lines[0].size):
        return math.nan
    return float(np.percentile(widths, _SHARP_QUARTILE))


def _widths(luma: Luma) -> NDArray[np.float32]:
    step = np.zeros(luma.shape, np.float32)  # the last column stays 0 and ends what a row has left
    step[:, :-1] = luma[:, 1:] - luma[:, :-1]
    flat = step.ravel()
    rising = np.sign(flat).astype(np.int8)
    begins = np.flatnonzero(np.diff(rising, prepend=np.int8(2)))
    rise = np.abs(np.add.reduceat(flat, begins, dtype=np.float64))
    steepest = np.maximum.reduceat(np.abs(flat), begins)
    strong = rise >= EDGE_RISE
    return np.asarray(rise[strong] / steepest[strong], np.float32)


def noise(luma: Luma) -> float:
    """Standard deviation of noise in 8-bit codes, by Immerkær's operator (1996), where there is the least texture.

    NaN where too little of the picture is neither black nor white.
    """
    down, across = luma.shape[0] // _TILE, luma.shape[1] // _TILE
    if not down or not across:
        return math.nan
    part = luma[: down * _TILE, : across * _TILE]
    response = np.abs(cv2.filter2D(part, cv2.CV_32F, _IMMERKAER, borderType=cv2.BORDER_REFLECT_101))
    deviation, mean = _tile_means(response) * math.sqrt(math.pi / 2) / 6, _tile_means(part)
    known = deviation[(mean >= _CLIPPED[0]) & (mean <= _CLIPPED[1])]
    return float(np.percentile(known, _SMOOTHEST)) if len(known) >= min(_LEAST_TILES, down * across) else math.nan


def _tile_means(plane: Luma) -> NDArray[np.float64]:
    down, across = plane.shape[0] // _TILE, plane.shape[1] // _TILE
    found: NDArray[np.float64] = plane.reshape(down, _TILE, across, _TILE).mean(axis=(1, 3), dtype=np.float64)
    return found


def banding(luma: Luma) -> float:
    """The share of pixels in flat runs that a faint contour parts from another one, in rows or in columns: the greater."""
    return max(_banded(part) / part.size for part in _lines(luma, _BAND_LINES))


def _banded(luma: Luma) -> int:
    flat = luma.ravel()
    edge = np.ones(len(flat), bool)
    edge[1:] = flat[1:] != flat[:-1]
    edge[:: luma.shape[1]] = True
    begins = np.flatnonzero(edge)
    lengths = np.diff(begins, append=len(flat))
    step = np.abs(np.diff(flat[begins]))
    wide = lengths >= _FLAT_RUN
    contour = (step >= _CONTOUR[0]) & (step <= _CONTOUR[1]) & wide[1:] & wide[:-1] & (begins[1:] % luma.shape[1] != 0)
    banded = np.zeros(len(begins), bool)
    banded[1:] |= contour
    banded[:-1] |= contour
    return int(lengths[banded].sum())
