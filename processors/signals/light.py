"""Light levels of PQ pictures (SMPTE ST 2084): max(R, G, B) of each pixel in nits, from native samples (CTA-861.3)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS = 1 << 16
"""A pixel's level, which is luma and what chroma adds to it, is rounded to 16 bits: 1/64 code in 10 bits."""

_MOST = 1 << 16
"""So many of a frame's brightest pixels are measured once more, without rounding."""

KR_KB = {
    "bt709": (0.2126, 0.0722),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "bt2020nc": (0.2627, 0.0593),
    "bt2020c": (0.2627, 0.0593),
}
"""Luminance weights of red and blue by colour matrix; green has the rest."""


@dataclass(frozen=True, slots=True)
class Light:
    """The brightest pixel of a frame, and the mean over all its pixels, in nits (cd/m²)."""

    peak: float
    mean: float


def pq_to_nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The PQ EOTF of SMPTE ST 2084: non-linear signal 0…1 to luminance 0…10000 nits."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = np.power(np.clip(signal, 0.0, 1.0), 1 / m2)
    return np.asarray(10000.0 * np.power(np.maximum(root - c1, 0.0) / (c2 - c3 * root), 1 / m1))


def yuv_light(planes: tuple[NDArray[Any], ...], bit_depth: int, matrix: str | None, *, full_range: bool) -> Light | None:
    """Light of a Y'CbCr picture; chroma is taken where it lies, without interpolation. None for an unknown matrix.

    max(R, G, B) is luma and the largest of three offsets, which is never negative and depends on chroma alone. So levels are
    rounded offsets added to whole codes. Rounding is made good to first order in the mean, and wholly in the peak. An
    unspecified matrix is taken as BT.2020 non-constant luminance, which PQ pictures have.
    """
    kr_kb = KR_KB.get(matrix or "bt2020nc")
    if kr_kb is None:
        return None
    scale, luma = _Scale.of(bit_depth, kr_kb, full_range=full_range), planes[0]
    level = _coarse(luma, scale)
    if len(planes) == 1:
        return _light(level, scale)
    exact = scale.offsets(planes[1].astype(np.float32), planes[2].astype(np.float32))
    rounded = np.rint(exact)
    level = np.asarray(cv2.add(level, _spread(rounded.astype(np.uint16), luma.shape)), np.uint16)
    found = _light(level, scale)
    brightest = np.flatnonzero(level >= level.max() - 1)[:_MOST]
    rows, columns = np.unravel_index(brightest, luma.shape)
    down, across = _steps(luma.shape, exact.shape)
    u, v = (plane[rows // down, columns // across].astype(np.float64) for plane in planes[1:])
    codes = luma[rows, columns].astype(np.float64) * scale.unit + scale.offsets(u, v)
    peak = float(pq_to_nits((codes / scale.unit - scale.black) / scale.span).max())
    residual = (exact - rounded)[::2, ::2]
    slope = scale.slope[level[:: 2 * down, :: 2 * across]]
    return Light(peak, max(0.0, found.mean + float((residual * slope).mean(dtype=np.float64))))


def rgb_light(planes: tuple[NDArray[Any], ...], bit_depth: int) -> Light:
    """Light of an RGB picture in full range."""
    scale = _Scale.of(bit_depth, KR_KB["bt2020nc"], full_range=True)
    return _light(_coarse(np.maximum(np.maximum(planes[0], planes[1]), planes[2]), scale), scale)


@dataclass(frozen=True, slots=True)
class _Scale:
    """What levels of one format mean: ``unit`` levels are a code, black is ``black`` and white ``span`` codes above it.

    ``nits`` and ``slope`` (nits a level) are by level. ``red``, ``green`` (of U and V) and ``blue`` are levels a chroma code.
    """

    unit: int
    black: float
    span: float
    neutral: float
    red: float
    green: tuple[float, float]
    blue: float
    nits: NDArray[np.float64]
    slope: NDArray[np.float32]

    @staticmethod
    @functools.lru_cache(maxsize=8)
    def of(bit_depth: int, kr_kb: tuple[float, float], *, full_range: bool) -> _Scale:
        """Of H.273's full or limited range, up to 16 bits."""
        code, top, unit = 1 << (bit_depth - 8), (1 << bit_depth) - 1, _LEVELS >> bit_depth
        black, span, chroma = (0, top, top) if full_range else (16 * code, 219 * code, 224 * code)
        (kr, kb), gain = kr_kb, span / chroma * unit
        kg = 1 - kr - kb
        nits = pq_to_nits((np.arange(_LEVELS) / unit - black) / span)
        return _Scale(
            unit=unit,
            black=black,
            span=span,
            neutral=1 << (bit_depth - 1),
            red=2 * (1 - kr) * gain,
            green=(-2 * kb * (1 - kb) / kg * gain, -2 * kr * (1 - kr) / kg * gain),
            blue=2 * (1 - kb) * gain,
            nits=nits,
            slope=np.gradient(nits).astype(np.float32),
        )

    def offsets(self, u: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
        """By how many levels max(R, G, B) is above luma, not rounded, of the dtype of ``u`` and ``v`` (floating)."""
        u, v = u - self.neutral, v - self.neutral
        return np.asarray(np.maximum(np.maximum(u * self.blue, v * self.red), u * self.green[0] + v * self.green[1]))


def _coarse(luma: NDArray[Any], scale: _Scale) -> NDArray[np.uint16]:
    return np.asarray(luma.astype(np.uint16) * np.uint16(scale.unit))


def _light(level: NDArray[np.uint16], scale: _Scale) -> Light:
    counts = cv2.calcHist([level], [0], None, [_LEVELS], [0, _LEVELS]).ravel().astype(np.int64)
    peak = int(np.flatnonzero(counts)[-1])
    return Light(float(scale.nits[peak]), float(np.dot(counts, scale.nits) / level.size))


def _spread(plane: NDArray[np.uint16], shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """A plane of chroma's size at luma's."""
    if plane.shape == shape:
        return plane
    down, across = _steps(shape, plane.shape)
    size = (plane.shape[1] * across, plane.shape[0] * down)
    return np.ascontiguousarray(cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST)[: shape[0], : shape[1]])


def _steps(luma: tuple[int, ...], chroma: tuple[int, ...]) -> tuple[int, int]:
    """Luma rows and columns to one of chroma."""
    return -(-luma[0] // chroma[0]), -(-luma[1] // chroma[1])
