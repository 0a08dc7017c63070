"""Luminance and saturated red of a proxy's frames on a coarse grid of cells, and what changes from one frame to the next.

A cell is about a thirty-second of the picture's longer side (10 proxy pixels of 320). Its mean follows a flash that takes
several frames; the share of its pixels that brighten or darken enough from one frame to the next says exactly what a sudden
flash covers.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.signals.display_light import DisplayLight, Plane
from schemas.chunk import Chunk

CELL = 5
"""Chroma pixels of the proxy, each way."""
LEAST, DARK, RELATIVE = 20.0, 160.0, 1 / 8
"""ITU-R BT.1702-3: a change counts from 20 cd/m² where the darker state is below 160 cd/m²; in HDR above that from a Michelson
contrast of 1/17, which is an eighth of the darker state."""
WHOLE = 255
"""Shares are in 1/255."""
_FINE = 4
"""Means are rounded to a quarter of a cd/m², so that they compress."""


def counts(change: Plane, darker: Plane, *, hdr: bool) -> NDArray[np.bool_]:
    """Whether a change counts, with its darker state, both in cd/m²."""
    if hdr:
        return np.asarray(change >= np.maximum(np.float32(LEAST), darker * np.float32(RELATIVE)))
    return np.asarray((change >= LEAST) & (darker < DARK))


def grid(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of cells for a chroma plane of this size."""
    return max(1, round(width / CELL)), max(1, round(height / CELL))


def cell_signals(chunk: Chunk, low: int, high: int) -> dict[str, NDArray[Any]]:
    """Signals of the chunk's rows ``[low, high)``, which are the stream's numbers.

    ``nits``: mean luminance of each cell, float16, ``(rows, down, across)``; ``red``: its share of saturated red; ``rise`` and
    ``fall``: the share of its pixels that change enough towards the next frame, all in 1/255 (uint8); ``hdr`` bool. Where
    there is no next frame to compare with (``linked`` is false) nothing rises or falls.
    """
    first, pictures = chunk.header.first_row, [chunk.part(name) for name in "yuv"]
    light = DisplayLight.of(chunk.header)
    rows, there = high - low, len(pictures[0])
    size = grid(pictures[1].shape[2], pictures[1].shape[1])
    shape = (rows, size[1], size[0])
    nits = np.zeros(shape, np.float16)
    red, rise, fall = (np.zeros(shape, np.uint8) for _ in range(3))
    last: Plane | None = None
    for k in range(rows + 1):
        at = low - first + k
        if at >= there:
            break
        luminance, saturated = light(*(p[at] for p in pictures))
        if last is not None:
            change = luminance - last
            rise[k - 1] = _shares(counts(change, last, hdr=light.hdr), size)
            fall[k - 1] = _shares(counts(-change, luminance, hdr=light.hdr), size)
        if k < rows:
            nits[k] = np.rint(_means(luminance, size) * _FINE) / _FINE
            red[k] = _shares(saturated, size)
        last = luminance
    return {"nits": nits, "red": red, "rise": rise, "fall": fall, "hdr": np.full(rows, light.hdr)}


def _means(plane: Plane, size: tuple[int, int]) -> Plane:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32).reshape(size[1], size[0])


def _shares(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The share of each cell for which the mask holds; a share that is not 0 stays so."""
    if not mask.any():
        return np.zeros((size[1], size[0]), np.uint8)
    return np.asarray(np.ceil(_means(mask.astype(np.float32), size) * WHOLE - 1e-3), np.uint8)
