"""The task artefacts gives the same scores, findings and shares however a stream is cut into chunks."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.sample.scenes import Picture
from processors.tasks.artefacts import ARTEFACTS
from schemas.cell import Signals
from tests import stills

NAMES = tuple(a.name for a in ARTEFACTS)
SCORES = st.sampled_from([0.0, 0.4, 0.5, 0.51, 0.9, 1.0, float("nan")])
STILLS = 8


def signals(first: int, scores: list[tuple[float, ...]]) -> Signals:
    """An irregular clock: ends must come from timestamps and seconds, not from counting."""
    rows = np.arange(first, first + len(scores), dtype=np.int64)
    table = np.array(scores, np.float64).reshape(-1, len(NAMES))
    pts = stills.SECOND * rows + 37 * (rows % 3)
    return Signals(first, len(scores), {"pts": pts} | {name: table[:, k] for k, name in enumerate(NAMES)})


@settings(max_examples=200)
@given(
    scores=st.lists(st.tuples(*[SCORES] * len(NAMES)), min_size=1, max_size=40),
    cuts=st.sets(st.integers(1, 39)),
    holes=st.sets(st.integers(0, 39), max_size=5),
)
def test_the_fold_does_not_see_how_stills_are_cut(scores: list[tuple[float, ...]], cuts: set[int], holes: set[int]) -> None:
    kept = np.array([k for k in range(len(scores)) if k not in holes], np.int64)
    stretches = [s for s in np.split(kept, np.flatnonzero(np.diff(kept) != 1) + 1) if len(s)]
    coarse = [signals(int(s[0]), [scores[k] for k in s]) for s in stretches]
    fine = [
        signals(int(part[0]), [scores[k] for k in part])
        for s in stretches
        for part in np.split(s, np.flatnonzero(np.isin(s, list(cuts))))
        if len(part)
    ]
    seen = []
    for parts in (coarse, fine):
        run = stills.folded(parts)
        figures = run.finish(stills.end(len(scores) - 0.5)).measurements
        seen.append(([e.finding for e in run.final_findings()], figures))
    assert seen[0] == seen[1]
    over = {(a.code, k) for n, a in enumerate(ARTEFACTS) if a.stills == 1 for k in kept if scores[k][n] > 0.5}
    covered = {
        (f.code, k) for f in seen[0][0] for k in range(len(scores)) if f.start <= stills.SECOND * k + 37 * (k % 3) < f.end
    }
    assert over <= covered, "a still over the limit lies in a finding, where one is enough for it"


@cache
def drawn() -> tuple[list[Picture], Signals]:
    """Small stills of the sample, and their signals in one chunk."""
    made = []
    for second in range(8, 8 + STILLS):
        picture = stills.sample_still(second)
        made.append(Picture(picture.y[100:228, 100:356], picture.u[50:114, 50:178], picture.v[50:114, 50:178]))
    return made, stills.runner()(stills.chunk(made))


@settings(max_examples=8)
@given(cuts=st.sets(st.integers(1, STILLS - 1)))
def test_scores_do_not_depend_on_the_chunk(cuts: set[int]) -> None:
    pictures, whole = drawn()
    parts = [stills.runner()(c) for c in stills.chunks(pictures, sorted(cuts))]
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(np.concatenate([p.arrays[name] for p in parts]), array)
