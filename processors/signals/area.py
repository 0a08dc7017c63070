"""The active area of a picture: what lies inside black bars, found as FFmpeg's cropdetect finds it, at native resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

LIMIT = 24 / 255
"""A row or column is active if its mean luma is above this share of full scale (cropdetect's default)."""

BAR_SHARE, BAR_PIXELS = 0.01, 4
"""A bar is at least this share of the picture's height (width), and at least so many pixels."""

EDGE_STEP = 8
"""Where a bar ends the mean of rows (columns) rises by at least this many 8-bit codes within four of them.

A dark part of a picture, such as a night sky, fades into the rest; a bar has an edge.
"""

TOP, BOTTOM, LEFT, RIGHT = 1, 2, 4, 8

_COLUMNS = 256
"""Columns are summed in blocks this wide: the sums stay in the core's first cache."""


@dataclass(frozen=True, slots=True)
class Area:
    """Rows ``[top, bottom)`` and columns ``[left, right)``; all -1 where nothing is active.

    ``bars`` has a bit (``TOP``, ``BOTTOM``, ``LEFT``, ``RIGHT``) for each side where a bar ends in a sharp edge.
    """

    top: int
    bottom: int
    left: int
    right: int
    bars: int


NOTHING = Area(-1, -1, -1, -1, 0)


def smallest_bar(length: int) -> int:
    """The least width in pixels of a bar, for a picture so high (or wide)."""
    return max(BAR_PIXELS, -(-length * int(BAR_SHARE * 100) // 100))


def active_area(luma: NDArray[Any], bit_depth: int, brightest: int) -> Area:
    """The active area of a luma plane of shape (height, width), uint8 or uint16, whose maximum is ``brightest``.

    A line is active if the whole part of its mean is above 24/255 of full scale, rounded (cropdetect's arithmetic).
    """
    max_code = (1 << bit_depth) - 1
    limit, step = round(LIMIT * max_code) + 1, EDGE_STEP << (bit_depth - 8)
    if brightest < limit:
        return NOTHING
    rows = _extent(luma, 1, limit, step, max_code)
    columns = _extent(luma, 0, limit, step, max_code) if rows is not None else None
    if rows is None or columns is None:
        return NOTHING
    bars = TOP * rows.low_bar | BOTTOM * rows.high_bar | LEFT * columns.low_bar | RIGHT * columns.high_bar
    return Area(rows.low, rows.high, columns.low, columns.high, bars)


class _Extent(NamedTuple):
    """Active lines ``[low, high)`` of one axis, and whether bars end there in sharp edges."""

    low: int
    high: int
    low_bar: bool = False
    high_bar: bool = False


def _extent(luma: NDArray[Any], axis: int, limit: int, step: int, max_code: int) -> _Extent | None:
    """The extent over rows (axis 1) or columns (axis 0). The outermost lines of most pictures are active: that is quick."""
    lines, length = luma.shape[1 - axis], luma.shape[axis]
    outermost = (luma[:1], luma[-1:]) if axis == 1 else (luma[:, :1], luma[:, -1:])
    if all(cv2.norm(line, cv2.NORM_L1) >= limit * length for line in outermost):
        return _Extent(0, lines)
    sums = _sums(luma, axis, max_code)
    active = np.flatnonzero(sums >= limit * length)
    if not len(active):
        return None
    low, high = int(active[0]), int(active[-1]) + 1
    return _Extent(low, high, _is_bar(sums, low, step * length), _is_bar(sums[::-1], lines - high, step * length))


def _is_bar(sums: NDArray[np.float64], inset: int, step: int) -> bool:
    if inset < smallest_bar(len(sums)):
        return False
    return bool(sums[min(inset + 2, len(sums) - 1)] - sums[inset - 2] >= step)


def _sums(luma: NDArray[Any], axis: int, max_code: int) -> NDArray[np.float64]:
    """Sums of columns (axis 0) or rows (axis 1), exact: float32 holds integers up to 2^24."""
    if max_code * luma.shape[axis] >= 1 << 24:
        return np.asarray(luma.sum(axis=axis, dtype=np.float64))
    if axis == 1:
        return cv2.reduce(luma, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F).ravel().astype(np.float64)
    parts = [luma[:, left : left + _COLUMNS] for left in range(0, luma.shape[1], _COLUMNS)]
    sums = [cv2.reduce(part, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F).ravel() for part in parts]
    return np.concatenate(sums).astype(np.float64)
