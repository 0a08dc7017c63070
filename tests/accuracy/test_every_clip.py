"""Every shared clip: it ends in one final event, which counts what ffprobe counts and is the same however the clip is cut."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.clips import LIGHT, media_files
from bench.oracles import ffprobe_units
from processors.analyse import run_plan
from processors.decode_findings import MOST
from processors.equal import differences
from processors.plan import PlanRequest, cut_points, make_plan
from processors.probe import probe
from processors.source import SourcePolicy, to_uri
from schemas.events import ContentMetadata, Finding
from schemas.plan import Plan
from schemas.technical import TechnicalStream
from tests.tools import MEDIA, require_tool

pytestmark = pytest.mark.media

POLICY = SourcePolicy()
FILES = media_files(MEDIA / folder for folder in ("video", "hdr", "audio", "flashing"))
every_clip = pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)

MOST_CUTS = 6

UNLIKE_FFPROBE = {
    ("fate_H264_might_overflow.mkv", "v0"): (3, "FFmpeg 5.1 gives no picture of it, FFmpeg 8 the three from the key frame on"),
}
"""Streams of which another number of frames is decoded than by some version of ffprobe: the number, and why."""

MISSING = {
    ("fate_SonyXAVC_LongGOP_green_pixelation_early_Frames.mp4", "v0"): (1, "the file ends inside its last picture"),
    ("fate_wwwq_cut.mp4", "v0"): (1, "the file ends inside its last picture"),
    ("fate_attachment631-small.mp4", "v0"): (491, "three of four access units hold no picture"),
}
"""Frames that the container promises and no decoder gives."""


@dataclass(frozen=True)
class Examined:
    plan: Plan
    event: ContentMetadata

    def findings(self, code: str, stream: str) -> list[Finding]:
        return [f for f in self.event.findings if (f.code, f.stream) == (code, stream)]


def request(**options: object) -> PlanRequest:
    return PlanRequest(caused_by="test", created="2026-01-01T00:00:00Z", code="test", tasks=LIGHT, **options)


@functools.cache
def whole(path: Path) -> Examined:
    plan = make_plan(probe(to_uri(str(path)), POLICY), request(single_segment=True))
    return Examined(plan, run_plan(plan, POLICY))


def clip(name: str) -> Examined:
    path = next((p for p in FILES if p.name == name), None)
    if path is None:
        pytest.skip(f"{name} is not here")
    return whole(path)


@every_clip
def test_it_ends_in_one_complete_event(path: Path) -> None:
    event = whole(path).event
    assert (event.run.status, event.run.reason) == ("complete", None)
    for stream in event.technical.streams:
        assert (stream.decision == "analysed") == (stream.id in event.coverage.streams)
        assert (stream.decision == "skipped") == (stream.reason is not None)
    for name, covered in event.coverage.streams.items():
        assert covered.analysed > 0 and covered.failed == 0
        told = [f for f in event.findings if f.stream == name and f.code.endswith(".decode_error")]
        assert (covered.missing > 0 or covered.concealed > 0) <= bool(told)
        assert sum(f.value or 0 for f in told) >= covered.concealed
    for f in event.findings:
        assert f.start < f.end and (f.start_frame is None or f.end_frame is None or f.start_frame <= f.end_frame)
    codes = [(f.stream, f.code) for f in event.findings]
    assert max((codes.count(code) for code in set(codes) if not code[1].startswith("audio.clip")), default=0) <= MOST


@every_clip
def test_counts_are_those_of_ffprobe(path: Path) -> None:
    require_tool("ffprobe")
    theirs = ffprobe_units(path)
    assert theirs is not None
    found = whole(path)
    for stream in found.plan.streams:
        if stream.decision != "analysed":
            continue
        covered = found.event.coverage.streams[stream.id]
        allowed = {theirs[stream.index]}
        if (path.name, stream.id) in UNLIKE_FFPROBE:
            allowed.add(UNLIKE_FFPROBE[path.name, stream.id][0])
        assert covered.decoded in allowed
        assert covered.missing == MISSING.get((path.name, stream.id), (0, ""))[0]


@every_clip
def test_segments_are_the_whole(path: Path) -> None:
    index = probe(to_uri(str(path)), POLICY)
    plan = make_plan(index, request())
    videos = [s for s in index.streams if s.decision == "analysed" and s.index_of_video is not None]
    if videos and videos[0].index_of_video is not None and sum(job.kind == "video" for job in plan.jobs) == 1:
        usable = [key.frame for key in cut_points(videos[0].index_of_video)]
        plan = make_plan(index, request(cuts=tuple(usable[:: len(usable) // MOST_CUTS + 1])))
    reference = whole(path)
    if len(plan.jobs) == len(reference.plan.jobs):
        assert [j.model_copy(update={"run": ""}) for j in plan.jobs] == [
            j.model_copy(update={"run": ""}) for j in reference.plan.jobs
        ]
        return
    assert differences(run_plan(plan, POLICY), reference.event) == []


def test_a_file_cut_short_says_so() -> None:
    for name, streams in (
        ("fate_wwwq_cut.mp4", ("v0", "a0")),
        ("fate_panslab_sample_5.1_16bit-partial.wav", ("a0",)),
        ("fate_SonyXAVC_LongGOP_green_pixelation_early_Frames.mp4", ("v0", "a0", "a1", "a2", "a3")),
    ):
        for stream in streams:
            (found,) = clip(name).findings("container.mismatch", stream)
            assert found.value is not None and found.value > 9


def test_the_picture_that_is_cut_off_is_a_decode_error() -> None:
    (found,) = clip("fate_wwwq_cut.mp4").findings("video.decode_error", "v0")
    assert (found.start_frame, found.end_frame, found.value) == (119, 120, 1.0)


def test_a_start_without_a_key_frame_is_told() -> None:
    found = clip("fate_mp4-init-nonkeyframe.mp4")
    (error,) = found.findings("video.decode_error", "v0")
    assert (error.start_frame, error.value) == (0, 91.0) and "before the first key frame" in error.text
    assert error.start_seconds == pytest.approx(3.1031, abs=1e-4)


def test_damaged_access_units_are_one_finding() -> None:
    found = clip("fate_attachment631-small.mp4")
    (error,) = found.findings("video.decode_error", "v0")
    assert error.end_frame == 164 and error.end_seconds == pytest.approx(10.98, abs=0.02)
    assert found.findings("video.timestamp_gap", "v0") == []


def test_flv_shows_its_discontinuity() -> None:
    (gap,) = clip("fate_nellymoser-discont.mp4").findings("audio.timestamp_gap", "a0")
    assert gap.value == pytest.approx(1.875, abs=0.01)


def test_a_broadcast_cut_from_the_air() -> None:
    found = clip("fate_law-and-order-partial.mp4")
    told = {s.id: s.reason for s in found.event.technical.streams if s.decision == "skipped"}
    assert told == {"s0": "subtitle streams are not analysed", "o0": "attached picture"}
    assert found.event.coverage.streams["v0"].concealed == 1
    (gap,) = found.findings("video.timestamp_gap", "v0")
    assert gap.start_frame == gap.end_frame == 40 and gap.value == pytest.approx(0.08)


def test_the_frame_size_changes_inside() -> None:
    found = clip("fate_frame_size_change.mp4")
    assert found.event.coverage.streams["v0"].analysed == 300
    assert found.findings("video.decode_error", "v0") == []


@pytest.mark.parametrize(
    ("name", "stream", "channels", "layout"),
    [
        ("sine_16ch_s16.wav", "a0", 16, None),
        ("fate_csi_miami_5.1_256_spx_small.eac3", "a0", 6, "5.1(side)"),
        ("fate_the_great_wall_7.1.eac3", "a0", 8, "7.1"),
        ("fate_SonyXAVC_LongGOP_green_pixelation_early_Frames.mp4", "a3", 1, None),
    ],
)
def test_sound_of_many_channels(name: str, stream: str, channels: int, layout: str | None) -> None:
    found = clip(name)
    facts = next(s for s in found.event.technical.streams if s.id == stream)
    assert facts.channels == channels and (layout is None or facts.layout == layout)
    peaks = [m for m in found.event.measurements if (m.id, m.stream) == ("audio.peak", stream)]
    assert peaks and all(m.value is not None or m.reason for m in peaks)


def test_unknown_streams_are_listed() -> None:
    told = {s.id: s.decision for s in clip("fate_track_01_v02.mp4").event.technical.streams}
    assert told == {"v0": "analysed", "d0": "skipped", "d1": "skipped", "d2": "skipped"}


def test_shapes_and_ranges_are_kept() -> None:
    def video(name: str) -> TechnicalStream:
        return next(s for s in clip(name).event.technical.streams if s.kind == "video")

    assert (video("rotated.mp4").rotation or 0) % 180 == 90
    assert video("aspect_ratio_sar16_11.mp4").sample_aspect_ratio == (16, 11)
    odd = video("odd_size_444_10bit.mp4")
    assert (odd.width, odd.height, odd.pixel_format, odd.bit_depth) == (321, 241, "yuv444p10le", 10)
    assert video("bt709_full_range.mp4").colour_range == "full"
    assert clip("bt709_full_range.mp4").findings("video.out_of_range", "v0") == []
