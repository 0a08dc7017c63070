"""Regular patterns after ITU-R BT.1702-3, guideline 2: light and dark stripes over a large part of the screen.

A pattern is more than five light-dark pairs of one period along a row or a column of the proxy, which stripes of any
orientation, straight or curved, and rows of repeated elements show along one of them. A pair counts as clearly discernible if
its stripes differ as the states of a flash must: by 20 cd/m², with the darker one below 160 cd/m²; the lighter one exceeds
50 cd/m². Luma is taken as grey.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.signals.display_light import HDR_TRANSFERS, Scale, to_nits
from processors.signals.flash_cells import counts
from schemas.chunk import Chunk

PAIRS = 6
"""More than five."""
LIGHTEST = 50.0
"""cd/m²: the lighter stripe of a pattern that matters is brighter (Wilkins, Emmett and Harding, 2005)."""
_UNEVEN = 0.25
"""A pair differs from the next one by at most this share of its width, or by a pixel."""
LEAST_WIDTH = 4
"""Of a pair, in proxy pixels: what is finer is not resolved."""
_AROUND = 65
"""Pixels of a line whose mean parts light from dark."""
_COARSE, _FINE = 8, 4
"""Every so manieth line is looked at: of every picture, and of one that has stripes."""
_SUSPECT = 0.1
"""Of the screen: with less of it striped the picture is not looked at again."""

Points = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stripes:
    """At points four proxy pixels apart: where there is a pattern, and whether it is light there."""

    pattern: Points
    light: Points

    @property
    def share(self) -> float:
        """Of the screen."""
        return float(self.pattern.mean())

    def reversed(self, following: Stripes) -> float:
        """The share of the pattern that the next frame has light where this one is dark, or dark where it is light."""
        return float((self.light != following.light)[self.pattern].mean())


def stripe_signals(chunk: Chunk, low: int, high: int) -> dict[str, NDArray[Any]]:
    """Signals of the proxy chunk's rows ``[low, high)``: ``stripes``, the share of the screen with a regular pattern, and
    ``reversed``, the share of it that is light here and dark in the next frame, or the other way (NaN without either, and where
    next to nothing of it is left).
    """
    header, luma = chunk.header, chunk.part("y")
    table = _nits(header.bit_depth or 8, header.colour_range == "full", header.transfer)
    hdr = header.transfer in HDR_TRANSFERS
    share, turned = np.zeros(high - low), np.full(high - low, np.nan)
    last: Stripes | None = None
    for k, at in enumerate(range(low - header.first_row, min(high - header.first_row + 1, len(luma)))):
        seen = stripes(luma[at], table, hdr=hdr)
        if last is not None and last.pattern.any() and last.light.shape == seen.light.shape:
            turned[k - 1] = last.reversed(seen)
        if k < high - low:
            share[k] = seen.share
        last = seen
    return {"stripes": share, "reversed": turned}


def stripes(luma: NDArray[Any], nits: NDArray[np.float32], *, hdr: bool) -> Stripes:
    """The stripes of a proxy's luma plane; ``nits`` is light by code."""
    if max(luma.shape) < LEAST_WIDTH * PAIRS or min(luma.shape) < _COARSE:
        nowhere = np.zeros((1, 1), bool)
        return Stripes(nowhere, nowhere)
    found = _at_points(luma, nits, _COARSE, hdr=hdr)
    return found if found.share < _SUSPECT else _at_points(luma, nits, _FINE, hdr=hdr)


def _at_points(luma: NDArray[Any], nits: NDArray[np.float32], every: int, *, hdr: bool) -> Stripes:
    half = every // 2
    rows, columns = np.take(nits, luma[half::every]), np.take(nits, np.ascontiguousarray(luma[:, half::every].T))
    across, light = (part[:, half::every] for part in _along(rows, hdr=hdr))
    down, light_down = (part[:, half::every].T for part in _along(columns, hdr=hdr))
    return Stripes(across | down, np.where(across, light, light_down))


def _along(lines: NDArray[np.float32], *, hdr: bool) -> tuple[Points, Points]:
    """Where lines, which are rows in cd/m², are part of a pattern, and where they are light."""
    light = lines > cv2.blur(lines, (_AROUND, 1), borderType=cv2.BORDER_REFLECT)
    edge = np.ones(lines.shape, bool)
    edge[:, 1:] = light[:, 1:] != light[:, :-1]
    begins = np.flatnonzero(edge)
    if len(begins) < 2 * PAIRS:
        return np.zeros(lines.shape, bool), light
    lengths, line = np.diff(begins, append=lines.size), begins // lines.shape[1]
    flat, is_light = lines.ravel(), light.ravel()[begins]
    extreme = np.where(is_light, np.maximum.reduceat(flat, begins), np.minimum.reduceat(flat, begins))
    dark, bright = np.minimum(extreme[1:], extreme[:-1]), np.maximum(extreme[1:], extreme[:-1])
    pair = counts(bright - dark, dark, hdr=hdr) & (bright > LIGHTEST) & (line[1:] == line[:-1])
    width = lengths[1:] + lengths[:-1]
    even = (np.abs(width[1:] - width[:-1]) <= np.maximum(1, _UNEVEN * width[1:])) & (width[1:] >= LEAST_WIDTH)
    return np.repeat(_chained(pair[1:] & pair[:-1] & even), lengths).reshape(lines.shape), light


def _chained(regular: Points) -> Points:
    """Which runs are part of a pattern; ``regular`` is of each run and the two behind it."""
    edges = np.diff(regular.astype(np.int8), prepend=0, append=0)
    first, end = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long_enough = end - first + 2 >= 2 * PAIRS - 1  # what lies beside a pattern may run together with its last stripe
    marks = np.zeros(len(regular) + 3, np.int32)
    np.add.at(marks, first[long_enough], 1)
    np.add.at(marks, end[long_enough] + 2, -1)
    return np.asarray(np.cumsum(marks)[:-1] > 0)


@functools.lru_cache(maxsize=8)
def _nits(bit_depth: int, full_range: bool, transfer: str | None) -> NDArray[np.float32]:
    scale = Scale.of(bit_depth, full_range=full_range)
    signal = (np.arange(1 << max(bit_depth, 8), dtype=np.float64) - scale.black) / scale.luma
    return to_nits(signal, transfer).astype(np.float32)
