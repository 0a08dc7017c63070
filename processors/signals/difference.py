"""Differences of two pictures over all their planes, as integers; block signatures that bound them from below."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Planes = Sequence[NDArray[Any]]

_LUMA_GRID, _CHROMA_GRID = (32, 18), (16, 9)
_STEP = 256
"""Steps of a signature's means to an 8-bit code."""


def sad(a: Planes, b: Planes) -> int:
    """Sum of absolute differences over all planes of two pictures of one geometry (uint8 or uint16). Exact."""
    return sum(plane_sads(a, b))


def plane_sads(a: Planes, b: Planes) -> tuple[int, ...]:
    """The same of each plane."""
    return tuple(int(cv2.norm(x, y, cv2.NORM_L1)) for x, y in zip(a, b, strict=True))


def samples(planes: Planes) -> int:
    """Samples of all planes together."""
    return sum(p.size for p in planes)


def relative(total: int, count: int, bit_depth: int) -> float:
    """A sum of differences as FFmpeg's freezedetect gives it: mean over all samples / 2^depth, in its order of division."""
    return total / count / (1 << bit_depth)


@dataclass(frozen=True, slots=True)
class Signature:
    """Block means of a picture's planes: small enough to travel, and a lower bound of the difference to another picture.

    ``areas`` are the planes' samples, ``blocks`` the number of blocks of each, ``means`` base64 of uint16 in 1/256 of an
    8-bit code, plane after plane.
    """

    areas: tuple[int, ...]
    blocks: tuple[int, ...]
    means: str

    @classmethod
    def of(cls, planes: Planes, bit_depth: int) -> Signature:
        """The signature of a picture: luma in 32x18 blocks, other planes in 16x9, fewer where a plane is smaller."""
        means = [_means(plane, _LUMA_GRID if i == 0 else _CHROMA_GRID, bit_depth) for i, plane in enumerate(planes)]
        return cls(
            areas=tuple(p.size for p in planes),
            blocks=tuple(m.size for m in means),
            means=base64.b64encode(np.concatenate(means).tobytes()).decode(),
        )

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Signature:
        """The inverse of ``dataclasses.asdict``."""
        return cls(tuple(body["areas"]), tuple(body["blocks"]), body["means"])

    def bound(self, other: Signature) -> float:
        """What the relative difference (:func:`relative`) of the two pictures is at least.

        The mean of block means' differences cannot exceed the mean of the pixels' differences; what rounding may have
        added is taken off. 1 where the pictures have not the same geometry: they are not comparable, hence not alike.
        """
        if (self.areas, self.blocks) != (other.areas, other.blocks):
            return 1.0
        a, b = (np.frombuffer(base64.b64decode(s.means), "<u2").astype(np.float64) for s in (self, other))
        apart = np.maximum(np.abs(a - b) - 1.0, 0.0) / _STEP
        edges = np.cumsum((0, *self.blocks))
        planes = zip(self.areas, edges[:-1], edges[1:], strict=True)
        return sum(area * float(apart[low:high].mean()) for area, low, high in planes) / sum(self.areas) / 256


def _means(plane: NDArray[Any], grid: tuple[int, int], bit_depth: int) -> NDArray[np.uint16]:
    size = min(grid[0], plane.shape[1]), min(grid[1], plane.shape[0])
    means = cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    codes = np.rint(means.ravel() * (_STEP / float(1 << (bit_depth - 8))))
    return np.asarray(codes.clip(0, 65535), "<u2")
