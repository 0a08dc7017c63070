"""The light that a display gives for a proxy's codes: luminance in cd/m² and saturated red, by stated assumptions.

- SDR: the reference EOTF of ITU-R BT.1886 with a white of 200 cd/m² and a black of 0, so 200·V^2.4.
- PQ: SMPTE ST 2084, absolute. HLG: ITU-R BT.2100 for a display of 1000 cd/m² with its system gamma of 1.2, channel by
  channel (exact for greys).
- An unnamed matrix is BT.2020 with PQ and HLG, and BT.601 else, as the thumbs have it; one that is no Y'CbCr is read as BT.709.
- Red is saturated where R/(R+G+B) is at least 0.8 in linear light (ITU-R BT.1702-3) and R−G−B more than 1/16 of white, which is
  the 20 in (R−G−B)·320 > 20 of WCAG 2: the noise of black is no red.

Pixels are those of the proxy's chroma, half its size each way: light is averaged further only after it was made linear.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.signals.light import KR_KB, pq_to_nits
from schemas.chunk import ChunkHeader

Plane = NDArray[np.float32]

SDR_PEAK, HLG_PEAK, HLG_GAMMA = 200.0, 1000.0, 1.2
"""cd/m² of white in SDR, and of the HLG display with its system gamma."""
DIFFUSE_WHITE = 203.0
"""cd/m² of HDR's reference white (ITU-R BT.2408)."""
SATURATED, VISIBLE = 0.8, 1 / 16
HDR_TRANSFERS = ("smpte2084", "arib-std-b67")

_UNIT = 1 << 12
"""R'G'B' are looked up in steps of 1/4096."""
_BIAS = 2 * _UNIT
"""Added to every index: sums of luma and chroma reach below 0."""


def hlg_to_nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """HLG's inverse OETF and OOTF of ITU-R BT.2100 for greys: non-linear signal 0…1 to 0…1000 cd/m²."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(HLG_PEAK * np.clip(scene, 0.0, 1.0) ** HLG_GAMMA)


def to_nits(signal: NDArray[np.float64], transfer: str | None) -> NDArray[np.float64]:
    """What a display makes of a non-linear signal, which is clipped to 0…1, in cd/m²."""
    clipped = np.clip(signal, 0.0, 1.0)
    match transfer:
        case "smpte2084":
            return pq_to_nits(clipped)
        case "arib-std-b67":
            return hlg_to_nits(clipped)
        case _:
            return np.asarray(SDR_PEAK * clipped**2.4)


def luma_weights(matrix: str | None, transfer: str | None) -> tuple[float, float]:
    """Kr and Kb of a picture's matrix, with the assumptions named above."""
    unnamed = "bt2020nc" if transfer in HDR_TRANSFERS else "smpte170m"
    return KR_KB.get(matrix or unnamed, KR_KB["bt709"])


@dataclass(frozen=True, slots=True)
class Scale:
    """Where black lies in a depth's codes, and how many codes luma and chroma span."""

    black: float
    luma: float
    chroma: float
    neutral: float

    @classmethod
    def of(cls, bit_depth: int, *, full_range: bool) -> Scale:
        """The scale of H.273's full or limited range."""
        unit, top = 1 << (bit_depth - 8), (1 << bit_depth) - 1
        middle = float(1 << (bit_depth - 1))
        return cls(0.0, top, top, middle) if full_range else cls(16.0 * unit, 219.0 * unit, 224.0 * unit, middle)


def to_rgb(kr: float, kb: float, scale: Scale) -> NDArray[np.float64]:
    """The matrix ``(3, 4)`` that takes Y, U, V and 1 in codes to R'G'B', of which 0…1 is nominal."""
    kg = 1 - kr - kb
    chroma = np.array([[0, 2 * (1 - kr)], [-2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg], [2 * (1 - kb), 0]]) / scale.chroma
    offset = -scale.black / scale.luma - scale.neutral * chroma.sum(axis=1, keepdims=True)
    return np.hstack([np.full((3, 1), 1 / scale.luma), chroma, offset])


@dataclass(frozen=True, slots=True)
class DisplayLight:
    """From codes to light. ``hdr`` says that luminance is not that of an SDR display.

    ``signal`` (3, 4) takes Y, U, V and 1 to R'G'B' in steps of the table ``nits``; ``figures`` (3, 3) takes R, G and B in cd/m²
    to luminance, to what red has over saturation, and to R−G−B less its least amount.
    """

    hdr: bool
    visible: float
    signal: Plane
    nits: Plane
    figures: Plane

    @classmethod
    def of(cls, header: ChunkHeader) -> DisplayLight:
        """The tables for a proxy chunk."""
        return _tables(header.bit_depth or 8, header.colour_range == "full", header.matrix, header.transfer)

    def __call__(self, y: NDArray[Any], u: NDArray[Any], v: NDArray[Any]) -> tuple[Plane, NDArray[np.bool_]]:
        """Luminance in cd/m² and whether red is saturated, each of the shape of ``u`` and ``v``."""
        luma = cv2.resize(y, (u.shape[1], u.shape[0]), interpolation=cv2.INTER_AREA).reshape(u.shape)
        codes = cv2.merge([luma, u, v]).astype(np.float32)
        index = cv2.transform(codes, self.signal).astype(np.int16)
        figures = cv2.transform(np.take(self.nits, index, mode="clip"), self.figures)
        saturated = (figures[..., 1] >= 0) & (figures[..., 2] > self.visible)
        return np.ascontiguousarray(figures[..., 0]), saturated


@functools.lru_cache(maxsize=8)
def _tables(bit_depth: int, full_range: bool, matrix: str | None, transfer: str | None) -> DisplayLight:
    kr, kb = luma_weights(matrix, transfer)
    hdr = transfer in HDR_TRANSFERS
    steps = np.arange(-_BIAS, _UNIT + 1) / _UNIT
    half = np.array([[0, 0, 0, _BIAS + 0.5]] * 3)  # so that cutting off the fraction rounds
    return DisplayLight(
        hdr=hdr,
        visible=VISIBLE * (DIFFUSE_WHITE if hdr else SDR_PEAK),
        signal=(to_rgb(kr, kb, Scale.of(bit_depth, full_range=full_range)) * _UNIT + half).astype(np.float32),
        nits=to_nits(steps, transfer).astype(np.float32),
        figures=np.array([[kr, 1 - kr - kb, kb], [1 - SATURATED, -SATURATED, -SATURATED], [1, -1, -1]], np.float32),
    )
