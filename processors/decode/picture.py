"""From a decoded picture to a :class:`NativeFrame`: planes in place where they can be viewed, a lossless reformat where not."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from processors.decode.colour import MATRICES, PRIMARIES, TRANSFERS
from processors.decode.frame import NativeFrame
from schemas.plan import VideoFormat

FULL_RANGE = 2
DEPTHS = (8, 9, 10, 12, 14, 16)

_PLANAR = re.compile(r"(?P<family>yuv[aj]?4[0-4][0-4]p|gbra?p|gray)(?P<bits>9|10|12|14|16)?(?P<endian>le|be)?")
_ABORTS = frozenset({"yaf32be", "yaf32le"})
"""swscale ends the whole process on these."""

_SUBSAMPLING = {(64, 64): "444", (32, 64): "422", (32, 32): "420", (64, 32): "440", (16, 64): "411", (16, 16): "410"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How pictures of one pixel format are read: ``convert`` names the format to go through, where planes cannot be viewed."""

    name: str
    model: Literal["gray", "yuv", "rgb"]
    bit_depth: int
    order: tuple[int, ...]
    convert: tuple[str, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a sample."""
        return np.dtype(np.uint8 if self.bit_depth == 8 else "<u2")


@functools.cache
def layout_of(name: str) -> Layout:
    """The layout of a pixel format. Raises ``ValueError`` for what cannot be read, e.g. a hardware surface."""
    found = _PLANAR.fullmatch(name)
    if found is not None and found["endian"] != "be":
        depth = int(found["bits"] or 8)
        if found["family"] == "gray":
            return Layout(name, "gray", depth, (0,))
        if found["family"].startswith("gbr"):
            return Layout(name, "rgb", depth, (2, 0, 1))
        return Layout(name, "yuv", depth, (0, 1, 2))
    steps = _steps(name)
    target = layout_of(steps[-1])
    return Layout(target.name, target.model, target.bit_depth, target.order, steps)


def _steps(name: str) -> tuple[str, ...]:
    """The formats that lead to the nearest planar one of the same depth and subsampling, and of no less depth."""
    if name in _ABORTS:
        raise ValueError(f"pictures of format {name} cannot be read")
    source = av.VideoFormat(name)
    colours = [c for c in source.components if not c.is_alpha]
    depth = next((d for d in DEPTHS if d >= max(c.bits for c in colours)), DEPTHS[-1])
    if source.is_bayer:
        wide = "16" in name
        return ("rgb48le", "gbrp16le") if wide else ("rgb24", "gbrp")
    if source.is_rgb or source.has_palette or name.startswith("xyz"):
        return (_planar("gbrp", depth),)
    if len(colours) == 1:
        return (_planar("gray", depth),)
    chroma = source.chroma_width(64), source.chroma_height(64)
    if len(colours) != 3 or chroma not in _SUBSAMPLING:
        raise ValueError(f"pictures of format {name} cannot be read")
    return (_planar(f"yuv{_SUBSAMPLING[chroma]}p", depth),)


def _planar(family: str, depth: int) -> str:
    for candidate in (d for d in DEPTHS if d >= depth):
        name = family if candidate == 8 else f"{family}{candidate}le"
        try:
            av.VideoFormat(name)
        except ValueError:
            continue
        return name
    raise ValueError(f"there is no {family} of {depth} bits")


class PictureReader:
    """Reads the pictures of one stream. What a picture does not say of its colour is taken from the container's format."""

    def __init__(self, declared: VideoFormat | None) -> None:
        self._declared = declared or VideoFormat(width=0, height=0)
        self._reformatter = VideoReformatter()

    def read(self, picture: av.VideoFrame, *, pts: int, duration: int, number: int) -> NativeFrame:
        """View a picture. Raises ``ValueError`` or FFmpeg's errors for a format that cannot be converted."""
        name = picture.format.name
        layout = layout_of(name)
        declared = self._declared
        stated = picture.color_range
        full = stated == FULL_RANGE or (stated == 0 and declared.colour_range == "full")
        source = picture
        for step in layout.convert:
            source = self._reformatter.reformat(source, format=step, threads=1)
        planes = source.planes
        return NativeFrame(
            planes=tuple(view_plane(planes[i], layout.dtype) for i in layout.order),
            model=layout.model,
            width=picture.width,
            height=picture.height,
            bit_depth=layout.bit_depth,
            pts=pts,
            duration=duration,
            number=number,
            pixel_format=layout.name,
            full_range=full or layout.model == "rgb" or name.startswith("yuvj"),
            matrix=MATRICES.get(picture.colorspace) or declared.matrix,
            transfer=TRANSFERS.get(picture.color_trc) or declared.transfer,
            primaries=PRIMARIES.get(picture.color_primaries) or declared.primaries,
            corrupt=picture.is_corrupt,
            interlaced=picture.interlaced_frame,
        )


def view_plane(plane: VideoPlane, dtype: np.dtype[Any]) -> NDArray[Any]:
    """One plane of a planar picture as ``(height, width)``, in place; only one that lies upside down is copied."""
    stride = plane.line_size
    rows = (
        np.frombuffer(memoryview(cast(Any, plane)), np.uint8).reshape(plane.height, abs(stride)).view(dtype)[:, : plane.width]
    )
    return rows if stride > 0 else np.ascontiguousarray(rows[::-1])
