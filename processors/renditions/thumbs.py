"""Thumbs: every frame as 48x27 RGB, for the shot network, in chunks on the stream's own grid of frames."""

from __future__ import annotations

from collections.abc import Sequence

from processors.renditions.chunks import FrameChunks, Look
from processors.renditions.pyramid import THUMB, Pyramid
from schemas.chunk import Chunk, Part
from schemas.plan import Job

NAME = "thumbs"

GRID = 50
"""Chunks begin at frame numbers that are multiples of this, counted from the stream's first frame, but at a segment's start."""

GRIDS_A_CHUNK = 4

_LOOK = Look(
    parts=(Part("rgb", "|u1", (THUMB[1], THUMB[0], 3)),),
    pixel_format="rgb24",
    colour_range="full",
    matrix=None,
    transfer=None,
    bit_depth=8,
)


class ThumbsBuilder:
    """Chunks of one part ``rgb``. A change of geometry does not cut them: a thumb always has one size."""

    def __init__(self, job: Job) -> None:
        self._chunks = FrameChunks(job, NAME, job.after.get(NAME, 0), _to_grid)
        self._chunks.change(_LOOK)

    def feed(self, pyramid: Pyramid, *, owned: bool) -> Sequence[Chunk]:
        """See a frame."""
        if not owned and not self._chunks.hungry():
            return ()
        frame = pyramid.frame
        return self._chunks.add(frame.number, frame.pts, (pyramid.thumb(),), owned=owned)

    def hungry(self) -> bool:
        """Whether a halo lacks frames."""
        return self._chunks.hungry()

    def close(self) -> Sequence[Chunk]:
        """What is left."""
        return self._chunks.close()


def _to_grid(first_row: int, _: int) -> int:
    return (first_row // GRID + GRIDS_A_CHUNK) * GRID - first_row
