"""The proxy: every frame as small 4:2:0 planes in the source's own codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.decode.frame import NativeFrame
from processors.renditions.chunks import FrameChunks, Look, by_size
from processors.renditions.pyramid import RGB_PROXY_MATRIX, Pyramid
from schemas.chunk import Chunk, Part
from schemas.plan import Job

NAME = "proxy"


class ProxyBuilder:
    """Chunks of parts ``y``, ``u`` and ``v``: uint8, or uint16 where the source has more than 8 bits."""

    def __init__(self, job: Job) -> None:
        after = job.after.get(NAME, 0)
        self._chunks = FrameChunks(job, NAME, after, by_size(after))
        self._geometry: tuple[object, ...] | None = None

    def feed(self, pyramid: Pyramid, *, owned: bool) -> Sequence[Chunk]:
        """See a frame."""
        frame = pyramid.frame
        done: list[Chunk] = []
        if frame.geometry != self._geometry:
            self._geometry = frame.geometry
            done = self._chunks.change(_look(frame, pyramid))
        if owned or self._chunks.hungry():
            done += self._chunks.add(frame.number, frame.pts, pyramid.proxy(), owned=owned)
        return done

    def hungry(self) -> bool:
        """Whether a halo lacks frames."""
        return self._chunks.hungry()

    def close(self) -> Sequence[Chunk]:
        """What is left."""
        return self._chunks.close()


def _look(frame: NativeFrame, pyramid: Pyramid) -> Look:
    width, height = pyramid.proxy_size()
    dtype = np.dtype("|u1" if frame.bit_depth == 8 else "<u2").str
    half = (height // 2, width // 2)
    return Look(
        parts=(Part("y", dtype, (height, width)), Part("u", dtype, half), Part("v", dtype, half)),
        pixel_format="yuv420p" if frame.bit_depth == 8 else f"yuv420p{frame.bit_depth}le",
        colour_range="full" if frame.full_range else "limited",
        matrix=RGB_PROXY_MATRIX if frame.model == "rgb" else frame.matrix,
        transfer=frame.transfer,
        bit_depth=frame.bit_depth,
    )
