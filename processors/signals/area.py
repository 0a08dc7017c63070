"""The active area of a picture: what lies inside black bars, found as FFmpeg's cropdetect finds it, at native resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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

_FIRST_LOOK = 16

Sums = Callable[[int, int], NDArray[np.int64]]
"""The sums of lines ``[low, high)``, counted from one edge of the picture inwards."""


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
    height, width = luma.shape
    if brightest < limit:
        return NOTHING
    if _all_edges_active(luma, limit):
        return Area(0, height, 0, width, 0)
    insets, bars = [], 0
    for axis, sides in ((1, (TOP, BOTTOM)), (0, (LEFT, RIGHT))):
        lines, length = luma.shape[1 - axis], luma.shape[axis]
        for side, sums in zip(sides, _looks(luma, axis, max_code), strict=True):
            inset = _inset(sums, lines, limit * length)
            if inset is None:
                return NOTHING
            insets.append(inset)
            bars |= side * _is_bar(sums, inset, lines, step * length)
    top, bottom, left, right = insets
    return Area(top, height - bottom, left, width - right, bars)


def _all_edges_active(luma: NDArray[Any], limit: int) -> bool:
    """Whether the outermost rows and columns are active: so it is in most pictures, and nothing else need be looked at."""
    edges = luma[:1], luma[-1:], luma[:, :1], luma[:, -1:]
    return all(cv2.norm(edge, cv2.NORM_L1) >= limit * edge.size for edge in edges)


def _looks(luma: NDArray[Any], axis: int, max_code: int) -> tuple[Sums, Sums]:
    """The sums of rows (axis 1) or columns (axis 0), seen from the first edge and from the other one."""
    lines = luma.shape[1 - axis]

    def forward(low: int, high: int) -> NDArray[np.int64]:
        return _sums(luma[low:high] if axis == 1 else luma[:, low:high], axis, max_code)

    def backward(low: int, high: int) -> NDArray[np.int64]:
        return forward(lines - high, lines - low)[::-1]

    return forward, backward


def _inset(sums: Sums, lines: int, least: int) -> int | None:
    """Lines before the first whose sum is at least ``least``; None if there is none."""
    low, size = 0, _FIRST_LOOK
    while low < lines:
        high = min(lines, low + size)
        active = sums(low, high) >= least
        if active.any():
            return low + int(np.argmax(active))
        low, size = high, size * 2
    return None


def _is_bar(sums: Sums, inset: int, lines: int, step: int) -> bool:
    if inset < smallest_bar(lines):
        return False
    around = sums(inset - 2, min(inset + 3, lines))
    return bool(around[-1] - around[0] >= step)


def _sums(part: NDArray[Any], axis: int, max_code: int) -> NDArray[np.int64]:
    """Sums of columns (axis 0) or rows (axis 1), exact: float32 holds integers up to 2^24."""
    if max_code * part.shape[axis] < 1 << 24:
        return np.asarray(cv2.reduce(part, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32F).ravel(), np.int64)
    return np.asarray(part.sum(axis=axis, dtype=np.int64))
