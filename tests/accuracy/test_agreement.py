"""Programmes with seeded defects against FFmpeg's filters: a few here, two hundred in ``make accuracy``."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.accuracy import agreement, measured, programmes, reference
from tests.accuracy.agreement import DEFINITIONS, UNEXPLAINED, Row, _Case, match
from tests.accuracy.programmes import CODINGS

FEW = (3, 8, 23)
"""Small and short ones."""


def unexplained(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.why == UNEXPLAINED]


@pytest.mark.parametrize("seed", FEW)
def test_a_programme_agrees_with_ffmpegs_filters(seed: int, tmp_path: Path) -> None:
    rows = agreement.compare(seed, tmp_path)
    assert unexplained(rows) == []
    assert {row.check for row in rows} >= {"frames", "cut score", "cuts", "crop, frames", "crop, asset"}
    assert {row.why for row in rows} <= {"", *DEFINITIONS}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
def test_every_kind_of_programme_agrees_with_ffmpegs_filters(seed: int, tmp_path: Path) -> None:
    assert unexplained(agreement.compare(seed, tmp_path)) == []


def test_a_seed_gives_the_same_programme_again() -> None:
    assert programmes.form(17) == programmes.form(17)
    forms = [programmes.form(seed) for seed in range(200)]
    assert {form.encoder for form in forms} == {coding.encoder for coding in CODINGS}
    assert {form.depth for form in forms} == {8, 10} and any(form.full_range for form in forms)
    assert any(form.width % 2 for form in forms) and {form.channels for form in forms} == {1, 2, 6}
    assert min(Fraction(f.rate) for f in forms) < 24 and max(Fraction(f.rate) for f in forms) == 60


def test_what_is_wrong_is_not_explained_away(tmp_path: Path) -> None:
    """The comparison itself: black that is two frames late, a missing freeze, levels, cuts and areas that are a little off."""
    path, truth = programmes.render(8, tmp_path)
    ours, theirs = measured.measure(path), reference.measure(path, truth.form.depth)
    signals = dict(ours.signals)
    for name, change in (("luma_diff", 1e-4), ("out_of_range", 1e-3)):
        signals[name] = signals[name] + change
    signals["area"] = signals["area"] + np.array([1, 0, 0, 0])
    wrong = _Case(8, truth.form, replace(ours, signals=signals), theirs)
    assert unexplained([*wrong.cuts()]) and unexplained([*wrong.crop()]) and unexplained([*wrong.levels()])
    late = replace(theirs, black=((0.4, 2.6),), freeze=((0.5, 3.0),), silence=((0.1, 4.0),))
    case = _Case(8, truth.form, ours, late)
    for rows in (case.black(), case.freeze(), case.silence()):
        assert unexplained([*rows])


def test_intervals_are_matched_once() -> None:
    a, b, c = (0.0, 1.0), (2.0, 3.0), (2.5, 4.0)
    assert match([a, b], [b, a]) == [(a, a), (b, b)]
    assert match([b], [c, a]) == [(b, c), (None, a)]
    assert match([a], []) == [(a, None)]
