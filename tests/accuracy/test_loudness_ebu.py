"""EBU Tech 3341 and 3342 (v2023): every synthesised case, cut at random places, in tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.tasks.loudness import TASK
from schemas.chunk import hops
from tests.sound import Result, amplitude, analyse, random_cuts, tone

LU = 0.1
ABOVE, BELOW = 0.2, 0.4


def measured(samples: NDArray[Any], rate: int = 48000, names: Sequence[str] | None = None) -> Result:
    rng = np.random.default_rng(len(samples))
    rows = hops(rate, len(samples))
    return analyse(TASK, samples, rate, cuts=random_cuts(rows, rng, max(2, rows // 200)), names=names)


@pytest.mark.parametrize(("rate", "level"), [(48000, -33.0), *((r, -23.0) for r in (8000, 22050, 44100, 48000, 96000, 192000))])
def test_3341_cases_1_and_2_a_steady_tone(rate: int, level: float) -> None:
    result = measured(tone(rate, [(20, level)]), rate)
    for name in ("integrated", "max_momentary", "max_short_term"):
        assert result.value(f"loudness.{name}") == pytest.approx(level, abs=LU)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([(10, -36), (60, -23), (10, -36)], id="3-relative-gate"),
        pytest.param([(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)], id="4-both-gates"),
        pytest.param([(20, -26), (20.1, -20), (20, -26)], id="5-above-and-below"),
    ],
)
def test_3341_cases_3_to_5_gates(parts: Any) -> None:
    assert measured(tone(48000, parts)).value("loudness.integrated") == pytest.approx(-23, abs=LU)


@pytest.mark.parametrize(
    "names",
    [
        ("FL", "FR", "FC", "SL", "SR"),
        ("FL", "FR", "FC", "BL", "BR"),
        ("FL", "FR", "FC", "LFE", "SL", "SR"),
        ("FL", "FR", "FC", "LFE", "BL", "BR"),
    ],
)
def test_3341_case_6_surround(names: tuple[str, ...]) -> None:
    levels = {"FL": -28, "FR": -28, "FC": -24, "LFE": -10, "SL": -30, "SR": -30, "BL": -30, "BR": -30}
    samples = np.concatenate([tone(48000, [(20, levels[name])], channels=1) for name in names], axis=1)
    assert measured(samples, names=names).value("loudness.integrated") == pytest.approx(-23, abs=LU)


def test_3341_case_9_short_term_is_steady() -> None:
    result = measured(tone(48000, [(1.34, -20), (1.66, -30)] * 5))
    assert result.value("loudness.max_short_term") == pytest.approx(-23, abs=LU)


@pytest.mark.parametrize("i", range(20))
def test_3341_cases_10_and_11_short_term_maximum(i: int) -> None:
    ten = measured(tone(48000, [(i * 0.15, None), (3, -23), (1, None)]))
    assert ten.value("loudness.max_short_term") == pytest.approx(-23, abs=LU)
    eleven = measured(tone(48000, [(i * 0.15, None), (3, -38 + i), (3 - i * 0.15, None)]))
    assert eleven.value("loudness.max_short_term") == pytest.approx(-38 + i, abs=LU)


def test_3341_case_12_momentary_is_steady() -> None:
    result = measured(tone(48000, [(0.18, -20), (0.22, -30)] * 25))
    assert result.value("loudness.max_momentary") == pytest.approx(-23, abs=LU)


@pytest.mark.parametrize("i", range(20))
def test_3341_cases_13_and_14_momentary_maximum(i: int) -> None:
    thirteen = measured(tone(48000, [(i * 0.02, None), (0.4, -23), (1, None)]))
    assert thirteen.value("loudness.max_momentary") == pytest.approx(-23, abs=LU)
    fourteen = measured(tone(48000, [(i * 0.02, None), (0.4, -38 + i), (0.4 - i * 0.02, None)]))
    assert fourteen.value("loudness.max_momentary") == pytest.approx(-38 + i, abs=LU)


@pytest.mark.parametrize(
    ("divisor", "degrees", "height", "expected"),
    [
        pytest.param(4, 0, 0.50, -6.0, id="15"),
        pytest.param(4, 45, 0.50, -6.0, id="16"),
        pytest.param(6, 60, 0.50, -6.0, id="17"),
        pytest.param(8, 67.5, 0.50, -6.0, id="18"),
        pytest.param(4, 45, 1.41, 3.0, id="19"),
    ],
)
@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_3341_cases_15_to_19_true_peak(divisor: int, degrees: float, height: float, expected: float, rate: int) -> None:
    n = np.arange(rate)
    fade = np.minimum(1, np.minimum(n, n[::-1]) / (0.01 * rate))
    wave = height * fade * np.sin(2 * np.pi * n / divisor + np.radians(degrees))
    result = measured(np.repeat(wave[:, None], 2, axis=1).astype(np.float32), rate)
    assert expected - BELOW <= result.value("loudness.true_peak") <= expected + ABOVE


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        pytest.param([-20, -30], 10, id="1"),
        pytest.param([-20, -15], 5, id="2"),
        pytest.param([-40, -20], 20, id="3"),
        pytest.param([-50, -35, -20, -35, -50], 15, id="4"),
    ],
)
def test_3342_cases_1_to_4_loudness_range(levels: list[float], expected: float) -> None:
    draft = measured(tone(48000, [(20, level) for level in levels])).measurement("loudness.range")
    assert draft.value == pytest.approx(expected, abs=1)
    assert draft.reliable == (len(levels) * 20 >= 60)


def test_a_full_scale_sine_in_one_front_channel_reads_as_the_standard_says() -> None:
    samples = tone(48000, [(20, 0.0)], hz=997)
    samples[:, 1] = 0
    assert amplitude(0.0) == 1.0
    assert measured(samples).value("loudness.integrated") == pytest.approx(-3.01, abs=0.01)
