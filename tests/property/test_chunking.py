"""Chunks hold every row once, in order, with the halo that was asked for, however frames and samples come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.decode.block import Block
from processors.renditions.audio import AudioBuilder
from processors.renditions.chunks import FrameChunks, Look
from schemas.chunk import Chunk, Part, hop_edge, hops
from schemas.clock import Clock
from schemas.plan import AssetRef, Job

LOOK = Look((Part("y", "|u1", (2, 3)),), "gray", "limited", None, None, 8)


def job(kind: str, segment: int, after: int) -> Job:
    return Job.model_validate(
        {
            "run": "r",
            "asset": AssetRef(id="a", uri="file:///a", version="1"),
            "stream": "x0",
            "index": 0,
            "kind": kind,
            "segment": segment,
            "last": True,
            "clock": Clock(tick=(1, 25)),
            "after": {"audio": after},
        }
    )


@settings(max_examples=150, deadline=None)
@given(
    total=st.integers(0, 60),
    extra=st.integers(0, 30),
    after=st.integers(0, 20),
    capacity=st.integers(1, 12),
    first=st.integers(0, 500),
    segment=st.integers(0, 1),
    changes=st.sets(st.integers(1, 59), max_size=4),
)
def test_frames(total: int, extra: int, after: int, capacity: int, first: int, segment: int, changes: set[int]) -> None:
    chunks = FrameChunks(job("video", segment, 0), "proxy", after, lambda *_: capacity)
    made: list[Chunk] = list(chunks.change(LOOK))
    hungry = []
    for at in range(total + extra):
        if at in changes and at < total:
            made += chunks.change(LOOK)
        owned = at < total
        if owned or chunks.hungry():
            made += chunks.add(first + at, 10 * at, [np.full((2, 3), at % 256, np.uint8)], owned=owned)
            hungry.append(at)
    made += chunks.close()
    assert len(hungry) <= total + after
    assert [c.header.n for c in made] == list(range(len(made)))
    assert [r for c in made for r in range(c.header.first_row, c.header.first_row + c.header.rows[0])] == list(
        range(first, first + total)
    )
    cuts = sorted({0, *(c for c in changes if c < total)})
    for chunk in made:
        h = chunk.header
        start = h.first_row - first
        end = start + h.rows[0]
        edge = next((c for c in cuts if c > start), total + extra)
        assert h.rows[1] == min(after, edge - end)
        assert h.rows[0] == capacity or end == min(edge, total)
        assert h.fresh == (start in cuts and (segment == 0 or start > 0))
        assert chunk.part("y")[:, 0, 0].tolist() == [at % 256 for at in range(start, start + sum(h.rows))]
        assert h.pts == tuple(10 * at for at in range(start, start + sum(h.rows)))
        assert chunk.intact()


@settings(max_examples=100, deadline=None)
@given(
    rate=st.sampled_from([100, 8000, 11025, 22050, 44100, 48000, 96000]),
    seconds=st.floats(0, 12),
    after=st.integers(0, 400),
    data=st.data(),
)
def test_samples(rate: int, seconds: float, after: int, data: st.DataObject) -> None:
    total = int(rate * seconds)
    whole = np.random.default_rng(total).integers(-30000, 30000, (total, 2)).astype(np.int16)
    builder = AudioBuilder(job("audio", 0, after))
    made: list[Chunk] = []
    at = 0
    while at < total:
        count = min(data.draw(st.integers(1, max(1, total // 3))), total - at)
        made += builder.feed(Block(whole[at : at + count], at, rate))
        at += count
    made += builder.close()
    assert [c.header.n for c in made] == list(range(len(made)))
    row = 0
    for chunk in made:
        h = chunk.header
        assert (h.first_row, h.first_unit) == (row, hop_edge(rate, row))
        row += h.rows[0]
        owned_end = h.first_unit + h.units[0]
        assert owned_end == min(hop_edge(rate, row), total)
        assert owned_end + h.units[1] == min(hop_edge(rate, row + after), total)
        assert h.rows[1] == min(after, hops(rate, total) - row)
        assert np.array_equal(chunk.part("samples"), whole[h.first_unit : owned_end + h.units[1]])
        assert chunk.intact()
    assert row == (hops(rate, total) if total else 0)


def test_a_halo_that_fits_no_chunk() -> None:
    builder = AudioBuilder(job("audio", 0, 10_000))
    with pytest.raises(ValueError, match="does not fit"):
        builder.feed(Block(np.zeros((100, 2), np.int16), 0, 48000))
