"""Rows of results: however a stream is cut into chunks, every row comes once and with its whole context."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processors.tasks.base import TaskSpec


@st.composite
def cuttings(draw: st.DrawFn) -> tuple[TaskSpec, list[tuple[int, int, int, bool]], int]:
    """A task, chunks ``(first, owned, after, fresh)`` of a stream, and the stream's number of rows.

    Halos are the task's or longer, end with the stream and with a change of geometry, after which a chunk is fresh.
    """
    context = st.just(0) | st.integers(0, 120)
    before, after = draw(context), draw(context)
    grid = draw(st.sampled_from([1, 2, 7, 50, 100]))
    spec = TaskSpec("t", "1", "video", "agent", "proxy", "", before=before, after=after, grid=grid)
    given_halo = spec.halo + draw(st.sampled_from([0, 1, 60]))
    chunks = []
    first = 0
    for stretch in draw(st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=8), min_size=1, max_size=3)):
        end = first + sum(stretch)
        for place, owned in enumerate(stretch):
            chunks.append((first, owned, min(given_halo, end - first - owned), place == 0))
            first += owned
    return spec, chunks, first


@given(cuttings())
def test_every_row_comes_once(made: tuple[TaskSpec, list[tuple[int, int, int, bool]], int]) -> None:
    spec, chunks, total = made
    at = 0
    for first, owned, after, fresh in chunks:
        low, high = spec.output_rows(first, owned, after, fresh=fresh)
        assert (low, low <= high) == (at, True)
        at = high
    assert at == total


@given(cuttings())
def test_every_row_has_its_context(made: tuple[TaskSpec, list[tuple[int, int, int, bool]], int]) -> None:
    spec, chunks, total = made
    starts = [first for first, _, _, fresh in chunks if fresh]
    for first, owned, after, fresh in chunks:
        low, high = spec.output_rows(first, owned, after, fresh=fresh)
        seen_to = first + owned + after
        stretch_end = min([start for start in starts if start > first], default=total)
        stretch_start = max(start for start in starts if start <= first)
        for row in {low, high - 1} if high > low else set():
            block = row // spec.grid * spec.grid
            assert max(stretch_start, block - spec.before) >= first
            assert min(stretch_end, block + spec.grid + spec.after) <= seen_to
