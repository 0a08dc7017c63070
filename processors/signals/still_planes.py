"""A still as the artefact detector sees it: the native block and the whole picture's luma, on one scale, in patches."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.chunk import Chunk, ChunkHeader

Floats = NDArray[np.float32]

PATCH = 128
LEAST = 64
"""A block with a side shorter than this is not judged."""
PICTURE_WIDTH = 480
STRIP = (64, 192)
"""Height and width of a patch of the picture; patches overlap by half."""
_BLACK, _SCALE = 16.0, 219.0


@dataclass(frozen=True, slots=True)
class StillPlanes:
    """One still. ``y`` ``(h, w)``, ``u`` and ``v`` ``(h/2, w/2)`` are the native block in 8-bit limited-range codes, without
    rounding; ``picture`` is the whole picture's luma in the same codes, at most 480 wide.
    """

    y: Floats
    u: Floats
    v: Floats
    picture: Floats


def still_planes(chunk: Chunk, row: int) -> StillPlanes:
    """The still of a chunk's row (counted in the chunk)."""
    header = chunk.header
    names = [part.name for part in header.parts]
    blocks = [chunk.part(name)[row].astype(np.float32) for name in names if name.startswith("block_")]
    rgb = chunk.part("rgb")[row]
    if "block_r" in names:
        y, u, v = _from_rgb(blocks, header)
    else:
        y, *chroma = (_to_limited(plane, header, luma=number == 0) for number, plane in enumerate(blocks))
        u, v = chroma if chroma else (np.full_like(y, 128.0),) * 2
    y = y[: y.shape[0] // 2 * 2, : y.shape[1] // 2 * 2]
    half = (y.shape[1] // 2, y.shape[0] // 2)
    u, v = (_shrink(plane, half) for plane in (u, v))
    return StillPlanes(y, u, v, picture_luma(rgb))


def picture_luma(rgb: NDArray[np.uint8]) -> Floats:
    """Luma of an RGB picture in limited-range codes, at most 480 wide, by area averages."""
    weights = np.array([[0.299, 0.587, 0.114]], np.float32)
    luma = cv2.transform(rgb, weights).astype(np.float32)
    height, width = luma.shape
    if width > PICTURE_WIDTH:
        luma = _shrink(luma, (PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width))))
    return np.asarray(_BLACK + luma * (_SCALE / 255), np.float32)


def _to_limited(plane: Floats, header: ChunkHeader, *, luma: bool) -> Floats:
    depth = header.bit_depth or 8
    plane = plane / np.float32(1 << (depth - 8))
    if header.colour_range != "full":
        return plane
    if luma:
        return np.asarray(_BLACK + plane * (_SCALE / 255), np.float32)
    return np.asarray(128 + (plane - 128) * (224 / 255), np.float32)


def _from_rgb(planes: list[Floats], header: ChunkHeader) -> tuple[Floats, Floats, Floats]:
    """BT.709, whose difference to other matrices is of no matter here."""
    top = np.float32((1 << (header.bit_depth or 8)) - 1)
    red, green, blue = (plane / top for plane in planes)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return _BLACK + _SCALE * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748


def _shrink(plane: Floats, size: tuple[int, int]) -> Floats:
    if plane.shape[::-1] == size:
        return plane
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def starts(length: int, patch: int, least: int) -> list[int]:
    """Where patches begin along a side so that they cover it: multiples of 8, with at least ``least`` patches for each
    length of a patch.
    """
    if length <= patch:
        return [0]
    count = -(-(length - patch) * least // patch) + 1
    return sorted({round((length - patch) * k / (count - 1)) // 8 * 8 for k in range(count)})


def block_patches(still: StillPlanes) -> tuple[Floats, Floats] | None:
    """Patches of the native block as the network takes them: luma ``(n, h, w)`` and chroma ``(n, 2, h/2, w/2)``.

    ``None`` where a side is shorter than 64.
    """
    height, width = still.y.shape
    if min(height, width) < LEAST:
        return None
    tall, wide = (min(PATCH, side // 8 * 8) for side in (height, width))
    places = [(y, x) for y in starts(height, tall, 1) for x in starts(width, wide, 1)]
    luma = np.stack([still.y[y : y + tall, x : x + wide] for y, x in places])
    chroma = np.stack(
        [np.stack([p[y // 2 : (y + tall) // 2, x // 2 : (x + wide) // 2] for p in (still.u, still.v)]) for y, x in places]
    )
    return scale_luma(luma), scale_chroma(chroma)


def picture_patches(picture: Floats) -> Floats | None:
    """Strips of the whole picture ``(n, h, w)`` as the network takes them; ``None`` where it is smaller than one."""
    height, width = picture.shape
    tall, wide = STRIP
    if height < tall or width < wide:
        return None
    places = [(y, x) for y in starts(height, tall, 2) for x in starts(width, wide, 2)]
    return scale_luma(np.stack([picture[y : y + tall, x : x + wide] for y, x in places]))


def scale_luma(luma: Floats) -> Floats:
    """Limited-range codes to about -1 to 1."""
    return np.asarray((luma - _BLACK) * (2 / _SCALE) - 1, np.float32)


def scale_chroma(chroma: Floats) -> Floats:
    """Limited-range codes to about -1 to 1."""
    return np.asarray((chroma - 128) / 112, np.float32)
