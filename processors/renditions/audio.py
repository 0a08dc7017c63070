"""Sound: every sample of every channel, interleaved, in chunks of whole 10 ms hops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.decode.block import Block
from processors.renditions.chunks import LIMIT_BYTES, TARGET_BYTES
from schemas.chunk import Chunk, ChunkHeader, Part, hop_edge, hops
from schemas.ids import digest
from schemas.plan import Job

NAME = "audio"
LEAST_HOPS = 200
"""At least 2 s a chunk, unless that were too many bytes."""


@dataclass(slots=True, eq=False)
class _Open:
    """A chunk that is being filled: samples ``[first, end)``, of which those before ``owned_end`` are owned."""

    n: int
    first_hop: int
    first: int
    owned_end: int
    end: int
    samples: NDArray[Any]

    def put(self, block: Block) -> None:
        low, high = max(self.first, block.first), min(self.end, block.end)
        if low < high:
            self.samples[low - self.first : high - self.first] = block.samples[low - block.first : high - block.first]


class AudioBuilder:
    """Chunks of one part ``samples`` of shape ``(channels,)``; the last partial hop belongs to the last chunk."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._after = job.after.get(NAME, 0)
        self._clock = job.clock.model_dump(mode="json")
        self._open: list[_Open] = []
        self._begun = 0
        self._next_hop = 0
        self._seen = 0
        self._rate = 0

    def feed(self, block: Block) -> Sequence[Chunk]:
        """See the next samples, which follow those before without a hole."""
        self._rate = block.rate
        self._seen = block.end
        while hop_edge(block.rate, self._next_hop) < block.end:
            self._begin(block)
        for chunk in self._open:
            chunk.put(block)
        done = [c for c in self._open if c.end <= block.end]
        self._open = [c for c in self._open if c.end > block.end]
        return [self._seal(c, c.end) for c in done]

    def _begin(self, block: Block) -> None:
        first_hop = self._next_hop
        self._next_hop += self._hops_a_chunk(block)
        first, owned_end, end = (hop_edge(block.rate, hop) for hop in (first_hop, self._next_hop, self._next_hop + self._after))
        samples = np.empty((end - first, block.samples.shape[1]), block.samples.dtype)
        self._open.append(_Open(self._begun, first_hop, first, owned_end, end, samples))
        self._begun += 1

    def _hops_a_chunk(self, block: Block) -> int:
        hop_bytes: int = -(-block.rate // 100) * int(block.samples.shape[1]) * block.samples.dtype.itemsize
        most = LIMIT_BYTES // hop_bytes - self._after
        if most < 1:
            raise ValueError(f"a halo of {self._after} hops of {hop_bytes} bytes does not fit a chunk")
        return min(max(LEAST_HOPS, TARGET_BYTES // hop_bytes - self._after), most)

    def close(self) -> Sequence[Chunk]:
        """What is left, with what halo there is."""
        left, self._open = self._open, []
        return [self._seal(c, min(c.end, self._seen)) for c in left]

    def _seal(self, chunk: _Open, end: int) -> Chunk:
        job, rate = self._job, self._rate
        owned_end = min(chunk.owned_end, end)
        owned_hops = hops(rate, owned_end) - chunk.first_hop
        samples = chunk.samples[: end - chunk.first]
        data = samples.reshape(-1).view(np.uint8)
        header = ChunkHeader(
            asset=job.asset.id,
            run=job.run,
            stream=job.stream,
            segment=job.segment,
            rendition=NAME,
            n=chunk.n,
            first_row=chunk.first_hop,
            rows=(owned_hops, hops(rate, end) - chunk.first_hop - owned_hops),
            first_unit=chunk.first,
            units=(owned_end - chunk.first, end - owned_end),
            fresh=chunk.n == 0,
            clock=self._clock,
            pts=(chunk.first,),
            parts=(Part("samples", samples.dtype.str, (samples.shape[1],)),),
            rate=rate,
            bit_depth=samples.dtype.itemsize * 8,
        )
        return Chunk(replace(header, digest=digest(data)), data)
