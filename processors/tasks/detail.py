"""Picture detail: blockiness, blur, noise, banding and gamut, of the native block of each still."""

from __future__ import annotations

import math

import cv2
import numpy as np

from processors.signals.detail_fold import GAMUT, STILLS, DetailFold
from processors.signals.display_light import HDR_TRANSFERS
from processors.signals.gamut import AREA, HIGH, LOW, excursion
from processors.signals.picture_detail import Luma, banding, blockiness, edge_width, noise
from processors.tasks.base import Fold, TaskSpec, chunk_rows
from schemas.cell import Signals
from schemas.chunk import Chunk

SPEC = TaskSpec(
    name="detail",
    version="1.0.0",
    kind="video",
    where="agent",
    rendition="stills",
    summary="Blockiness, blur, noise, banding and R'G'B' excursions (EBU R 103), on native pixels once a second",
    params={"gamut_low": LOW, "gamut_high": HIGH, "gamut_area": AREA, "gamut_stills": STILLS},
    findings=(GAMUT,),
)

HD = 1280, 720
"""From this width or height on (of the still) an unnamed matrix is BT.709, below BT.601, as the stills have it."""


class DetailRunner:
    """Measures the native block of each still.

    Signals: ``pts``; ``blockiness``, ``block_phase`` (column and row, 0…7, at which blocks begin), ``blur`` (px), ``noise``
    (8-bit codes), ``banding`` (share); ``gamut_ratio`` (share of pixels of which R, G, B or Y is out of tolerance); NaN
    where there is nothing to measure, and ``gamut_ratio`` on full range and RGB.
    """

    runtime = f"numpy {np.__version__}, opencv {cv2.__version__}"

    def __call__(self, chunk: Chunk) -> Signals:
        """Signals of the chunk's stills."""
        low, high = chunk_rows(SPEC, chunk)
        rows = range(low - chunk.header.first_row, high - chunk.header.first_row)
        pictures = [_luma(chunk, row) for row in rows]
        blocks = [blockiness(picture) for picture in pictures]
        arrays = {
            "pts": np.asarray([chunk.header.pts[row] for row in rows], np.int64),
            "blockiness": np.array([b.ratio for b in blocks]),
            "block_phase": np.array([(b.across, b.down) for b in blocks], np.uint8).reshape(len(rows), 2),
            "blur": np.array([edge_width(picture) for picture in pictures]),
            "noise": np.array([noise(picture) for picture in pictures]),
            "banding": np.array([banding(picture) for picture in pictures]),
            "gamut_ratio": np.array([_gamut(chunk, row) for row in rows]),
        }
        return Signals(low, high - low, arrays)


def _luma(chunk: Chunk, row: int) -> Luma:
    """The block's luma in 8-bit codes; of RGB that of BT.709."""
    unit = np.float32(1 << ((chunk.header.bit_depth or 8) - 8))
    if _is_rgb(chunk):
        red, green, blue = (chunk.part(f"block_{name}")[row].astype(np.float32) for name in "rgb")
        return np.asarray((0.2126 * red + 0.7152 * green + 0.0722 * blue) / unit, np.float32)
    return np.asarray(chunk.part("block_y")[row].astype(np.float32) / unit)


def _gamut(chunk: Chunk, row: int) -> float:
    header = chunk.header
    if _is_rgb(chunk) or header.colour_range == "full":
        return math.nan
    down, across = chunk.part("rgb").shape[1:3]
    hd = (across >= HD[0] or down >= HD[1]) and header.transfer not in HDR_TRANSFERS
    matrix = header.matrix or ("bt709" if hd else None)
    planes = tuple(chunk.part(p.name)[row] for p in header.parts if p.name.startswith("block_"))
    found = excursion(planes, header.bit_depth or 8, matrix, header.transfer)
    return math.nan if found is None else found


def _is_rgb(chunk: Chunk) -> bool:
    return any(p.name == "block_r" for p in chunk.header.parts)


class Detail:
    """The task as the registry knows it."""

    spec = SPEC
    fold: Fold = DetailFold()

    def load(self, device: str) -> DetailRunner:
        """A runner; it works on the CPU whatever the device."""
        return DetailRunner()


TASK = Detail()
