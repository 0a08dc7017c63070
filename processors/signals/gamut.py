"""R', G', B' and Y' against the tolerance of EBU R 103: a legal Y'CbCr triple can be an illegal colour."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.signals.display_light import Scale, luma_weights, to_rgb
from processors.signals.light import KR_KB

LOW, HIGH = 5, 246
"""EBU R 103 v3: 8-bit codes (20 and 984 in 10 bits), inclusive, for R', G', B' and Y' alike."""
AREA = 0.01
"""Of the picture that may lie outside."""


def excursion(planes: tuple[NDArray[Any], ...], bit_depth: int, matrix: str | None, transfer: str | None) -> float | None:
    """The share of pixels of which R', G', B' or Y' lies outside.

    ``planes`` are Y, or Y, U and V, in limited range; chroma is taken where it lies, without interpolation. R'G'B' are codes of
    the same range and depth, rounded. None for a matrix that is no Y'CbCr by luminance weights.
    """
    if matrix is not None and matrix not in KR_KB:
        return None
    unit = 1 << (bit_depth - 8)
    low, high = np.float32(LOW * unit - 0.5), np.float32(HIGH * unit + 0.5)
    luma = planes[0].astype(np.float32)
    if len(planes) == 1:
        return float(np.count_nonzero((luma <= low) | (luma >= high)) / luma.size)
    least, most = (_spread(o, luma.shape) for o in _offsets(planes[1], planes[2], bit_depth, matrix, transfer))
    return float(np.count_nonzero((luma + least <= low) | (luma + most >= high)) / luma.size)


def _offsets(
    u: NDArray[Any], v: NDArray[Any], bit_depth: int, matrix: str | None, transfer: str | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """By how many codes the least and the greatest of R', G' and B' differ from luma, which lies between them."""
    scale = Scale.of(bit_depth, full_range=False)
    weights = (to_rgb(*luma_weights(matrix, transfer), scale)[:, 1:3] * scale.luma).astype(np.float32)
    neutral = np.float32(scale.neutral)
    colour = cv2.merge([u.astype(np.float32) - neutral, v.astype(np.float32) - neutral])
    red, green, blue = cv2.split(cv2.transform(colour, weights))
    return np.asarray(cv2.min(cv2.min(red, green), blue), np.float32), np.asarray(
        cv2.max(cv2.max(red, green), blue), np.float32
    )


def _spread(plane: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A plane of chroma's size at luma's."""
    if plane.shape == shape:
        return plane
    across, down = -(-shape[1] // plane.shape[1]), -(-shape[0] // plane.shape[0])
    size = (plane.shape[1] * across, plane.shape[0] * down)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST), np.float32)[: shape[0], : shape[1]]
