"""Spatial and temporal perceptual information after ITU-T P.910, of pictures of one size."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.signals.display_light import Scale
from schemas.chunk import Chunk

FULL_SCALE = 255.0
"""Luma counts as if black were 0 and white 255, whatever its depth and range, as P.910 assumes."""


def legal(luma: NDArray[Any], scale: Scale) -> NDArray[Any]:
    """Luma codes; what lies below black or above white is clipped."""
    clipped: NDArray[Any] = np.clip(luma, luma.dtype.type(scale.black), luma.dtype.type(scale.black + scale.luma))
    return clipped


def spatial(luma: NDArray[Any], scale: Scale) -> float:
    """SI of a picture of clipped codes: deviation of the Sobel-filtered picture without its outermost pixels.

    NaN below 3 pixels. Gradients are whole numbers, and sums are formed in one order: the same picture gives the same bits.
    """
    if min(luma.shape) < 3:
        return math.nan
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *order, ksize=3)[1:-1, 1:-1] for order in ((1, 0), (0, 1)))
    squares = across * across + down * down
    mean = float(np.sqrt(squares).mean(dtype=np.float64))
    return _deviation(float(squares.mean(dtype=np.float64)), mean, scale)


def temporal(luma: NDArray[Any], following: NDArray[Any], scale: Scale) -> float:
    """TI between two pictures of clipped codes: standard deviation of their difference."""
    change = np.subtract(following, luma, dtype=np.int32)
    return _deviation(float(np.square(change, dtype=np.int64).mean()), float(change.mean()), scale)


def _deviation(square: float, mean: float, scale: Scale) -> float:
    return math.sqrt(max(0.0, square - mean * mean)) * FULL_SCALE / scale.luma


def si_ti(chunk: Chunk, low: int, high: int) -> dict[str, NDArray[Any]]:
    """Signals of the proxy chunk's rows ``[low, high)``, which are the stream's numbers.

    ``si`` of each frame and ``ti`` from it to the next one (NaN where the chunk holds none), float64.
    """
    first, luma = chunk.header.first_row, chunk.part("y")
    scale = Scale.of(chunk.header.bit_depth or 8, full_range=chunk.header.colour_range == "full")
    si, ti = np.full(high - low, math.nan), np.full(high - low, math.nan)
    last: NDArray[Any] | None = None
    for k, at in enumerate(range(low - first, min(high - first + 1, len(luma)))):
        picture = legal(luma[at], scale)
        if last is not None:
            ti[k - 1] = temporal(last, picture, scale)
        if k < high - low:
            si[k] = spatial(picture, scale)
        last = picture
    return {"si": si, "ti": ti}
