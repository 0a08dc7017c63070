"""Curves: what the sidecar holds, thinned without losing an extreme."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.sidecar import SidecarWriter, read_signals
from processors.signals.sound_curves import FLOOR_DB, sound_curves
from schemas.cell import Signals
from schemas.events import ContentMetadata, SignalsRef
from schemas.plan import AudioFormat
from streams.looks.curves import COLUMNS, Curve, extremes, read_curves
from tests.analysed import SOUND, analysed, clip_event, render_clip

STEREO = AudioFormat(rate=48_000, channels=2, layout="stereo", channel_names=("FL", "FR"))


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> ContentMetadata:
    return clip_event(tmp_path_factory.mktemp("looks"))


def measured(event: ContentMetadata, name: str) -> float:
    (value,) = [m.value for m in event.measurements if m.id == name]
    return value


@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=300),
    st.integers(1, 40),
)
def test_every_column_keeps_its_extremes(values: list[float], columns: int) -> None:
    series = np.array(values)
    kept = extremes(series, columns)
    assert len(kept) <= max(2 * columns, 1) and (np.diff(kept) > 0).all()
    if len(series) <= 2 * columns:
        assert kept.tolist() == list(range(len(series)))
        return
    size = -(-len(series) // columns)
    for first in range(0, len(series), size):
        column = series[first : first + size]
        mine = series[kept[(kept >= first) & (kept < first + size)]]
        if np.isnan(column).all():
            assert np.isnan(mine).all() and len(mine) == 1  # the line breaks
        else:
            assert (np.nanmin(mine), np.nanmax(mine)) == (np.nanmin(column), np.nanmax(column))


def test_two_hours_stay_small_and_keep_one_frame() -> None:
    values = np.zeros(2 * 3600 * 25)
    values[123_457] = 1.0
    curve = Curve("video.black_ratio", "v0", "black", "share", "Black", np.arange(len(values)) / 25, values).thinned(COLUMNS)
    assert len(curve.values) <= 2 * COLUMNS
    assert curve.seconds[curve.values == 1.0].tolist() == [123_457 / 25]


def test_no_columns_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one column"):
        extremes(np.zeros(3), 0)


def test_curves_say_what_the_measurements_say(event: ContentMetadata) -> None:
    found = read_curves(event)
    assert found.notes == ()
    by_id = {curve.id: curve for curve in found.curves}
    assert set(by_id) == {
        *("loudness.momentary", "loudness.short_term", "loudness.true_peak"),
        *("video.luma_mean", "video.black_ratio", "video.difference", "video.cut_score"),
    }
    assert np.nanmax(by_id["loudness.momentary"].values) == measured(event, "loudness.max_momentary")
    assert np.nanmax(by_id["loudness.short_term"].values) == measured(event, "loudness.max_short_term")
    assert np.nanmax(by_id["loudness.true_peak"].values) == measured(event, "loudness.true_peak")
    assert by_id["video.luma_mean"].values.mean() == pytest.approx(measured(event, "video.luma_mean"), abs=1e-6)
    assert by_id["video.luma_mean"].seconds == pytest.approx(np.arange(225) / 25)
    black = by_id["video.black_ratio"]
    assert black.seconds[black.values > 0.5] == pytest.approx(np.arange(100, 160) / 25)


def test_a_value_stands_at_the_end_of_its_window(event: ContentMetadata) -> None:
    momentary = next(c for c in read_curves(event).curves if c.id == "loudness.momentary")
    assert np.isnan(momentary.values[momentary.seconds < 0.395]).all()
    assert not np.isnan(momentary.values[momentary.seconds > 0.395]).any()
    silent = SOUND[0][0]
    # A silence begins to show at once, and the whole window is silent 0.4 s later.
    steady = momentary.values[50]
    assert momentary.values[momentary.seconds <= silent + 0.001][-1] == pytest.approx(steady, abs=0.05)
    assert momentary.values[momentary.seconds > silent + 0.1][0] < steady - 1
    assert momentary.values[momentary.seconds > silent + 1][0] == FLOOR_DB


def test_parts_of_a_sidecar_join_to_the_same_curves(tmp_path: Path) -> None:
    path = render_clip(tmp_path / "clip.mov")
    event = analysed(path, SidecarWriter((tmp_path / "one").as_uri()))
    (whole,) = read_signals(event.signals.dataref, "a0", "loudness")
    pieces = list(_cut(whole, (3, 450, 451)))
    for name in ("momentary", "short_term", "true_peak", "ends"):
        wanted = getattr(sound_curves(STEREO, [whole]), name)
        np.testing.assert_array_equal(getattr(sound_curves(STEREO, reversed(pieces)), name), wanted)


def test_a_hole_is_a_hole_and_a_window_cannot_reach_across(tmp_path: Path) -> None:
    path = render_clip(tmp_path / "clip.mov")
    event = analysed(path, SidecarWriter((tmp_path / "one").as_uri()))
    (whole,) = read_signals(event.signals.dataref, "a0", "loudness")
    first, _, last = _cut(whole, (100, 110))
    curves = sound_curves(STEREO, [first, last])
    assert np.isnan(curves.true_peak[100:110]).all() and not np.isnan(curves.true_peak[110:]).any()
    assert np.isnan(curves.momentary[100:149]).all() and not np.isnan(curves.momentary[149:]).any()
    assert not np.isnan(curves.momentary[39:100]).any()


def _cut(signals: Signals, rows: Iterable[int]) -> Iterator[Signals]:
    edges = [0, *rows, signals.rows]
    for low, high in pairwise(edges):
        arrays = {name: array[low:high] for name, array in signals.arrays.items()}
        yield Signals(signals.first_row + low, high - low, arrays)


def test_why_there_are_none(event: ContentMetadata, tmp_path: Path) -> None:
    def at(dataref: str | None) -> tuple[int, tuple[str, ...]]:
        found = read_curves(event.model_copy(update={"signals": SignalsRef(dataref=dataref)}))
        return len(found.curves), found.notes

    assert at(None) == (0, ("The event names no sidecar, so there are no curves.",))
    gone = at((tmp_path / "gone").as_uri())
    assert gone == (
        0,
        ("The sidecar holds no signals of native-picture for v0.", "The sidecar holds no signals of loudness for a0."),
    )
    count, notes = at("nonsense://somewhere")
    assert count == 0 and all("could not be read" in note for note in notes)
    damaged = tmp_path / "bad" / "v0" / "native-picture"
    damaged.mkdir(parents=True)
    (damaged / "00000.parquet").write_bytes(b"no Parquet")
    count, notes = at((tmp_path / "bad").as_uri())
    assert count == 0 and "The curves of v0 could not be read" in notes[0] and "loudness for a0" in notes[1]


def test_only_what_is_asked_for_is_read(event: ContentMetadata) -> None:
    assert {c.stream for c in read_curves(event, tasks=("loudness",)).curves} == {"a0"}
