"""Task loudness: what it says of programmes that are short, silent, damaged or of unknown layout."""

from __future__ import annotations

import numpy as np
import pytest

from processors.tasks import agent_task
from processors.tasks.loudness import TASK
from tests.sound import amplitude, analyse, to_int16, tone

IDS = [
    "loudness.integrated",
    "loudness.range",
    "loudness.max_momentary",
    "loudness.max_short_term",
    "loudness.true_peak",
    "audio.peak",
]


def test_it_is_registered() -> None:
    assert agent_task("loudness") is TASK
    assert TASK.spec.halo == 26


def test_a_programme_has_all_figures_in_its_one_presentation() -> None:
    drafts = analyse(TASK, tone(48000, [(61, -23)]), cuts=[1000, 3000]).outcome.measurements
    assert [d.id for d in drafts] == IDS
    assert {d.presentation for d in drafts} == {"p0"}
    assert all(d.reliable and d.reason is None and d.value is not None for d in drafts)
    assert [d.unit for d in drafts] == ["LUFS", "LU", "LUFS", "LUFS", "dBTP", "dBFS"]


def test_a_short_programme_has_a_range_that_is_not_reliable() -> None:
    draft = analyse(TASK, tone(48000, [(5, -20), (5, -30)])).measurement("loudness.range")
    assert draft.value == pytest.approx(10, abs=0.1)
    assert not draft.reliable
    assert draft.reason == "the programme is shorter than 60 s"


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_silence_has_no_figures(dtype: str) -> None:
    for draft in analyse(TASK, np.zeros((48000 * 5, 2), dtype), cuts=[230]).outcome.measurements:
        assert draft.value is None
        assert draft.reason == "digital silence"
        assert not draft.reliable


def test_what_is_below_the_gate_has_maxima_but_no_integrated_loudness() -> None:
    result = analyse(TASK, tone(48000, [(5, -80)]))
    for name in ("integrated", "range"):
        assert result.measurement(f"loudness.{name}").value is None
        assert result.measurement(f"loudness.{name}").reason == "all of it is below the gate of -70 LUFS"
    assert result.value("loudness.max_momentary") == pytest.approx(-80, abs=0.1)
    assert result.value("audio.peak") == pytest.approx(-80, abs=0.1)


@pytest.mark.parametrize(("seconds", "there"), [(0.005, 0), (0.39, 0), (0.4, 2), (2.99, 2), (3.0, 4)])
def test_windows_that_do_not_fit_are_null(seconds: float, there: int) -> None:
    result = analyse(TASK, tone(48000, [(seconds, -20)]))
    drafts = {d.id: d for d in result.outcome.measurements}
    windows = ["integrated", "max_momentary", "range", "max_short_term"]
    for i, name in enumerate(windows):
        draft = drafts[f"loudness.{name}"]
        assert (draft.value is not None) == (i < there), name
        assert draft.value is not None or draft.reason == f"there is no whole window of {0.4 if i < 2 else 3:g} s"
    assert drafts["audio.peak"].value == pytest.approx(-20, abs=1)


def test_no_samples_at_all() -> None:
    result = analyse(TASK, np.zeros((0, 2), np.int16))
    assert {d.value for d in result.outcome.measurements} == {None}
    assert result.measurement("audio.peak").reason == "there are no samples"


def test_the_true_peak_lies_between_samples() -> None:
    n = np.arange(48000)
    samples = to_int16(0.5 * np.sin(2 * np.pi * n / 4 + np.pi / 4)[:, None])
    result = analyse(TASK, samples)
    assert result.value("audio.peak") == pytest.approx(-9.03, abs=0.01)
    assert result.value("loudness.true_peak") > -6.4


def test_the_lowest_code_is_full_scale() -> None:
    samples = np.zeros((4800, 1), np.int16)
    samples[2000] = -32768
    assert analyse(TASK, samples).value("audio.peak") == 0.0


def test_lfe_is_left_out_and_unknown_positions_are_said() -> None:
    samples = tone(48000, [(4, -20)], channels=6)
    samples[:, :3] = samples[:, 4:] = 0
    names = ("FL", "FR", "FC", "LFE", "SL", "SR")
    assert analyse(TASK, samples, names=names).measurement("loudness.integrated").reason == "digital silence"
    unknown = analyse(TASK, samples, names=())
    draft = unknown.measurement("loudness.integrated")
    assert draft.value == pytest.approx(-23, abs=0.1)
    assert not draft.reliable
    assert draft.reason == "channel positions are unknown: each weighs 1.0"
    assert unknown.measurement("audio.peak").reliable


def test_lost_hops_are_said_and_no_window_reaches_over_them() -> None:
    samples = tone(48000, [(3, -30), (2, -10), (3, -30)])
    result = analyse(TASK, samples, cuts=[270, 520], drop=[1])
    assert result.measurement("loudness.integrated").reason == "2.5 s were not analysed"
    assert not result.measurement("audio.peak").reliable
    assert result.value("loudness.max_momentary") == pytest.approx(-30, abs=0.1)
    assert analyse(TASK, samples, cuts=[270, 520], drop=[2]).measurement("audio.peak").reason == "2.55 s were not analysed"


def test_garbage_is_silence_and_makes_figures_unreliable() -> None:
    samples = tone(48000, [(4, -20)])
    samples[1000] = np.nan
    result = analyse(TASK, samples, cuts=[50, 250])
    assert result.value("loudness.integrated") == pytest.approx(-20, abs=0.1)
    assert result.measurement("loudness.integrated").reason == "2 samples are no sound (not finite, or beyond +120 dBFS)"


def test_too_low_a_rate_has_no_figures() -> None:
    for draft in analyse(TASK, np.ones((5000, 1), np.int16), 1000, cuts=[100]).outcome.measurements:
        assert draft.value is None
        assert draft.reason == "the sample rate of 1000 Hz is below 4000 Hz"


def test_the_state_stays_small() -> None:
    state = analyse(TASK, tone(8000, [(30, amplitude(-20))]), 8000, cuts=[700, 1400, 2100]).state
    assert len(state["tail"]) == 299
    assert sum(np.asarray(v).nbytes for v in state.values() if isinstance(v, np.ndarray)) < 4096
