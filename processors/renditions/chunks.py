"""Cuts a rendition's frames into chunks: owned rows, then the halo after them, each chunk one preallocated buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.chunk import Chunk, ChunkHeader, Part
from schemas.ids import digest
from schemas.plan import Job

TARGET_BYTES = 1 << 20
"""About this much a chunk."""

LIMIT_BYTES = 7 << 20
"""Never more than this: a message of 8 MiB must hold it with its headers."""


@dataclass(frozen=True, slots=True)
class Look:
    """What every frame of a chunk has in common."""

    parts: tuple[Part, ...]
    pixel_format: str
    colour_range: str
    matrix: str | None
    transfer: str | None
    bit_depth: int

    @property
    def unit(self) -> np.dtype[Any]:
        """Structured type of one frame."""
        return np.dtype([(p.name, p.dtype, p.shape) for p in self.parts])


@dataclass(slots=True, eq=False)
class _Open:
    """A chunk that is being filled."""

    n: int
    first_row: int
    fresh: bool
    owned_wanted: int
    units: NDArray[Any]
    owned: int = 0
    after: int = 0
    pts: list[int] = field(default_factory=list)

    def put(self, planes: Sequence[NDArray[Any]], pts: int) -> None:
        at = self.owned + self.after
        for name, plane in zip(self.units.dtype.names or (), planes, strict=True):
            self.units[name][at] = plane
        self.pts.append(pts)


Capacity = Callable[[int, int], int]
"""From (first row, bytes of a unit) to the owned rows of the chunk that begins there."""


def by_size(after: int) -> Capacity:
    """Chunks of about ``TARGET_BYTES`` with their halo; at least as many owned rows as halo, so that it never dominates."""

    def rows(_: int, unit: int) -> int:
        limit = LIMIT_BYTES // unit
        if limit <= after:
            raise ValueError(f"a halo of {after} rows of {unit} bytes does not fit a chunk")
        return min(max(TARGET_BYTES // unit - after, after, 1), limit - after)

    return rows


class FrameChunks:
    """Gathers frames into chunks. Rows of a chunk are consecutive: where rows are lost it ends as it is, without a halo, and
    the next one begins afresh.
    """

    def __init__(self, job: Job, rendition: str, after: int, capacity: Capacity) -> None:
        self._job, self._rendition, self._after, self._capacity = job, rendition, after, capacity
        self._clock = job.clock.model_dump(mode="json")
        self._look: Look | None = None
        self._open: list[_Open] = []
        self._n = 0
        self._fresh = job.segment == 0
        self._next: int | None = None

    def change(self, look: Look) -> list[Chunk]:
        """Frames look different from here on. What was open ends without them; no halo reaches across."""
        chunks = self.close()
        self._fresh = self._fresh or self._look is not None
        self._look = look
        return chunks

    def hungry(self) -> bool:
        """Whether an open chunk lacks frames after its owned ones."""
        return any(c.after < self._after for c in self._open)

    def add(self, row: int, pts: int, planes: Sequence[NDArray[Any]], *, owned: bool) -> list[Chunk]:
        """Add one frame; returns the chunks that are complete with it."""
        ended: list[Chunk] = []
        if self._next not in (None, row):
            ended, self._fresh = self.close(), self._fresh or self._after > 0
        self._next = row + 1
        full = [c for c in self._open if c.owned == c.owned_wanted or not owned]
        for chunk in full:
            if chunk.after < self._after:
                chunk.put(planes, pts)
                chunk.after += 1
        if owned:
            current = self._current(row)
            current.put(planes, pts)
            current.owned += 1
        return ended + self._take(
            [c for c in self._open if c.after == self._after and (c.owned == c.owned_wanted or not owned)]
        )

    def _current(self, row: int) -> _Open:
        last = self._open[-1] if self._open else None
        if last is not None and last.owned < last.owned_wanted:
            return last
        if self._look is None:
            raise ValueError("frames of no known look")
        unit = self._look.unit
        wanted = self._capacity(row, unit.itemsize)
        chunk = _Open(self._n, row, self._fresh, wanted, np.empty(wanted + self._after, unit))
        self._n += 1
        self._fresh = False
        self._open.append(chunk)
        return chunk

    def close(self) -> list[Chunk]:
        """There are no more frames (of this look): what is open ends as it is."""
        return self._take(list(self._open))

    def _take(self, done: list[_Open]) -> list[Chunk]:
        if not done:
            return []
        self._open = [c for c in self._open if c not in done]
        return [self._seal(c) for c in done]

    def _seal(self, chunk: _Open) -> Chunk:
        job, look = self._job, self._look
        assert look is not None
        rows = (chunk.owned, chunk.after)
        data = chunk.units[: sum(rows)].view(np.uint8)
        header = ChunkHeader(
            asset=job.asset.id,
            run=job.run,
            stream=job.stream,
            segment=job.segment,
            rendition=self._rendition,
            n=chunk.n,
            first_row=chunk.first_row,
            rows=rows,
            first_unit=chunk.first_row,
            units=rows,
            fresh=chunk.fresh,
            clock=self._clock,
            pts=tuple(chunk.pts),
            parts=look.parts,
            pixel_format=look.pixel_format,
            colour_range=look.colour_range,
            matrix=look.matrix,
            transfer=look.transfer,
            bit_depth=look.bit_depth,
        )
        return Chunk(replace(header, digest=digest(data)), data)
