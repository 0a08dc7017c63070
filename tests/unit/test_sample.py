"""The sample: what it holds is known, and the comparison sees what is missing or too much."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.sample import Truth, cards, compare, sound, truth_path
from processors.sample.compare import match
from processors.sample.programme import FRAMES, LETTERBOX_LINES, PARTS, Programme
from processors.sample.truth import Transition, know
from schemas.events import (
    AssetCoverage,
    ChunkCoverage,
    ContentMetadata,
    Coverage,
    Finding,
    Measurement,
    Producer,
    Run,
    Shot,
    Tracks,
)
from schemas.plan import AssetRef, Correlation
from schemas.technical import ActiveArea, Technical


@pytest.fixture(scope="module")
def heard() -> sound.Sound:
    return sound.synthesise()


@pytest.fixture(scope="module")
def truth(heard: sound.Sound) -> Truth:
    return know(heard)


@pytest.fixture(scope="module")
def programme() -> Programme:
    return Programme()


def test_parts_follow_each_other_without_a_hole() -> None:
    assert (PARTS[0].first, PARTS[-1].end) == (0, FRAMES)
    assert all(a.end == b.first for a, b in pairwise(PARTS))


def test_a_frozen_stretch_is_one_picture_and_goes_on_behind(programme: Programme) -> None:
    river = next(p for p in PARTS if p.freeze)
    assert river.freeze is not None
    first, end = river.freeze
    stills = [programme.draw(k).y for k in (first, first + 30, end - 1)]
    assert all(np.array_equal(stills[0], s) for s in stills)
    before, after, later = (programme.draw(k).y.astype(int) for k in (first - 1, end, end + 1))
    assert 1 < np.abs(stills[0] - before).mean() < 25
    assert 1 < np.abs(after - stills[0]).mean() < 25, "it goes on where it stopped"
    assert 1 < np.abs(later - after).mean() < 25


def test_a_dissolve_mixes_both_shots(programme: Programme) -> None:
    desert = next(p for p in PARTS if p.dissolve)
    start, end = desert.first - desert.dissolve // 2, desert.first + desert.dissolve // 2
    means = [float(programme.draw(k).y.mean()) for k in (start - 1, start + 6, desert.first, end - 6, end)]
    assert means == sorted(means), "from the dark city to the light desert, little by little"
    assert means[-1] - means[0] > 40


def test_letterbox_black_and_bars_are_exact(programme: Programme) -> None:
    boxed = next(p for p in PARTS if p.letterbox)
    picture = programme.draw(boxed.first + 10)
    assert picture.y[:LETTERBOX_LINES].max() == picture.y[-LETTERBOX_LINES:].max() == 16
    assert picture.y[LETTERBOX_LINES:-LETTERBOX_LINES].mean(axis=1).min() > 30
    black = programme.draw(next(p.first for p in PARTS if p.name == "black"))
    assert (black.y.min(), black.y.max(), black.u.max(), black.v.max()) == (16, 16, 128, 128)
    assert cards.code(0.75, 0.75, 0.75) == (180, 128, 128)
    assert cards.code(0, 0, 1) == (32, 240, 118)


def test_slate_and_credits_are_not_black(programme: Programme) -> None:
    for name in ("slate", "credits"):
        part = next(p for p in PARTS if p.name == name)
        assert (programme.draw((part.first + part.end) // 2).y > 38).mean() > 0.5


def test_the_same_picture_each_time(programme: Programme) -> None:
    again = Programme()
    for frame in (250, 441, 990):
        for a, b in zip(programme.draw(frame).planes, again.draw(frame).planes, strict=True):
            assert np.array_equal(a, b)


def test_sound_is_as_the_truth_says(heard: sound.Sound, truth: Truth) -> None:
    samples = heard.samples.astype(int)
    assert samples.shape == (60 * 48_000, 2)
    assert abs(truth.integrated_lufs - sound.TARGET_LUFS) < 0.05
    for silence in truth.silence:
        start, end = round(silence.start * 48_000), round(silence.end * 48_000)
        assert not samples[start:end].any()
        assert samples[start - 480 : start].any()
    peaks = np.flatnonzero((np.abs(samples) == 32767).any(axis=1)) / 48_000
    assert truth.clipping[0].start <= peaks.min() < peaks.max() < truth.clipping[0].end
    assert np.abs(samples[: 44 * 48_000]).max() < 30_000


def test_a_tone_is_as_loud_as_the_standard_says() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(10 * 48_000) / 48_000) * 10 ** (-23 / 20)
    assert sound.integrated(np.stack([tone, tone], axis=1)) == pytest.approx(-23.0, abs=0.05)


def test_truth_is_read_as_it_was_written(truth: Truth, tmp_path: Path) -> None:
    path = truth_path(tmp_path / "sample.mov")
    assert path.name == "sample.truth.json"
    truth.write(path)
    assert Truth.read(path) == truth
    assert len(truth.transitions) == len(PARTS) - 1
    assert [t.kind for t in truth.transitions].count("gradual") == 2
    assert [s.note for s in truth.static] == ["bars", "slate", "freeze", "black"]
    assert truth.still("black") == truth.black


def finding(code: str, start: float, end: float, **more: Any) -> Finding:
    return Finding(
        id=f"f{code}{start}",
        code=code,
        category="c",
        term="t",
        stream="v0",
        clock="v0",
        start=0,
        end=1,
        start_seconds=start,
        end_seconds=end,
        value=None,
        unit=None,
        text="x",
        by="p1",
        **more,
    )


def event(truth: Truth, findings: list[Finding], starts: list[int], loudness: float | None = -23.0) -> ContentMetadata:
    """A final event that says just this."""
    edges = [0, *starts, truth.frames]
    kinds = {t.centre: t.kind for t in truth.transitions}
    shots = [
        Shot(
            clock="v0",
            start=a,
            end=b,
            start_frame=a,
            end_frame=b,
            start_seconds=a / 25,
            end_seconds=b / 25,
            transition_in=kinds.get(a, "cut") if a else None,
            transition_out=None,
            confidence=None,
            by="p1",
        )
        for a, b in pairwise(edges)
    ]
    video = Coverage(expected=truth.frames, decoded=truth.frames, analysed=truth.frames)
    audio = Coverage(expected=truth.samples, decoded=truth.samples, analysed=truth.samples)
    level = Measurement(
        id="loudness.integrated",
        stream="a0",
        value=loudness,
        unit="LUFS",
        method="m",
        by="p1",
        reason=None if loudness else "x",
    )
    return ContentMetadata(
        asset=AssetRef(id="a", uri="file:///a", version="1"),
        correlation=Correlation(),
        run=Run(id="r", status="complete", plan_version="1", caused_by="u", code="0"),
        coverage=AssetCoverage(
            video_frames=video, streams={"v0": video, "a0": audio}, chunks=ChunkCoverage(expected=1, ok=1, failed=0, skipped=0)
        ),
        clocks={},
        technical=Technical(container="mov", duration=60.0),
        measurements=(level,),
        tracks=Tracks(shots=tuple(shots)),
        findings=tuple(findings),
        producers=(Producer(id="p1", name="t", version="1", runtime="r", seconds=0.0),),
    )


def everything(truth: Truth) -> list[Finding]:
    area = ActiveArea(x=0, y=truth.letterbox_lines, w=truth.width, h=truth.height - 2 * truth.letterbox_lines)
    return [
        *(finding(f"video.{s.note}", s.start, s.end) for s in truth.static),
        *(finding("video.letterbox", s.start, s.end, area=area) for s in truth.letterbox),
        *(finding("audio.mute", s.start, s.end) for s in truth.silence),
        *(finding("audio.clipping", s.start, s.end) for s in truth.clipping),
    ]


def wrong(truth: Truth, metadata: ContentMetadata) -> set[str]:
    return {row.what for row in compare(truth, metadata) if not row.ok}


def test_all_found_is_all_right(truth: Truth) -> None:
    starts = [t.centre for t in truth.transitions]
    rows = compare(truth, event(truth, everything(truth), starts))
    assert all(row.ok for row in rows), [row for row in rows if not row.ok]
    assert len(rows) >= 13


def test_what_is_missing_or_off_is_seen(truth: Truth) -> None:
    starts = [t.centre for t in truth.transitions]
    assert wrong(truth, event(truth, [], starts)) == {*("bars", "slate", "freeze", "black", "letterbox", "silence", "clipping")}
    assert wrong(truth, event(truth, everything(truth), starts[1:])) == {"shot boundaries"}
    assert wrong(truth, event(truth, everything(truth), [60, *starts])) == {"shot boundaries"}
    assert wrong(truth, event(truth, everything(truth), [starts[0] + 3, *starts[1:]])) == {"shot boundaries"}
    assert wrong(truth, event(truth, everything(truth), starts, -24.0)) == {"integrated loudness"}
    assert wrong(truth, event(truth, everything(truth), starts, None)) == {"integrated loudness"}


def test_false_alarms_are_seen(truth: Truth) -> None:
    starts = [t.centre for t in truth.transitions]
    bars = finding("video.freeze", truth.static[0].start, truth.static[0].end)
    for alarm in (bars, finding("video.freeze", 48.0, 51.0), finding("audio.dual_mono", 0.0, 60.0)):
        assert wrong(truth, event(truth, [*everything(truth), alarm], starts)) == {"findings beside these"}


def test_boundaries_are_used_once() -> None:
    cuts = [Transition(start=s, end=s, kind="cut") for s in (10, 12)]
    pairs, extra = match(cuts, [11])
    assert ([(t.start, b) for t, b in pairs], extra) == ([(10, 11)], [])
    dissolve = Transition(start=20, end=40, kind="gradual")
    pairs, extra = match([dissolve], [22, 31])
    assert (pairs, extra) == ([(dissolve, 31)], [22])
