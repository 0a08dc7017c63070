"""Cards: still text on a plain ground (slates, titles, credits), told by two luma peaks and by strokes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_GROUND_SHARE = 0.6
"""At least this share of the picture is of one colour, within two 8-bit codes."""

_LIKELY_SHARE = 0.4

_INK_OF_REST = 0.25
"""At least this share of the rest is of one luma, within eight codes; what is left are the letters' soft edges, which are most
of it where strokes are two pixels wide."""

_INK_SHARE = 0.002
_CONTRAST = 40
_PLAIN_CHROMA = 0.8

_LINES = 96
_STROKED_LINES, _STROKES, _WIDEST_STROKE = 4, 6, 0.04
"""Text: in at least four of 96 lines there are at least six strokes, half of them no wider than 4 % of the picture."""


def is_card(planes: tuple[NDArray[Any], ...], bit_depth: int) -> bool:
    """Whether a Y'CbCr or grey picture is text on a plain ground. A picture of one colour alone is not."""
    shift, luma = bit_depth - 8, planes[0]
    if not _may_have_ground(luma, 2 << shift):
        return False
    sampled = luma[:: max(1, luma.shape[0] // _LINES), ::4]
    histogram = _histogram(sampled, shift)
    ground = int(np.argmax(histogram))
    share = _share(histogram, ground, 2)
    histogram[max(0, ground - 6) : ground + 7] = 0
    ink = int(np.argmax(np.convolve(histogram, np.ones(9, np.int64), "same")))
    inked = _share(histogram, ink, 8, of=sampled.size)
    if share < _GROUND_SHARE or inked < max(_INK_SHARE, _INK_OF_REST * (1 - share)) or abs(ink - ground) < _CONTRAST:
        return False
    if any(_plainness(plane[::8, ::4], shift) < _PLAIN_CHROMA for plane in planes[1:]):
        return False
    return _has_strokes(luma, ground << shift, ink << shift)


def _may_have_ground(luma: NDArray[Any], spread: int) -> bool:
    """Whether 64 pixels look as if most were of one colour: refuses most pictures at once."""
    down, across = max(1, luma.shape[0] // 8), max(1, luma.shape[1] // 8)
    codes = sorted(luma[down // 2 :: down, across // 2 :: across].ravel().tolist())
    middle = codes[len(codes) // 2]
    near = bisect_right(codes, middle + spread) - bisect_left(codes, middle - spread)
    return near >= _LIKELY_SHARE * len(codes)


def _has_strokes(luma: NDArray[Any], ground: int, ink: int) -> bool:
    lines = luma[:: max(1, luma.shape[0] // _LINES)]
    inked = lines > (ground + ink) / 2 if ink > ground else lines < (ground + ink) / 2
    edges = np.diff(inked.astype(np.int8), axis=1, prepend=0, append=0)
    strokes = (edges == 1).sum(axis=1)
    if int((strokes >= _STROKES).sum()) < _STROKED_LINES * len(lines) / _LINES:
        return False
    widths = np.flatnonzero(edges.ravel() == -1) - np.flatnonzero(edges.ravel() == 1)
    return bool(np.median(widths) <= _WIDEST_STROKE * luma.shape[1])


def _plainness(part: NDArray[Any], shift: int) -> float:
    histogram = _histogram(part, shift)
    return _share(histogram, int(np.argmax(histogram)), 3)


def _histogram(part: NDArray[Any], shift: int) -> NDArray[np.int64]:
    """Counts of the samples' upper eight bits."""
    codes = np.ascontiguousarray(part if shift == 0 else part >> shift, np.uint8)
    return np.asarray(cv2.calcHist([codes], [0], None, [256], [0, 256]).ravel(), np.int64)


def _share(histogram: NDArray[np.int64], code: int, spread: int, of: int | None = None) -> float:
    near = histogram[max(0, code - spread) : code + spread + 1].sum()
    return float(near) / (of or int(histogram.sum()))
