"""Task audio-qc: what it finds, what it leaves alone, and what it measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from processors.findings import Phase
from processors.tasks import agent_task
from processors.tasks.audio_qc import TASK
from schemas.chunk import hops
from tests.sound import LAYOUTS, Result, amplitude, random_cuts, to_int16, tone
from tests.sound import analyse as analyse_with

RATE = 48000


def analyse(samples: NDArray[Any], rate: int = RATE, **options: Any) -> Result:
    rows = hops(rate, len(samples))
    cuts = options.pop("cuts", None) or random_cuts(rows, np.random.default_rng(rows), max(2, rows // 150))
    return analyse_with(TASK, samples, rate, cuts=cuts, **options)


def noise(seconds: float, channels: int = 2, level: float = -20, seed: int = 0, rate: int = RATE) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return amplitude(level) * rng.standard_normal((round(seconds * rate), channels))


def codes(result: Result) -> set[str]:
    return {f.code for f in result.findings}


def test_it_is_registered() -> None:
    assert agent_task("audio-qc") is TASK
    assert TASK.spec.halo == 2
    assert TASK.spec.params["silence_level"] == -60


def test_clean_sound_has_no_findings() -> None:
    assert not analyse(to_int16(noise(12))).findings


# Silence and mutes


@pytest.mark.parametrize(("seconds", "found"), [(1.99, False), (2.0, True), (2.3, True)])
def test_silence_to_the_sample(seconds: float, found: bool) -> None:
    quiet = 0.0005 * np.random.default_rng(1).uniform(-1, 1, (round(seconds * RATE), 2))
    before = noise(1.2345, seed=2)
    sound = np.concatenate([before, quiet, noise(1, seed=3)])
    sound[len(before) - 1] = sound[len(before) + len(quiet)] = 0.5
    findings = analyse(to_int16(sound)).found("audio.silence")
    assert [(f.start, f.end) for f in findings] == ([(len(before), len(before) + len(quiet))] if found else [])
    if found:
        assert findings[0].value == pytest.approx(seconds)
        assert findings[0].unit == "s"


def test_silence_is_of_the_whole_programme() -> None:
    sound = noise(5)
    sound[RATE : 4 * RATE, 0] = 0
    assert not analyse(to_int16(sound)).found("audio.silence")


def test_silence_is_told_when_it_has_lasted_two_seconds_and_ends_once() -> None:
    sound = np.concatenate([noise(1), np.zeros((6 * RATE, 2)), noise(1)])
    events = [e for e in analyse(to_int16(sound), cuts=[200, 350, 500, 650]).events if e.finding.code == "audio.silence"]
    assert [e.phase for e in events] == [Phase.NEW, Phase.UPDATE, Phase.UPDATE, Phase.END]
    assert events[0].finding.value == pytest.approx(2.5, abs=0.02)
    assert {e.finding.start for e in events} == {RATE}


def test_silence_at_the_end_goes_to_the_last_sample() -> None:
    sound = np.concatenate([noise(1), np.zeros((2 * RATE + 77, 2))])
    [finding] = analyse(to_int16(sound)).found("audio.silence")
    assert finding.end == len(sound)


def test_a_silent_asset_is_silence_and_mute_and_nothing_else() -> None:
    result = analyse(np.zeros((3 * RATE, 2), np.int16))
    assert [(f.code, f.start, f.end) for f in result.findings] == [("audio.mute", 0, 3 * RATE), ("audio.silence", 0, 3 * RATE)]
    for name in ("audio.rms", "audio.noise_floor"):
        assert result.measurement(name).reason == "digital silence"
    assert result.measurement("audio.correlation").value is None
    assert result.value("audio.dc_offset", 0) == 0


@pytest.mark.parametrize(("seconds", "found"), [(0.49, False), (0.5, True), (1.0, True)])
def test_a_mute_is_digital_zero_in_all_channels(seconds: float, found: bool) -> None:
    sound = to_int16(np.concatenate([noise(1), np.zeros((round(seconds * RATE), 2)), noise(1)]))
    sound[sound == 0] = 1
    sound[RATE : RATE + round(seconds * RATE)] = 0
    findings = analyse(sound).found("audio.mute")
    assert [(f.start, f.end) for f in findings] == ([(RATE, RATE + round(seconds * RATE))] if found else [])
    sound[RATE : RATE + round(seconds * RATE) : 100, 1] = 1
    assert not analyse(sound).found("audio.mute")


# Clipping


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
@pytest.mark.parametrize("ceiling", [1.0, 0.7, 0.1])
def test_clipping_is_found_at_any_level(ceiling: float, dtype: str) -> None:
    sound = tone(RATE, [(2, -6), (1, 2), (2, -6), (0.3, 1), (0.2, -6), (0.2, 1), (1, -6)], hz=440).astype(np.float64)
    sound = np.clip(sound, -1, 1 - 2**-15) * ceiling
    samples = (
        sound.astype(np.float32) if dtype == "float32" else np.round(sound * 2.0 ** (np.iinfo(dtype).bits - 1)).astype(dtype)
    )
    findings = analyse(samples).found("audio.clipping")
    assert [(f.start / RATE, f.end / RATE) for f in findings] == [
        pytest.approx((2, 3), abs=0.02),
        pytest.approx((5, 5.7), abs=0.02),
    ]
    assert findings[0].channels == (0, 1)
    loud = samples[2 * RATE : 3 * RATE]
    assert findings[0].value == pytest.approx(((loud == samples.max()) | (loud == samples.min())).sum(), rel=0.01)


def test_the_clipped_channel_is_named() -> None:
    sound = to_int16(noise(4))
    sound[:, 1] = to_int16(np.clip(tone(RATE, [(4, 1)], channels=1), -0.9, 0.9))[:, 0]
    [finding] = analyse(sound).found("audio.clipping")
    assert finding.channels == (1,)
    assert "FR" in finding.text


@pytest.mark.parametrize("place", [4800 - 1, 4800 - 2, 4800, 96000 - 1, 96000 - 3])
def test_a_single_flat_top_is_found_across_hop_and_chunk_edges(place: int) -> None:
    sound = to_int16(noise(4, channels=1, level=-30))
    sound[place : place + 3] = 30000
    [finding] = analyse(sound, cuts=[10, 200]).found("audio.clipping")
    assert finding.start <= place < finding.end
    assert finding.value == 3
    sound[place + 1] = 29999
    assert not analyse(sound, cuts=[10, 200]).found("audio.clipping")


@pytest.mark.parametrize("hz", [10, 20, 40, 100, 440, 1000, 6000, 12000])
@pytest.mark.parametrize("level", [0, -20, -39])
def test_a_clean_sine_is_not_clipped(hz: float, level: float) -> None:
    sound = np.sin(2 * np.pi * hz * np.arange(3 * RATE) / RATE)[:, None] * amplitude(level)
    assert not analyse(np.round(sound * 32767).astype(np.int16)).found("audio.clipping")


def test_eight_bit_sound_is_not_clipped_by_its_steps() -> None:
    sound = np.sin(2 * np.pi * 220 * np.arange(3 * RATE) / RATE)[:, None]
    assert not analyse((np.round(sound * 127) * 256).astype(np.int16)).found("audio.clipping")


def test_a_loud_master_is_not_clipped() -> None:
    sound = uniform_filter1d(noise(10, level=14, seed=7), 6, axis=0)
    gain = minimum_filter1d(1 / np.maximum(1, np.abs(sound)), 481, axis=0)
    limited = sound * uniform_filter1d(gain, 481, axis=0)
    result = analyse(np.round(limited / np.abs(limited).max() * 32767).astype(np.int16))
    assert result.value("audio.rms") > -12
    assert not result.found("audio.clipping")


# Channels


def test_a_dead_channel_of_stereo() -> None:
    sound = noise(4)
    sound[:, 1] = 0.0003 * np.sign(sound[:, 1])
    [finding] = analyse(to_int16(sound)).found("audio.silent_channel")
    assert (finding.start, finding.end, finding.channels) == (0, 4 * RATE, (1,))
    assert finding.value == pytest.approx(-70, abs=1)
    sound[2 * RATE] = 0.1
    assert not analyse(to_int16(sound)).found("audio.silent_channel")


def test_surrounds_and_lfe_may_be_silent_and_front_channels_not() -> None:
    sound = noise(3, channels=6)
    sound[:, [3, 4, 5]] = 0
    assert not codes(analyse(to_int16(sound)))
    sound[:, 2] = 0
    [finding] = analyse(to_int16(sound)).findings
    assert (finding.code, finding.channels, finding.value) == ("audio.silent_channel", (2,), None)
    assert not codes(analyse(to_int16(sound), names=()))


def test_dual_mono() -> None:
    sound = np.repeat(noise(4, channels=1), 2, axis=1)
    [finding] = analyse(to_int16(sound)).findings
    assert (finding.code, finding.start, finding.end, finding.value) == ("audio.dual_mono", 0, 4 * RATE, None)
    almost = sound + noise(4, level=-85, seed=4)
    assert analyse(to_int16(almost)).found("audio.dual_mono")[0].value == pytest.approx(-65, abs=1)
    assert not codes(analyse(to_int16(sound + noise(4, level=-75, seed=4))))
    assert not codes(analyse(to_int16(sound[:, :1])))


# Polarity


@pytest.mark.parametrize(("seconds", "found"), [(0.4, False), (0.6, True), (3.0, True)])
def test_inverted_polarity(seconds: float, found: bool) -> None:
    sound = np.repeat(noise(6, channels=1), 2, axis=1) + noise(6, level=-50, seed=5)
    low, high = 2 * RATE, round((2 + seconds) * RATE)
    sound[low:high, 1] *= -1
    findings = analyse(to_int16(sound)).found("audio.phase_inverted")
    edges = [(f.start / RATE, f.end / RATE) for f in findings]
    assert edges == ([pytest.approx((2, 2 + seconds), abs=0.021)] if found else [])
    if found:
        assert findings[0].channels == (0, 1)


def test_inverted_polarity_lasts_over_pauses_and_ends_before_silence() -> None:
    sound = np.repeat(noise(6, channels=1), 2, axis=1) * [1, -1]
    sound[2 * RATE : round(2.2 * RATE)] = 0
    sound[4 * RATE :] = 0
    [finding] = analyse(to_int16(sound)).found("audio.phase_inverted")
    assert (finding.start, finding.end) == (0, 4 * RATE)


def test_wide_stereo_and_inaudible_sound_are_not_inverted() -> None:
    wide = np.repeat(noise(4, channels=1), 2, axis=1) * [1, -1] + noise(4, level=-30, seed=6)
    assert not analyse(to_int16(wide)).found("audio.phase_inverted")
    faint = np.repeat(noise(4, channels=1, level=-54), 2, axis=1) * [1, -1]
    assert not analyse(to_int16(faint)).found("audio.phase_inverted")


def test_polarity_events_come_in_order() -> None:
    sound = np.repeat(noise(8, channels=1), 2, axis=1)
    sound[2 * RATE : 6 * RATE, 1] *= -1
    events = [e for e in analyse(to_int16(sound), cuts=[150, 300, 450, 700]).events if e.finding.code == "audio.phase_inverted"]
    assert [e.phase for e in events] == [Phase.NEW, Phase.UPDATE, Phase.END]


# Measurements


def test_levels() -> None:
    result = analyse(to_int16(tone(RATE, [(4, -20)])[:, :1]))
    assert result.value("audio.rms") == pytest.approx(-23.01, abs=0.01)
    assert result.value("audio.noise_floor") == pytest.approx(-23.01, abs=0.01)
    assert result.measurement("audio.correlation").reason == "there is no left and right channel"


def test_dc_offset_by_channel() -> None:
    sound = noise(5)
    sound += np.array([0.1, -0.02]) - sound.mean(axis=0)
    result = analyse(sound.astype(np.float32))
    assert result.value("audio.dc_offset", 0) == pytest.approx(0.1, abs=1e-6)
    assert result.value("audio.dc_offset", 1) == pytest.approx(-0.02, abs=1e-6)


@pytest.mark.parametrize("wanted", [-0.5, 0.0, 0.8])
def test_correlation(wanted: float) -> None:
    sound = noise(10)
    sound[:, 1] = wanted * sound[:, 0] + np.sqrt(1 - wanted**2) * sound[:, 1]
    assert analyse(to_int16(sound)).value("audio.correlation") == pytest.approx(wanted, abs=0.01)


def test_the_noise_floor_is_the_quietest_half_second_that_is_not_digital_silence() -> None:
    parts = [np.zeros((RATE, 1)), noise(2, 1, -20), noise(0.7, 1, -65), noise(2, 1, -20)]
    result = analyse(to_int16(np.concatenate(parts)))
    assert result.value("audio.noise_floor") == pytest.approx(-65, abs=0.2)
    short = analyse(to_int16(noise(0.4, 1)))
    assert short.measurement("audio.noise_floor").reason == "there are no 0.5 s without digital silence"


def test_lost_hops_end_what_is_open() -> None:
    sound = np.concatenate([noise(1), np.zeros((9 * RATE, 2))])
    result = analyse(to_int16(sound), cuts=[400, 500], drop=[1])
    assert [(f.start, f.end) for f in result.found("audio.silence")] == [(RATE, 401 * 480), (501 * 480, 10 * RATE)]
    assert result.measurement("audio.rms").reason == "1 s were not analysed"


def test_garbage_makes_figures_unreliable() -> None:
    sound = noise(3).astype(np.float32)
    sound[700, 0] = np.inf
    assert not analyse(sound).measurement("audio.rms").reliable


def test_no_samples_and_too_low_a_rate() -> None:
    empty = analyse_with(TASK, np.zeros((0, 2), np.int16), RATE)
    assert {m.value for m in empty.outcome.measurements} == {None}
    slow = analyse_with(TASK, np.ones((5000, 2), np.int16), 1000, cuts=[100])
    assert {m.reason for m in slow.outcome.measurements} == {"the sample rate of 1000 Hz is below 4000 Hz"}
    assert not empty.findings
    assert not slow.findings


def test_the_state_stays_small() -> None:
    state = analyse(to_int16(noise(30, channels=6, rate=8000)), 8000, names=LAYOUTS[6]).state
    assert sum(np.asarray(v).nbytes for v in state.values() if isinstance(v, np.ndarray)) < 4096


# Room tone and downmix


@pytest.mark.parametrize(("head", "tail"), [(0.0, 0.0), (0.75, 2.5), (3.0, 0.02)])
def test_room_tone_at_head_and_tail(head: float, tail: float) -> None:
    sound = np.concatenate([noise(head, level=-65), noise(3, level=-22, seed=1), noise(tail, level=-65, seed=2)])
    sound[round(0.3 * RATE)] = 0.05  # a click in the room is no sound
    result = analyse(to_int16(sound), cuts=[30, 76, 77, 200])
    assert result.value("audio.head_seconds") == pytest.approx(head, abs=0.02)
    assert result.value("audio.tail_seconds") == pytest.approx(tail, abs=0.02)


def test_there_is_no_room_tone_without_sound() -> None:
    draft = analyse(to_int16(noise(2, level=-65))).measurement("audio.head_seconds")
    assert (draft.value, draft.reason) == (None, "nothing has a level of -50 dBFS")


@pytest.mark.parametrize(("right", "loss"), [(1.0, 0.0), (-1.0, 50.0), (0.0, 3.01), (-0.5, 10.0)])
def test_loss_on_downmix(right: float, loss: float) -> None:
    left = noise(2, channels=1)
    result = analyse(np.concatenate([left, right * left], axis=1).astype(np.float32))
    assert result.value("audio.downmix_loss") == pytest.approx(loss, abs=0.01)
    assert analyse(left.astype(np.float32)).measurement("audio.downmix_loss").value is None
