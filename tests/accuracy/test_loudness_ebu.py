"""EBU Tech 3341 and 3342 (v2023): every case that can be synthesised, cut at random places, in tolerance at three rates."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.tasks.loudness import TASK
from schemas.chunk import hops
from tests.figures import Figures, printed
from tests.loudness_cases import LU, Case, every_case
from tests.sound import Result, analyse, random_cuts, tone

RATES = (44100, 48000, 96000)
CASES = every_case()
SHORT = [case for case in CASES if case.seconds <= 20]
PICK = [(rate, case) for rate in RATES for case in random.Random(rate).sample(SHORT, 10)]
"""For every run: cases by chance at each rate, which are the same each time."""


def measured(samples: NDArray[Any], rate: int = 48000, names: Sequence[str] | None = None) -> Result:
    rng = np.random.default_rng(len(samples))
    rows = hops(rate, len(samples))
    return analyse(TASK, samples, rate, cuts=random_cuts(rows, rng, max(2, rows // 200)), names=names)


@pytest.fixture(scope="module")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    with printed("EBU Tech 3341 and 3342, chunked at random places", request) as table:
        yield table


def in_tolerance(case: Case, rate: int) -> list[tuple[str, float, float, str]]:
    result = measured(case.make(rate), rate, case.names)
    rows = []
    for name, expected in case.expected.items():
        draft = result.measurement(name)
        assert draft.value is not None, draft.reason
        rows.append((f"{case.id} {name} at {rate} Hz", draft.value, expected, draft.unit))
        assert expected - case.below <= draft.value <= expected + case.above, rows[-1]
    return rows


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("rate", RATES)
def test_every_case(rate: int, case: Case, figures: Figures) -> None:
    for row in in_tolerance(case, rate):
        figures.add(*row)


@pytest.mark.parametrize(("rate", "case"), PICK, ids=str)
def test_a_case_by_chance(rate: int, case: Case) -> None:
    in_tolerance(case, rate)


@pytest.mark.parametrize("rate", [8000, 22050, 192000])
def test_a_steady_tone_at_other_rates(rate: int) -> None:
    assert measured(tone(rate, [(4, -23)]), rate).value("loudness.integrated") == pytest.approx(-23, abs=LU)


@pytest.mark.parametrize(("levels", "reliable"), [([-20, -30], False), ([-20, -30, -20], True)])
def test_the_range_of_less_than_a_minute_is_not_relied_on(levels: list[float], reliable: bool) -> None:
    draft = measured(tone(8000, [(20, level) for level in levels]), 8000).measurement("loudness.range")
    assert draft.value == pytest.approx(10, abs=1)
    assert draft.reliable is reliable


def test_a_full_scale_sine_in_one_front_channel_reads_as_the_standard_says() -> None:
    samples = tone(48000, [(20, 0.0)], hz=997)
    samples[:, 1] = 0
    assert measured(samples).value("loudness.integrated") == pytest.approx(-3.01, abs=0.01)
