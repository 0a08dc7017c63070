"""Relative luminance and red saturation of a proxy's frames as the tool ``iris`` computes them (electronicarts/IRIS).

Its pixels are 8-bit R'G'B' made linear by the sRGB curve; luminance has the weights of BT.709, and red is (R−G−B)·320 where
R/(R+G+B) is at least 0.8, else 0. What differs here, and why:

- the pixels are the proxy's, not the file's: noise and details below a proxy pixel are averaged away, so the area that changes
  is smaller where a picture is almost still;
- R'G'B' is made with the matrix and range that the stream declares (the tool takes every picture for BT.601, limited);
- PQ and HLG become light first, relative to the reference white of 203 cd/m² (the tool takes them for sRGB).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.signals.display_light import DIFFUSE_WHITE, HDR_TRANSFERS, Plane, Scale, luma_weights, to_nits, to_rgb
from schemas.chunk import Chunk, ChunkHeader

SATURATED, RED_SCALE = 0.8, 320.0
_WEIGHTS = 0.2126, 0.7152, 0.0722


def linear(signal: NDArray[np.float64], transfer: str | None) -> NDArray[np.float64]:
    """Relative light of a non-linear signal 0…1: the sRGB curve, except for PQ and HLG."""
    if transfer in HDR_TRANSFERS:
        return np.minimum(to_nits(signal, transfer) / DIFFUSE_WHITE, 1.0)
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


@dataclass(frozen=True, slots=True)
class IrisLight:
    """From codes to the tool's two figures.

    ``signal`` (3, 4) takes Y, U, V in 8 bits and 1 to R'G'B' in 8 bits, ``light`` takes those to linear light.
    """

    shift: int
    signal: Plane
    light: Plane

    @classmethod
    def of(cls, header: ChunkHeader) -> IrisLight:
        """The tables for a proxy chunk."""
        return _tables(header.bit_depth or 8, header.colour_range == "full", header.matrix, header.transfer)

    def __call__(self, y: NDArray[Any], u: NDArray[Any], v: NDArray[Any]) -> tuple[Plane, Plane]:
        """Relative luminance 0…1 and red 0…320 of every luma pixel.

        The four pixels that share a chroma sample lie in four planes one above the other: neither figure asks where a pixel is.
        """
        height, width = u.shape
        quarters = self._bytes(y).reshape(height, 2, width, 2).transpose(1, 3, 0, 2).reshape(4 * height, width)
        chroma = (np.tile(self._bytes(plane), (4, 1)) for plane in (u, v))
        codes = cv2.split(cv2.transform(cv2.merge([quarters, *chroma]), self.signal))
        red, green, blue = (cv2.LUT(plane, self.light) for plane in codes)
        luminance = cv2.addWeighted(red, _WEIGHTS[0], green, _WEIGHTS[1], 0)
        luminance = cv2.scaleAdd(blue, _WEIGHTS[2], luminance)
        others = cv2.add(green, blue)
        saturated = cv2.compare(red, cv2.scaleAdd(cv2.add(red, others), SATURATED, np.zeros_like(red)), cv2.CMP_GE)
        amount = cv2.addWeighted(red, RED_SCALE, others, -RED_SCALE, 0)
        return np.asarray(luminance), np.asarray(cv2.copyTo(amount, saturated, np.zeros_like(red)))

    def _bytes(self, plane: NDArray[Any]) -> NDArray[Any]:
        plane = np.ascontiguousarray(plane)
        return cv2.convertScaleAbs(plane, alpha=0.5**self.shift) if self.shift else plane


def iris_signals(chunk: Chunk, low: int, high: int) -> dict[str, NDArray[Any]]:
    """Signals of the chunk's rows ``[low, high)``, which are the stream's numbers, all float64.

    ``luminance`` and ``red``: the frame's means; ``luminance_area`` and ``red_area``: the share of pixels that are not the same
    in the next frame, NaN where the chunk has no next frame.
    """
    light = IrisLight.of(chunk.header)
    pictures = [chunk.part(name) for name in "yuv"]
    first, there = low - chunk.header.first_row, len(pictures[0])
    found = {name: np.full(high - low, np.nan) for name in ("luminance", "red", "luminance_area", "red_area")}
    last: tuple[Plane, Plane] | None = None
    for k in range(min(high - low + 1, there - first)):
        planes = light(*(p[first + k] for p in pictures))
        for name, plane, before in zip(("luminance", "red"), planes, last or planes, strict=True):
            if k < high - low:
                found[name][k] = cv2.mean(plane)[0]
            if k:
                found[f"{name}_area"][k - 1] = cv2.countNonZero(cv2.subtract(plane, before)) / plane.size
        last = planes
    return found


@functools.lru_cache(maxsize=8)
def _tables(bit_depth: int, full_range: bool, matrix: str | None, transfer: str | None) -> IrisLight:
    signal = to_rgb(*luma_weights(matrix, transfer), Scale.of(8, full_range=full_range)) * 255
    light = linear(np.arange(256) / 255, transfer)
    return IrisLight(bit_depth - 8, signal.astype(np.float32), light.astype(np.float32))
