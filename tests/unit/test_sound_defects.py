"""Task sound-defects: dropouts and what is none, and the figures of false high resolution, hum and clicks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import firwin, oaconvolve, resample_poly

from processors.findings import Phase
from processors.tasks import agent_task
from processors.tasks.sound_defects import TASK
from schemas.chunk import hops
from tests import faulty_sound
from tests.sound import LAYOUTS, Result, amplitude, random_cuts, to_int16, tone
from tests.sound import analyse as analyse_with

RATE = 16000
SHARP = ("kaiser", 10.0)


def analyse(samples: NDArray[Any], rate: int = RATE, **options: Any) -> Result:
    rows = hops(rate, len(samples))
    cuts = options.pop("cuts", None) or random_cuts(rows, np.random.default_rng(rows), max(2, rows // 150))
    return analyse_with(TASK, samples, rate, cuts=cuts, **options)


def noise(seconds: float, channels: int = 2, level: float = -20, seed: int = 0, rate: int = RATE) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return amplitude(level) * rng.standard_normal((round(seconds * rate), channels))


def test_it_is_registered() -> None:
    assert agent_task("sound-defects") is TASK
    assert TASK.spec.findings == ("audio.dropout", "audio.channel_order")


# Dropouts


def gap(sound: NDArray[Any], at: float, seconds: float, channels: Sequence[int] = (0, 1), held: bool = False) -> NDArray[Any]:
    broken = sound.copy()
    start, end = round(at * RATE), round((at + seconds) * RATE)
    for c in channels:
        broken[start:end, c] = broken[start - 1, c] if held else 0
    return broken


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize(("seconds", "found"), [(0.0015, False), (0.003, True), (0.03, True), (0.49, True), (0.51, False)])
def test_a_gap_of_2_ms_to_half_a_second_is_a_dropout(seconds: float, found: bool, held: bool, dtype: str) -> None:
    sound = gap(noise(4), 2.0, seconds, held=held)
    findings = analyse(to_int16(sound) if dtype == "int16" else sound.astype(np.float32)).found("audio.dropout")
    assert len(findings) == found
    for finding in findings:
        start = 2 * RATE - held  # the sample that is held is the first of its value
        assert (finding.start, finding.end) == (start, 2 * RATE + round(seconds * RATE))
        assert finding.value == pytest.approx(seconds + held / RATE)
        assert finding.channels == (0, 1)
        assert ("held sample" in finding.text) == held


def test_a_dropout_of_one_channel() -> None:
    [finding] = analyse(to_int16(gap(noise(3), 1.5, 0.02, channels=[1]))).findings
    assert finding.channels == (1,)
    assert "FR" in finding.text


def test_gaps_that_follow_each_other_closely_are_one_dropout() -> None:
    sound = to_int16(gap(gap(noise(3), 1.5, 0.02, channels=[0]), 1.57, 0.01))
    [finding] = analyse(sound).findings
    assert (finding.start, finding.end) == (round(1.5 * RATE), round(1.58 * RATE))
    assert finding.value == pytest.approx(0.03)
    assert "2 gaps" in finding.text


def test_a_dropout_is_told_some_seconds_later_and_not_at_the_end() -> None:
    result = analyse(to_int16(gap(noise(12), 2.0, 0.02)), cuts=[300, 600, 900])
    assert [e.phase for e in result.events] == [Phase.NEW, Phase.END]
    assert not result.outcome.events


@pytest.mark.parametrize("kind", sorted(faulty_sound.CLEAN))
def test_clean_sound_has_no_dropouts(kind: str) -> None:
    for seed, form in enumerate(("int16", "float32", "int32")):
        sound = faulty_sound.CLEAN[kind](np.random.default_rng([seed, len(kind)]), 6, RATE)
        assert not analyse(faulty_sound.stored(sound, form, 1)).findings, (kind, seed)


def test_fades_of_some_milliseconds_make_no_dropout() -> None:
    sound = noise(3)
    fade = np.linspace(1, 0, RATE // 100)[:, None]
    sound[RATE : RATE + len(fade)] *= fade
    sound[RATE + len(fade) : 2 * RATE] = 0
    sound[2 * RATE - RATE // 2 - len(fade) : 2 * RATE] = 0
    sound = np.delete(sound, np.s_[RATE + 3 * len(fade) : 2 * RATE - len(fade)], axis=0)
    assert not analyse(to_int16(sound)).findings


def test_quiet_sound_and_the_ends_of_the_stream_have_no_dropouts() -> None:
    assert not analyse(to_int16(gap(noise(2, level=-60), 1.0, 0.02))).findings
    sound = noise(2)
    sound[:500] = sound[-500:] = 0
    assert not analyse(to_int16(sound)).findings


def test_no_dropout_reaches_over_lost_hops() -> None:
    sound = to_int16(gap(noise(3), 0.9, 0.4))
    assert not analyse(sound, cuts=[100, 120], drop=[1]).findings


# Figures


def clicked(times: Sequence[float]) -> NDArray[np.float64]:
    sound = tone(RATE, [(6, -12)], hz=300).astype(np.float64) + noise(6, level=-60)
    for t in times:
        sound[round(t * RATE)] += 0.2
    return sound


@pytest.mark.parametrize("times", [(), (1.0,), (1.0, 2.5, 2.9)])
def test_clicks_are_counted(times: Sequence[float]) -> None:
    assert analyse(to_int16(clicked(times))).value("audio.clicks") == pytest.approx(10 * len(times))


@pytest.mark.parametrize("kind", ["synth", "loud", "rhythm"])
def test_waves_with_steps_have_few_clicks(kind: str) -> None:
    sound = faulty_sound.CLEAN[kind](np.random.default_rng(4), 8, RATE)
    assert analyse(faulty_sound.stored(sound, "int16", 1)).value("audio.clicks") <= 60


@pytest.mark.parametrize("mains", [50, 60])
def test_hum_is_found_in_noise_with_its_frequency(mains: int) -> None:
    sound, t = noise(13, level=-40), np.arange(13 * RATE) / RATE
    clean = analyse(to_int16(sound)).value("audio.hum")
    for k, level in ((1, -50), (2, -56), (3, -53)):
        sound[:, 1] += amplitude(level) * np.sin(2 * np.pi * (mains + 0.05) * k * t)
    draft = analyse(to_int16(sound)).measurement("audio.hum")
    assert draft.value is not None
    assert clean < 6 < 15 < draft.value
    assert draft.method.startswith(f"{mains} Hz")
    assert draft.method.endswith("FR")


def test_a_note_near_the_mains_is_no_hum() -> None:
    sound = noise(13, level=-40) + tone(RATE, [(13, -30)], hz=49.0)
    assert analyse(to_int16(sound)).value("audio.hum") < 6


def low_passed(hertz: float, rate: int) -> NDArray[np.float64]:
    return oaconvolve(noise(4, 1, -20, rate=rate), firwin(801, hertz, fs=rate, window=SHARP)[:, None], mode="same", axes=0)


@pytest.mark.parametrize(("hertz", "rate"), [(16000, 48000), (4000, 16000), (20000, 96000)])
def test_bandwidth(hertz: float, rate: int) -> None:
    result = analyse((low_passed(hertz, rate) * 2**23).astype(np.int32) * 256, rate)
    assert result.value("audio.bandwidth") == pytest.approx(hertz, abs=1000)
    assert result.value("audio.bandwidth_ratio") == pytest.approx(2 * hertz / rate, abs=2000 / rate)


def test_what_was_upsampled_keeps_its_bandwidth() -> None:
    before = noise(3, 1, -20, rate=44100)
    after = (
        np.round(resample_poly(before, 2, 1, window=firwin(401, 0.48, window=("kaiser", 10.0))) * 2**23).astype(np.int32) * 256
    )
    assert analyse(after, 88200).value("audio.bandwidth_ratio") == pytest.approx(0.5, abs=0.05)
    assert analyse(noise(3, 1, -20, rate=88200).astype(np.float32), 88200).value("audio.bandwidth_ratio") == 1


@pytest.mark.parametrize(
    ("bits", "form", "padded"), [(16, "s16", 0), (12, "s16", 4), (16, "s32", 8), (24, "s32", 0), (8, "u8", 0)]
)
def test_bit_depth(bits: int, form: str, padded: int) -> None:
    codes = np.round(noise(1) * 2.0 ** (bits - 1)).astype(np.int64)
    samples = (codes << (16 - bits)).astype(np.int16) if form != "s32" else (codes << (32 - bits)).astype(np.int32)
    result = analyse(samples, form=form)
    assert result.value("audio.bit_depth") == bits
    assert result.value("audio.padded_bits") == padded


def test_bit_depth_of_floats() -> None:
    codes = np.round(noise(1) * 2**15)
    assert analyse((codes / 2**15).astype(np.float32)).value("audio.bit_depth") == 16
    assert analyse(noise(1).astype(np.float32)).measurement("audio.bit_depth").reason == "the samples are floating point"
    assert analyse(np.zeros((RATE, 2), np.int16)).measurement("audio.bit_depth").reason == "digital silence"


# Channel order


def surround(order: Sequence[str]) -> NDArray[np.int16]:
    sound = noise(3, 6, -25)
    bass = firwin(801, 100, fs=RATE)
    sound[:, order.index("LFE")] = 8 * oaconvolve(sound[:, 0], bass, mode="same")
    return to_int16(sound)


def test_an_lfe_in_another_channel_is_found() -> None:
    [finding] = analyse(surround(["FL", "FC", "FR", "SL", "SR", "LFE"])).findings
    assert (finding.code, finding.channels) == ("audio.channel_order", (3, 5))
    assert "LFE comes last" in finding.text


def test_the_right_order_and_what_cannot_be_told() -> None:
    assert not analyse(surround(LAYOUTS[6])).findings
    assert not analyse(to_int16(noise(3, 6, -25))).findings
    silent = surround(LAYOUTS[6])
    silent[:, 3] = 0
    assert not analyse(silent).findings
    assert not analyse(surround(["FL", "FC", "FR", "SL", "SR", "LFE"]), names=()).findings


def test_below_4_khz_nothing_is_measured() -> None:
    result = analyse(to_int16(noise(1, rate=2000)), 2000)
    assert not result.findings
    assert all(m.value is None and "below 4000 Hz" in (m.reason or "") for m in result.outcome.measurements)
