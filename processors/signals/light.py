"""Light levels of PQ pictures (SMPTE ST 2084): max(R, G, B) of each pixel in nits, from native samples (CTA-861.3)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_FINE = 4
"""Quarter codes: a pixel's level is luma and a chroma offset, rounded to these."""

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


@dataclass(frozen=True, slots=True)
class _Tables:
    """Offsets of R, B and G from luma by chroma code, int16 in quarter codes, and nits by level in quarter codes."""

    red: NDArray[np.int16]
    blue: NDArray[np.int16]
    green_u: NDArray[np.int16]
    green_v: NDArray[np.int16]
    nits: NDArray[np.float64]


def yuv_light(planes: tuple[NDArray[Any], ...], bit_depth: int, matrix: str | None, *, full_range: bool) -> Light | None:
    """Light of a Y'CbCr picture; chroma is taken where it lies, without interpolation. None for an unknown matrix.

    max(R, G, B) is luma and the largest of three offsets that depend on chroma alone, so the offset is found at chroma's
    resolution. An unspecified matrix is taken as BT.2020 non-constant luminance, which PQ pictures have.
    """
    kr_kb = KR_KB.get(matrix or "bt2020nc")
    if kr_kb is None:
        return None
    tables = _tables(kr_kb, bit_depth, full_range)
    luma = planes[0]
    level = luma.astype(np.int16) * _FINE if bit_depth <= 12 else np.right_shift(luma, bit_depth - 12).astype(np.int16) * _FINE
    if len(planes) == 3:
        level += _offset(planes[1], planes[2], tables, luma.shape, max(0, bit_depth - 12))
    return _light(level, tables.nits)


def rgb_light(planes: tuple[NDArray[Any], ...], bit_depth: int) -> Light:
    """Light of an RGB picture in full range."""
    shift = max(0, bit_depth - 12)
    level = np.maximum(np.maximum(planes[0], planes[1]), planes[2])
    codes = np.arange(1 << (min(bit_depth, 12) + 2)) / _FINE / ((1 << min(bit_depth, 12)) - 1)
    return _light(np.right_shift(level, shift).astype(np.int16) * _FINE, pq_to_nits(codes))


def _light(level: NDArray[np.int16], nits: NDArray[np.float64]) -> Light:
    clipped = np.clip(level, 0, len(nits) - 1).view(np.uint16)
    counts = cv2.calcHist([clipped], [0], None, [len(nits)], [0, len(nits)]).ravel().astype(np.int64)
    peak = int(np.flatnonzero(counts)[-1])
    return Light(float(nits[peak]), float(np.dot(counts, nits) / level.size))


def _offset(u: NDArray[Any], v: NDArray[Any], tables: _Tables, shape: tuple[int, ...], shift: int) -> NDArray[np.int16]:
    red, blue = _look_up(tables.red, v, shift), _look_up(tables.blue, u, shift)
    green = _look_up(tables.green_u, u, shift) + _look_up(tables.green_v, v, shift)
    largest: NDArray[np.int16] = np.maximum(np.maximum(red, blue), green)
    if largest.shape == shape:
        return largest
    across, down = -(-shape[1] // u.shape[1]), -(-shape[0] // u.shape[0])
    size = (u.shape[1] * across, u.shape[0] * down)
    return np.asarray(cv2.resize(largest, size, interpolation=cv2.INTER_NEAREST)[: shape[0], : shape[1]])


def _look_up(table: NDArray[np.int16], codes: NDArray[Any], shift: int) -> NDArray[np.int16]:
    return np.asarray(np.take(table, codes >> shift if shift else codes))


@functools.lru_cache(maxsize=8)
def _tables(kr_kb: tuple[float, float], bit_depth: int, full_range: bool) -> _Tables:
    depth = min(bit_depth, 12)
    kr, kb = kr_kb
    kg = 1 - kr - kb
    unit, top = 1 << (depth - 8), (1 << depth) - 1
    black, luma_span, chroma_span = (0, top, top) if full_range else (16 * unit, 219 * unit, 224 * unit)
    chroma = (np.arange(1 << depth) - (1 << (depth - 1))) / chroma_span * luma_span * _FINE

    def table(factor: float) -> NDArray[np.int16]:
        return np.rint(chroma * factor).clip(-32768, 32767).astype(np.int16)

    codes = (np.arange(1 << (depth + 2)) / _FINE - black) / luma_span
    return _Tables(
        table(2 * (1 - kr)),
        table(2 * (1 - kb)),
        table(-2 * kb * (1 - kb) / kg),
        table(-2 * kr * (1 - kr) / kg),
        pq_to_nits(codes),
    )
