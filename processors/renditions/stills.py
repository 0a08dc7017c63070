"""Stills: the first frame at or after each whole second, large enough to read, and a block of it in native pixels.

Which job makes a still must not depend on how the stream was cut. So a job owns whole *seconds*: those that lie in
``[start, end)``. The frame of its last second may be the first one after its end, which it decodes anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from processors.decode.colour import SCALER_MATRICES, UNSPECIFIED
from processors.decode.frame import NativeFrame
from processors.decode.picture import view_plane
from processors.renditions.chunks import FrameChunks, Look, by_size
from processors.renditions.pyramid import Pyramid
from processors.renditions.scale import EXACT, fit, wrap
from schemas.chunk import Chunk, Part
from schemas.plan import Job

NAME = "stills"
LONGEST = 1280
BLOCK = 512
ALIGN = 8
HD_HEIGHT = 720
"""From this height on a picture that does not name its matrix is taken as BT.709, below as BT.601."""

_PLANE_NAMES = {"gray": ("y",), "yuv": ("y", "u", "v"), "rgb": ("r", "g", "b")}


class StillsBuilder:
    """Chunks of parts ``rgb`` (uint8) and ``block_y``, ``block_u``, ``block_v`` (or ``_r``, ``_g``, ``_b``; native codes).

    A row is a whole second of presentation time, counted from the container's start. A second at or after which the same
    frame comes first as at the next one has no still of its own, so rows may leave numbers out; a chunk's do not. ``pts``
    names the frames. Pixel format, range, matrix and depth of the header are the native block's.
    """

    def __init__(self, job: Job) -> None:
        self._chunks = FrameChunks(job, NAME, 0, by_size(0))
        self._job = job
        self._origin = job.clock.origin_pts
        self._tick = job.clock.tick
        self._last = -1
        self._geometry: tuple[object, ...] | None = None
        self._reformatter = VideoReformatter()

    def feed(self, pyramid: Pyramid, *, owned: bool) -> Sequence[Chunk]:
        """See a frame; that it may be past the job's end is known by its time."""
        frame = pyramid.frame
        second = (frame.pts - self._origin) * self._tick[0] // self._tick[1]
        if second <= self._last:
            return ()
        self._last = second
        if not self._owns(second):
            return ()
        done: list[Chunk] = []
        if frame.geometry != self._geometry:
            self._geometry = frame.geometry
            done = self._chunks.change(_look(frame))
        planes = (self._rgb(pyramid), *_block(frame))
        return done + self._chunks.add(second, frame.pts, planes, owned=True)

    def _owns(self, second: int) -> bool:
        start, end = self._job.start, self._job.end
        at = second * self._tick[1]
        after_start = start is None or (start - self._origin) * self._tick[0] <= at
        return after_start and (end is None or at < (end - self._origin) * self._tick[0])

    def _rgb(self, pyramid: Pyramid) -> NDArray[np.uint8]:
        frame = pyramid.frame
        size = width, height = fit(frame.width, frame.height, LONGEST, even=False)
        planes = [pyramid.scaled(p, size) for p in frame.planes]
        depth = "" if frame.bit_depth == 8 else f"{frame.bit_depth}le"
        if frame.model == "rgb":
            red, green, blue = planes
            picture = wrap([green, blue, red], f"gbrp{depth}")
        else:
            picture = wrap(planes, f"gray{depth}" if frame.model == "gray" else f"yuv444p{depth}")
            picture.colorspace = _matrix(frame)
            picture.color_range = 2 if frame.full_range else 1
        flags = Interpolation.BICUBIC | EXACT
        planar = self._reformatter.reformat(  # straight to rgb24 takes three times as long
            picture, width=width, height=height, format="gbrp", interpolation=flags, threads=1
        )
        green, blue, red = (view_plane(p, np.dtype(np.uint8)) for p in planar.planes)
        return cast(NDArray[np.uint8], cv2.merge([red, green, blue]))

    def hungry(self) -> bool:
        """Never: the one frame after the end that may matter always comes."""
        return False

    def close(self) -> Sequence[Chunk]:
        """What is left."""
        return self._chunks.close()


def _matrix(frame: NativeFrame) -> int:
    assumed = "bt709" if frame.height >= HD_HEIGHT else "smpte170m"
    return SCALER_MATRICES.get(frame.matrix or assumed, UNSPECIFIED)


def block_span(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the native block: centred, at most 512x512, all four multiples of 8.

    A picture of less than 8 pixels is its own block.
    """
    (left, across), (top, down) = _centred(width), _centred(height)
    return left, top, across, down


def _centred(length: int) -> tuple[int, int]:
    size = min(BLOCK, length // ALIGN * ALIGN) or length
    return (length - size) // 2 // ALIGN * ALIGN, size


def _block(frame: NativeFrame) -> list[NDArray[Any]]:
    """The block of each plane; a subsampled plane has the part of it that lies under the same pixels."""
    left, top, width, height = block_span(frame.width, frame.height)
    blocks = []
    for plane in frame.planes:
        across, down = -(-frame.width // plane.shape[1]), -(-frame.height // plane.shape[0])
        rows = slice(top // down, -(-(top + height) // down))
        columns = slice(left // across, -(-(left + width) // across))
        blocks.append(plane[rows, columns])
    return blocks


def _look(frame: NativeFrame) -> Look:
    width, height = fit(frame.width, frame.height, LONGEST, even=False)
    blocks = zip(_PLANE_NAMES[frame.model], _block(frame), strict=True)
    return Look(
        parts=(
            Part("rgb", "|u1", (height, width, 3)),
            *(Part(f"block_{name}", block.dtype.str, block.shape) for name, block in blocks),
        ),
        pixel_format=frame.pixel_format,
        colour_range="full" if frame.full_range else "limited",
        matrix=frame.matrix,
        transfer=frame.transfer,
        bit_depth=frame.bit_depth,
    )
