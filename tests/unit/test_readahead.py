"""Few requests, and always the right bytes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import readahead
from processors.readahead import FIRST_BYTES, KEPT_BYTES, MIB, MOST_BYTES, TAIL_BYTES, ReadAhead

STEP = 256 << 10
"""What FFmpeg asks for at once."""


PATTERN = random.Random(1).randbytes(1_000_003)


class Far:
    """Bytes that differ from place to place, and the requests for them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= self.size
        self.asked.append((start, end))
        return self.bytes(start, end)

    @staticmethod
    def bytes(start: int, end: int) -> bytes:
        first = start % len(PATTERN)
        return (PATTERN * ((first + end - start) // len(PATTERN) + 1))[first : first + end - start]


def read(ahead: ReadAhead, far: Far, start: int, end: int, step: int = STEP) -> None:
    for at in range(start, end, step):
        assert ahead.read(at, min(at + step, end)) == far.bytes(at, min(at + step, end))


def test_reading_on_asks_for_more_each_time() -> None:
    far = Far(100 * MIB)
    read(ReadAhead(far, far.size), far, 0, far.size)
    lengths = [end - start for start, end in far.asked]
    assert lengths[:5] == [MIB, 2 * MIB, 4 * MIB, MOST_BYTES, MOST_BYTES]
    assert len(far.asked) == 15
    assert sum(lengths) == far.size


def test_an_index_at_the_end_costs_one_request() -> None:
    far = Far(60 * MIB)
    ahead = ReadAhead(far, far.size)
    read(ahead, far, 0, STEP)
    read(ahead, far, far.size - 300_000, far.size)
    read(ahead, far, STEP, FIRST_BYTES)
    read(ahead, far, far.size - TAIL_BYTES, far.size)
    assert far.asked == [(0, FIRST_BYTES), (far.size - TAIL_BYTES, far.size)]


def test_a_long_index_is_read_on_to_the_end() -> None:
    far = Far(200 * MIB)
    read(ReadAhead(far, far.size), far, far.size - 12 * MIB, far.size)
    assert len(far.asked) == 4


def test_a_small_object_is_one_request() -> None:
    far = Far(3 * MIB)
    ahead = ReadAhead(far, far.size)
    read(ahead, far, far.size - 100, far.size)
    read(ahead, far, 0, far.size)
    assert far.asked == [(0, far.size)]


def test_streams_that_do_not_lie_side_by_side_keep_their_pace() -> None:
    far = Far(80 * MIB)
    ahead = ReadAhead(far, far.size)
    for at in range(0, 30 * MIB, STEP):
        read(ahead, far, at, at + STEP)
        read(ahead, far, 40 * MIB + at, 40 * MIB + at + STEP)
    assert len(far.asked) == 2 * 6


def test_small_skips_are_read_over_and_far_ones_begin_anew() -> None:
    far = Far(80 * MIB)
    ahead = ReadAhead(far, far.size)
    read(ahead, far, 0, MIB)
    read(ahead, far, MIB + 300_000, MIB + 300_000 + STEP)
    read(ahead, far, 40 * MIB, 40 * MIB + STEP)
    assert far.asked == [(0, MIB), (MIB, 3 * MIB + 300_000), (40 * MIB, 41 * MIB)]


def test_memory_is_bounded_and_both_ends_stay() -> None:
    far = Far(300 * MIB)
    ahead = ReadAhead(far, far.size)
    read(ahead, far, far.size - 10, far.size)
    for at in range(0, far.size, STEP):
        read(ahead, far, at, at + STEP)
        assert sum(len(span.data) for span in ahead._spans) <= KEPT_BYTES
    requests = len(far.asked)
    read(ahead, far, 0, FIRST_BYTES)
    read(ahead, far, far.size - TAIL_BYTES, far.size)
    assert len(far.asked) == requests


def test_too_few_bytes_are_no_bytes() -> None:
    with pytest.raises(ConnectionError, match="came"):
        ReadAhead(lambda start, end: b"x" * (end - start - 1), 10 * MIB).read(0, 5)


PLACES = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 4000)), min_size=1, max_size=60)


@given(st.integers(1, 60_000), PLACES, st.booleans())
def test_whatever_is_read_is_what_lies_there(size: int, places: Sequence[tuple[float, int]], onward: bool) -> None:
    small = {"FIRST_BYTES": 100, "MOST_BYTES": 1600, "TAIL_BYTES": 300, "SKIP_BYTES": 100, "KEPT_BYTES": 4000}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small.items():
            patch.setattr(readahead, name, value)
        far = Far(size)
        ahead = ReadAhead(far, size)
        at = 0
        for place, length in places:
            at = at if onward and random.Random(length).random() < 0.8 else int(place * size)
            assert ahead.read(at, at + length) == far.bytes(at, min(at + length, size))
            at = min(at + length, size)
            spans = sorted((span.start, span.end) for span in ahead._spans)
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
