"""Counts of luma and chroma levels on native planes: sum, extremes, black pixels, samples out of legal range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

BLACK_PIXEL = 0.10
"""A pixel is black up to this share of the luma range above its minimum (FFmpeg's blackdetect, ``pix_th``)."""

_STRIPE_BYTES = 1 << 18
"""Planes are read in stripes of this size: masks then stay in the core's cache."""


@dataclass(frozen=True, slots=True)
class Levels:
    """The limits of one sample format, in code values, all inclusive.

    ``black`` is the brightest black luma; ``luma`` and ``chroma`` are the legal ranges of ITU-R BT.601/709/2020 limited
    range scaled to the depth, or None where there is none (full range, RGB).
    """

    black: int
    luma: tuple[int, int] | None
    chroma: tuple[int, int] | None

    @classmethod
    def of(cls, bit_depth: int, *, full_range: bool) -> Levels:
        """The limits of a bit depth of 8 to 16. The black limit is truncated as FFmpeg's blackdetect does."""
        if full_range:
            return cls(int(BLACK_PIXEL * ((1 << bit_depth) - 1)), None, None)
        unit = 1 << (bit_depth - 8)
        return cls(int(16 * unit + BLACK_PIXEL * (235 - 16) * unit), (16 * unit, 235 * unit), (16 * unit, 240 * unit))


@dataclass(slots=True)
class LumaCount:
    """What is counted in a luma plane: sum and extremes of its code values, black pixels, pixels outside the legal range."""

    total: int
    low: int
    high: int
    black: int
    illegal: int


class LevelCounter:
    """Counts levels in planes. Keeps one scratch stripe, so that no frame allocates."""

    def __init__(self) -> None:
        self._scratch: NDArray[Any] = np.empty(0, np.uint8)

    def luma(self, plane: NDArray[Any], levels: Levels) -> LumaCount:
        """Count a luma plane of shape (height, width), uint8 or uint16; rows may be padded."""
        found = LumaCount(total=0, low=1 << 16, high=-1, black=0, illegal=0)
        for stripe in _stripes(plane):
            low, high = _extremes(stripe)
            found.total += int(cv2.norm(stripe, cv2.NORM_L1))
            found.low, found.high = min(found.low, low), max(found.high, high)
            found.black += stripe.size - self._above(stripe, levels.black, low, high)
            if levels.luma is not None:
                found.illegal += self._outside(stripe, levels.luma, low, high)
        return found

    def illegal(self, plane: NDArray[Any], legal: tuple[int, int]) -> int:
        """How many samples of a plane lie outside a range, given inclusive."""
        return sum(self._outside(stripe, legal, *_extremes(stripe)) for stripe in _stripes(plane))

    def _outside(self, stripe: NDArray[Any], legal: tuple[int, int], low: int, high: int) -> int:
        if legal[0] <= low and high <= legal[1]:
            return 0
        under = stripe.size - self._above(stripe, legal[0] - 1, low, high)
        return under + self._above(stripe, legal[1], low, high)

    def _above(self, stripe: NDArray[Any], limit: int, low: int, high: int) -> int:
        """Samples above ``limit``. The extremes answer for most stripes of most pictures without another look."""
        if low > limit:
            return int(stripe.size)
        if high <= limit:
            return 0
        if self._scratch.dtype != stripe.dtype or self._scratch.size < stripe.size:
            self._scratch = np.empty(stripe.size, stripe.dtype)
        mask = self._scratch[: stripe.size].reshape(stripe.shape)
        cv2.threshold(stripe, limit, 1, cv2.THRESH_BINARY, dst=mask)
        return int(cv2.norm(mask, cv2.NORM_L1))


def _extremes(stripe: NDArray[Any]) -> tuple[int, int]:
    low, high, _, _ = cv2.minMaxLoc(stripe)
    return int(low), int(high)


def _stripes(plane: NDArray[Any]) -> list[NDArray[Any]]:
    rows = max(1, _STRIPE_BYTES // (plane.shape[1] * plane.itemsize))
    return [plane[top : top + rows] for top in range(0, plane.shape[0], rows)]


FLAT_RANGE = 48
"""A flat picture's luma spans at most this many 8-bit codes: noise and coding do, a picture does not."""

FLAT_DEVIATION = 2.0
"""Standard deviation, in 8-bit codes, up to which a plane is one constant colour."""


def is_flat(planes: tuple[NDArray[Any], ...], bit_depth: int, span: int) -> bool:
    """Whether a picture is one constant colour, apart from faint noise; ``span`` is luma's maximum less its minimum.

    The deviation is taken over every fourth row and column of each plane.
    """
    unit = float(1 << (bit_depth - 8))
    if span > FLAT_RANGE * unit:
        return False
    return all(_deviation(plane[::4, ::4]) <= FLAT_DEVIATION * unit for plane in planes)


def _deviation(part: NDArray[Any]) -> float:
    _, deviation = cv2.meanStdDev(np.ascontiguousarray(part))
    return float(deviation[0, 0])
