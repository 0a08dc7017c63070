"""However sound is cut into chunks, the tasks on it say the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.tasks import audio_qc, loudness, sound_defects
from processors.tasks.base import AgentTask
from schemas.chunk import hop_edge, hops
from tests import faulty_sound
from tests.sound import Result, analyse

RATES = [8000, 11025, 22050, 44100]
EXACT = 1e-9


@st.composite
def programmes(draw: st.DrawFn) -> tuple[NDArray[Any], int]:
    """A few seconds of what the tasks look for, in any sample format; the last hop is usually short."""
    rate = draw(st.sampled_from(RATES))
    channels = draw(st.sampled_from([1, 2, 2, 6]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(
        st.lists(st.sampled_from(["noise", "quiet", "zero", "inverted", "clipped", "tone", "offset"]), min_size=1, max_size=5)
    )
    parts = [section(kind, rate, int(rate * draw(st.floats(0.1, 2.6))), channels, rng) for kind in kinds]
    sound = np.clip(np.concatenate(parts), -0.999, 0.999)
    form = draw(st.sampled_from(["int16", "int32", "float32"]))
    if form == "float32":
        return sound.astype(np.float32), rate
    bits = np.iinfo(form).bits - 1
    return np.round(sound * 2.0**bits).astype(form), rate


def section(kind: str, rate: int, units: int, channels: int, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(units)[:, None] / rate
    wave = np.repeat(rng.uniform(0.05, 0.9) * np.sin(2 * np.pi * rng.uniform(20, 2000) * time), channels, axis=1)
    if kind == "tone":
        return wave
    if kind == "clipped":
        return np.clip(3 * wave, -0.8, 0.8)
    if kind == "inverted":
        return wave * np.where(np.arange(channels) % 2, -1, 1)
    if kind == "offset":
        return np.full((units, channels), 0.25)
    scale = {"noise": 0.2, "quiet": 0.0002, "zero": 0.0}[kind]
    return scale * rng.standard_normal((units, channels))


@st.composite
def cut_programmes(draw: st.DrawFn) -> tuple[NDArray[Any], int, list[int], int]:
    samples, rate = draw(programmes())
    rows = hops(rate, len(samples))
    cuts = draw(st.sets(st.integers(1, rows - 1), max_size=6)) if rows > 1 else set()
    return samples, rate, sorted(cuts), draw(st.integers(0, 40))


def same(whole: Result, cut: Result) -> None:
    assert cut.findings == whole.findings
    assert len(cut.outcome.measurements) == len(whole.outcome.measurements)
    for a, b in zip(cut.outcome.measurements, whole.outcome.measurements, strict=True):
        assert (a.id, a.channel, a.reliable, a.reason) == (b.id, b.channel, b.reliable, b.reason)
        if a.value is None or b.value is None:
            assert a.value == b.value
        else:
            assert math.isclose(a.value, b.value, rel_tol=EXACT, abs_tol=EXACT), a.id
    for name in whole.signals[0].arrays:
        ours, theirs = (np.concatenate([s.arrays[name] for s in r.signals if s.rows]) for r in (cut, whole))
        np.testing.assert_allclose(ours, theirs, rtol=EXACT, atol=EXACT, err_msg=name)


def check(task: AgentTask, case: tuple[NDArray[Any], int, list[int], int]) -> None:
    samples, rate, cuts, more_after = case
    whole = analyse(task, samples, rate)
    same(whole, analyse(task, samples, rate, cuts=cuts, more_after=more_after))
    for finding in whole.findings:
        assert 0 <= finding.start < finding.end <= len(samples)


@given(cut_programmes())
@settings(max_examples=40, deadline=None)
def test_loudness_is_the_same_however_it_is_cut(case: tuple[NDArray[Any], int, list[int], int]) -> None:
    check(loudness.TASK, case)


@given(cut_programmes())
@settings(max_examples=60, deadline=None)
def test_sound_qc_is_the_same_however_it_is_cut(case: tuple[NDArray[Any], int, list[int], int]) -> None:
    check(audio_qc.TASK, case)


@given(cut_programmes(), st.data())
@settings(max_examples=30, deadline=None)
def test_no_interval_reaches_over_lost_hops(case: tuple[NDArray[Any], int, list[int], int], data: st.DataObject) -> None:
    samples, rate, cuts, _ = case
    lost = data.draw(st.integers(0, len(cuts)))
    result = analyse(audio_qc.TASK, samples, rate, cuts=cuts, drop=[lost])
    rows = hops(rate, len(samples))
    bounds = [0, *cuts, rows]
    low, high = (min(rows, bounds[i] + 1) if bounds[i] else 0 for i in (lost, lost + 1))
    start, end = hop_edge(rate, low), min(len(samples), hop_edge(rate, high))
    for finding in result.findings:
        if finding.code in ("audio.silence", "audio.mute", "audio.phase_inverted", "audio.clipping"):
            assert finding.end <= start or finding.start >= end
    if end > start:
        assert not any(m.reliable for m in result.outcome.measurements)


@given(cut_programmes())
@settings(max_examples=40, deadline=None)
def test_sound_defects_are_the_same_however_they_are_cut(case: tuple[NDArray[Any], int, list[int], int]) -> None:
    check(sound_defects.TASK, case)


@given(st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=25, deadline=None)
def test_dropouts_are_the_same_however_they_are_cut(seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    rate = int(rng.choice([8000, 11025, 22050]))
    kind = faulty_sound.CLEAN[data.draw(st.sampled_from(sorted(faulty_sound.CLEAN)))]
    wave = kind(rng, rng.uniform(1, 14), rate)
    samples, _ = faulty_sound.splice(faulty_sound.stored(wave, rng.choice(["int16", "float32"])), rate, rng, 6)
    cuts = sorted(data.draw(st.sets(st.integers(1, hops(rate, len(samples)) - 1), max_size=8)))
    check(sound_defects.TASK, (samples, rate, cuts, 0))
