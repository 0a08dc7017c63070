"""The kernels of sound tasks: hops, windows, K weighting, true peak, channel positions, flat tops, quiet edges."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.signals import sound_channels as channels
from processors.signals import sound_gating as gating
from processors.signals.sound_hops import HopView, hop_edges, hop_reduce, window_sum
from processors.signals.sound_kweighting import _high_pass, _shelf, k_weighting
from processors.signals.sound_quiet import quiet_edges
from processors.signals.sound_runs import flat_tops, runs_of_equals
from processors.signals.sound_true_peak import BEFORE, TAPS, inter_sample_peaks, interpolator, oversampling
from processors.tasks.loudness import SPEC
from schemas.chunk import hop_edge
from schemas.errors import WireError
from schemas.plan import AudioFormat
from tests.sound import make_chunks

# fmt: off
ANNEX_2 = np.array(
    [
        [0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625,
         0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500],
        [-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250,
         0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375],
    ]
)
# fmt: on
"""Phases 0 and 1 of BS.1770-5 annex 2; 2 and 3 are their mirror images."""


def audio(*names: str, count: int | None = None) -> AudioFormat:
    return AudioFormat(rate=48000, channels=len(names) if count is None else count, channel_names=names)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_hop_edges_are_the_contracts(rate: int) -> None:
    assert hop_edges(rate, 7, 30).tolist() == [hop_edge(rate, row) for row in range(7, 38)]


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_a_view_scales_codes_to_full_scales(dtype: str) -> None:
    codes: NDArray[Any] = np.array([[0.5, -1.0]] * 480)
    codes = codes.astype(dtype) if dtype == "float32" else (codes * 2.0 ** (np.iinfo(dtype).bits - 1)).astype(dtype)
    [chunk] = make_chunks(codes, 48000)
    view = HopView.of(SPEC, chunk)
    np.testing.assert_array_equal(view.floats(), np.array([[0.5], [-1.0]]).repeat(480, axis=1))
    assert view.lengths.tolist() == [480]


def test_a_view_reads_garbage_as_silence_and_counts_it() -> None:
    samples = np.full((960, 2), 0.1, np.float32)
    samples[500] = np.nan, np.inf
    samples[10, 1] = 1e30
    [chunk] = make_chunks(samples, 48000)
    view = HopView.of(SPEC, chunk)
    assert view.invalid.tolist() == [1, 2]
    assert view.raw[:, 500].tolist() == [0, 0]


def test_a_view_refuses_what_is_no_sound() -> None:
    [chunk] = make_chunks(np.zeros((480, 1), np.uint8), 48000)
    with pytest.raises(WireError, match="not sound"):
        HopView.of(SPEC, chunk)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 40, 50, 300])
def test_window_sums_are_the_same_bits_wherever_a_series_begins(size: int) -> None:
    values = np.random.default_rng(size).random(900)
    sums = window_sum(values, size)
    assert sums == pytest.approx(np.lib.stride_tricks.sliding_window_view(values, size).sum(axis=1))
    for start in (1, 7, 333):
        assert window_sum(values[start:], size).tolist() == sums[start:].tolist()
    assert len(window_sum(values[: size - 1], size)) == 0


def test_hops_without_rows_reduce_to_nothing() -> None:
    assert hop_reduce(np.add, np.zeros((2, 100)), np.array([5])).shape == (2, 0)


def test_k_weighting_at_48_khz_is_the_standards_table() -> None:
    table = k_weighting(48000)
    assert table[0].tolist() == [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585]
    assert table[1].tolist() == [1, -2, 1, 1, -1.99004745483398, 0.99007225036621]
    assert np.array([_shelf(48000), _high_pass(48000)]) == pytest.approx(table, abs=1e-12)


def reading(taps: NDArray[np.float64], frequency: float) -> NDArray[np.float64]:
    """What each phase makes of a unit sine, in dB; ``frequency`` in sample rates."""
    wave = np.exp(2j * np.pi * frequency * np.arange(taps.shape[1]))
    return np.asarray(20 * np.log10(np.abs(taps @ wave)))


def test_the_interpolator_is_better_than_the_standards() -> None:
    for frequency in np.linspace(0.01, 20000 / 48000, 60):
        ours, theirs = (np.abs(reading(taps, frequency)).max() for taps in (interpolator(4), ANNEX_2))
        assert ours <= 0.035
        assert ours <= theirs + 0.02


def test_the_interpolator_is_an_oversampling_in_order_of_time() -> None:
    n = np.arange(400)
    wave = np.sin(2 * np.pi * 0.11 * n)
    for phase, taps in enumerate(interpolator(4), start=1):
        between = np.convolve(wave, taps[::-1])[TAPS - 1 : 400]
        assert between == pytest.approx(np.sin(2 * np.pi * 0.11 * (n[BEFORE : BEFORE + len(between)] + phase / 4)), abs=1e-3)
    assert [oversampling(rate) for rate in (8000, 48000, 96000, 192000)] == [4, 4, 4, 2]


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 192000])
def test_inter_sample_peaks_are_those_of_a_plain_filter(rate: int) -> None:
    samples = np.random.default_rng(rate).standard_normal((2, rate))
    edges = hop_edges(rate, 0, 100)[3:]
    factor = oversampling(rate)
    expected = np.zeros((2, len(edges) - 1))
    for channel in range(2):
        points = [np.convolve(samples[channel], taps[::-1])[TAPS - 1 - BEFORE :][:rate] for taps in interpolator(factor)]
        top = np.abs(points).max(axis=0)
        expected[channel] = [top[low:high].max() for low, high in pairwise(edges)]
    assert inter_sample_peaks(samples, edges, rate) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("names", "weights"),
    [
        (("FC",), (1.0,)),
        (("LFE",), (1.0,)),
        (("FL", "FR"), (1.0, 1.0)),
        (("FL", "FR", "BL", "BR"), (1.0, 1.0, 1.41, 1.41)),
        (("FL", "FR", "FC", "LFE", "BL", "BR"), (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)),
        (("FL", "FR", "FC", "LFE", "SL", "SR"), (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)),
        (("FL", "FR", "FC", "LFE", "BC", "SL", "SR"), (1.0, 1.0, 1.0, 0.0, 1.0, 1.41, 1.41)),
        (("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"), (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41)),
        (("FL", "FR", "FC", "LFE", "SL", "SR", "TFL", "TFR"), (1.0, 1.0, 1.0, 0.0, 1.41, 1.41, 1.0, 1.0)),
        (("FL", "FR", "UNK2"), (1.0, 1.0, 1.0)),
    ],
)
def test_loudness_weights_go_by_position(names: tuple[str, ...], weights: tuple[float, ...]) -> None:
    assert tuple(channels.loudness_weights(audio(*names))) == weights


def test_channels_without_positions() -> None:
    discrete = audio(count=8)
    assert channels.positions(discrete) is None
    assert channels.loudness_weights(discrete).tolist() == [1.0] * 8
    assert channels.front_pair(discrete) is None
    assert channels.must_sound(discrete) == ()
    assert channels.channel_name(discrete, 2) == "channel 3"
    assert channels.positions(audio(count=2)) == ("FL", "FR")


def test_pairs_and_channels_that_must_sound() -> None:
    surround = audio("FL", "FR", "FC", "LFE", "SL", "SR")
    assert channels.front_pair(surround) == (0, 1)
    assert channels.must_sound(surround) == (0, 1, 2)
    assert channels.front_pair(audio("FC")) is None
    assert channels.must_sound(audio("FL", "FR")) == (0, 1)


def test_gates() -> None:
    blocks = np.array([gating.power_of(level) for level in (-80.0, -45.0, -23.0, -23.0)])
    assert gating.integrated(blocks) == pytest.approx(-23.0)
    assert gating.integrated(blocks[:1]) is None
    assert gating.integrated(np.zeros(0)) is None
    assert gating.loudness_range(blocks[:1]) is None


def test_range_percentiles_are_the_nearest_in_rank() -> None:
    steps = np.array([gating.power_of(-30.0 + 0.1 * i) for i in range(101)])
    assert gating.loudness_range(steps) == pytest.approx(8.5)


def test_runs_of_equals() -> None:
    codes = np.array([5, 5, 1, 7, 7, 7, 7, 0, 0, 0, 0, -3, -3, -3], np.int16)
    starts, lengths = runs_of_equals(codes)
    assert (starts.tolist(), lengths.tolist()) == ([3, 11], [4, 3])
    for short in range(3):
        assert len(runs_of_equals(codes[:short])[0]) == 0


def test_flat_tops_tell_a_clipped_wave_from_a_round_one() -> None:
    rate = 48000
    n = np.arange(4800)
    wave = 32767 * np.sin(2 * np.pi * 30 * n / rate)
    edges = np.array([480, 4320])
    for codes, low, high in ((np.round(wave), 0, 8), (np.clip(np.round(wave * 1.01), -32767, 32767), 100, 1000)):
        codes = codes.astype(np.int16)
        tops = flat_tops(codes, runs_of_equals(codes), edges, codes[480:4320].max(keepdims=True), 1, rate)
        assert tops.samples[0] >= 3
        assert low <= tops.overshoot[0] <= high


def test_quiet_edges_are_exact_beside_quiet_hops() -> None:
    raw = np.zeros((2, 50), np.int16)
    raw[0, 13] = raw[1, 17] = 40
    raw[1, 45] = -40
    edges = np.arange(0, 51, 10)
    loudest = np.array([0, 40, 0, 0, 40])
    quiet = quiet_edges(raw, edges, loudest, 32, (False, False))
    assert quiet.head.tolist() == [10, 3, 10, 10, 5]
    assert quiet.tail.tolist() == [10, 2, 10, 10, 4]
