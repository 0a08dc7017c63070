"""The native picture task gives the same signals, findings and figures however a stream is cut into segments and chunks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.decode.frame import NativeFrame
from schemas.clock import Clock
from tests.picture import analyse, column, folded, native

HEIGHT, WIDTH = 16, 24
CLOCK = Clock(tick=(1, 1000), origin_pts=-3000)

Shot = tuple[str, int, int]
"""What it shows, how many frames, and each one's duration in milliseconds."""

KINDS = ("moving", "still", "grain", "drift", "fade", "black", "twos", "flash", "letterbox", "small", "loud")

shots = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(1, 70), st.sampled_from([40, 400, 1000, 7000])), min_size=1, max_size=6
)


def shot_frames(kind: str, frames: int, rng: np.random.Generator) -> list[list[NDArray[Any]]]:
    size = (HEIGHT // 2, WIDTH // 2) if kind == "small" else (HEIGHT, WIDTH)
    chroma = [np.full((size[0] // 2, size[1] // 2), 128, np.uint8)] * 2
    base = rng.integers(40, 200, size).astype(np.float64)
    steps = rng.permutation(base.size).reshape(size) / base.size
    found = []
    for k in range(frames):
        luma = base
        if kind in ("moving", "letterbox", "loud") or (kind == "twos" and k % 2):
            luma = rng.integers(40, 200, size).astype(np.float64)
        elif kind == "grain":
            luma = base + (rng.random(size) < rng.choice([0.3, 0.38, 0.45]))
        elif kind == "drift":
            luma = np.floor(base + steps + 0.02 * k)
        elif kind == "fade":
            luma = 16 + (base - 16) * k / frames
        elif kind == "black" or (kind == "flash" and k in (frames // 2, frames // 2 + 1)):
            luma = np.full(size, 17.0)
        if kind == "letterbox":
            luma[:4] = luma[-4:] = 16
        elif kind == "loud":
            luma[:2] = 245
        found.append([luma.astype(np.uint8), *chroma])
    return found


def stream(plan: list[Shot], seed: int) -> list[NativeFrame]:
    rng, pts = np.random.default_rng(seed), -2000
    frames: list[NativeFrame] = []
    for kind, count, duration in plan:
        for planes in shot_frames(kind, count, rng):
            frames.append(native(planes, len(frames), pts=pts, duration=duration))
            pts += duration
    return frames


@settings(max_examples=30, deadline=None)
@given(plan=shots, seed=st.integers(0, 1 << 30), data=st.data())
def test_any_cutting_gives_the_same(plan: list[Shot], seed: int, data: st.DataObject) -> None:
    frames = stream(plan, seed)
    boundaries = list(itertools.accumulate(count for _, count, _ in plan))
    inside = st.integers(1, max(1, len(frames) - 1)) | st.sampled_from(boundaries)
    cuts = data.draw(st.lists(inside, max_size=8), label="cuts")
    sizes = itertools.cycle(data.draw(st.lists(st.integers(1, 80), min_size=1, max_size=5), label="rows a chunk"))
    whole = analyse(frames, clock=CLOCK)
    parts = analyse(frames, [c for c in cuts if c < len(frames)], lambda: next(sizes), CLOCK)
    for name in whole[0].arrays:
        np.testing.assert_array_equal(column(parts, name), column(whole, name), err_msg=name)
    findings, outcome = folded(parts, CLOCK)
    wanted, wanted_outcome = folded(whole, CLOCK)
    assert findings == wanted
    assert (outcome.measurements, outcome.facts) == (wanted_outcome.measurements, wanted_outcome.facts)


def test_freezes_over_many_segments_are_one() -> None:
    """Two minutes of a still, cut every second and a half and at the very frames where it begins and ends."""
    frames = stream([("moving", 30, 400), ("still", 300, 400), ("moving", 30, 400)], 1)
    cuts = [30, 330, *range(33, 327, 4)]
    findings, _ = folded(analyse(frames, cuts, lambda: 7, CLOCK), CLOCK)
    assert [(f.code, f.start_row, f.end_row) for f in findings] == [("video.freeze", 30, 330)]
