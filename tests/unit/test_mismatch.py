"""What a file says of itself against what it holds: which values agree, what a finding says, how long sound may be."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from processors.aggregate import Aggregate
from processors.agreement import compared, differences
from processors.mismatch import file_findings, measured_rate
from schemas.clock import Clock
from schemas.manifest import DecodeError, Manifest
from schemas.plan import (
    AssetRef,
    AudioFormat,
    Job,
    LightLevels,
    MasteringDisplay,
    PictureFacts,
    Plan,
    StreamPlan,
    VideoFormat,
)

Kind = Literal["video", "audio"]
ASSET = AssetRef(id="a" * 32, uri="file:///x.mov", version="1")


def picture(declared: dict[str, Any] | None = None, signalled: dict[str, Any] | None = None, **clock: Any) -> StreamPlan:
    return StreamPlan(
        id="v0",
        index=0,
        kind="video",
        decision="analysed",
        clock=Clock(**{"tick": (1, 25), "frame_rate": (25, 1), "vfr": False, **clock}),
        video=VideoFormat(width=8, height=8),
        declared=PictureFacts(**(declared or {})),
        signalled=PictureFacts(**(signalled or {})),
    )


SOUND = StreamPlan(
    id="a0",
    index=1,
    kind="audio",
    decision="analysed",
    clock=Clock(tick=(1, 48000)),
    audio=AudioFormat(rate=48000, channels=2),
)


def agree(name: str, ours: Any, theirs: Any, **clock: Any) -> bool | None:
    return compared(picture({name: ours}, {name: theirs}, **clock), None)[name].agree


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "expected"),
    [
        ("size", (1920, 1080), (1920, 1080), True),
        ("size", (1920, 1080), (1920, 1088), False),
        ("size", None, (1920, 1080), None),
        ("pixel_aspect", (64, 45), (1422, 1000), True),
        ("pixel_aspect", (16, 15), (12, 11), True),
        ("pixel_aspect", (16, 15), (64, 45), False),
        ("pixel_aspect", (1, 1), (10, 11), False),
        ("frame_rate", (2997, 100), (30000, 1001), True),
        ("frame_rate", (24, 1), (24000, 1001), False),
        ("transfer", "bt709", "bt2020-10", True),
        ("transfer", "bt709", "smpte2084", False),
        ("matrix", "bt470bg", "smpte170m", True),
        ("primaries", "bt470bg", "smpte170m", False),
        ("range", "limited", "full", False),
        ("light_levels", LightLevels(max_cll=1000), LightLevels(max_cll=1000, max_fall=300), True),
        ("light_levels", LightLevels(max_cll=1000), LightLevels(max_fall=300), None),
        ("light_levels", LightLevels(max_cll=1000), LightLevels(max_cll=999), False),
        ("mastering_display", MasteringDisplay(red=(0.68, 0.32)), MasteringDisplay(red=(0.67998, 0.32002)), True),
        ("mastering_display", MasteringDisplay(red=(0.68, 0.32)), MasteringDisplay(red=(0.708, 0.292)), False),
        ("mastering_display", MasteringDisplay(min_luminance=0.01), MasteringDisplay(min_luminance=0.001), False),
        ("mastering_display", MasteringDisplay(min_luminance=0.005), MasteringDisplay(min_luminance=0.00504), True),
        ("mastering_display", MasteringDisplay(max_luminance=1000), MasteringDisplay(max_luminance=4000), False),
    ],
)
def test_what_agrees(name: str, ours: Any, theirs: Any, expected: bool | None) -> None:
    assert agree(name, ours, theirs) is expected
    if name != "size" or ours is not None:
        assert agree(name, theirs, ours) is expected


def test_a_varying_rate_disagrees_with_no_stated_one() -> None:
    assert agree("frame_rate", (25, 1), (30, 1), vfr=True) is None
    assert agree("frame_rate", (25, 1), (25, 1), vfr=True) is True


@pytest.mark.parametrize(
    ("container", "bitstream", "rate", "expected"),
    [
        ("01:00:00:00", "01:00:00:00", (25, 1), True),
        ("01:00:00:00", "01:00:00:01", (25, 1), False),
        ("01:00:00:00", "01:00:00:01", (50, 1), True),
        ("01:00:00:00", "00:59:59:24", (50, 1), False),
        ("01:00:00:00", "00:00:00:00", (25, 1), None),
        ("00:00:00:00", "00:00:00:00", (25, 1), True),
        (None, "01:00:00:00", (25, 1), None),
    ],
)
def test_timecodes(container: str | None, bitstream: str, rate: tuple[int, int], expected: bool | None) -> None:
    stream = picture({}, {"start_timecode": bitstream}, start_timecode=container, frame_rate=rate)
    sides = compared(stream, None)["start_timecode"]
    assert (sides.container, sides.bitstream, sides.agree) == (container, bitstream, expected)


STATED = LightLevels(max_cll=1000, max_fall=300)


@pytest.mark.parametrize(
    ("container", "bitstream", "measured", "agree"),
    [
        (STATED, None, {"max_cll": 812.5, "max_fall": 90.0}, True),
        (STATED, None, {"max_cll": 1240.0, "max_fall": 329.0}, True),
        (STATED, None, {"max_cll": 1260.0, "max_fall": 90.0}, False),
        (STATED, None, {"max_cll": 812.5, "max_fall": 331.0}, False),
        (STATED, STATED, {"max_cll": 4000.0}, False),
        (None, STATED, {"max_cll": 4000.0}, False),
        (STATED, LightLevels(max_cll=4000), {"max_cll": 812.5}, False),
        (LightLevels(), LightLevels(max_fall=None), {"max_cll": 4000.0, "max_fall": 900.0}, None),
        (LightLevels(max_fall=300), None, {"max_cll": 4000.0}, None),
        (None, None, {"max_cll": 4000.0}, None),
    ],
)
def test_measured_light_may_not_exceed_what_is_stated(
    container: LightLevels | None, bitstream: LightLevels | None, measured: dict[str, float], agree: bool | None
) -> None:
    stream = picture({"light_levels": container}, {"light_levels": bitstream})
    sides = compared(stream, None, measured)["light_levels"]
    assert (sides.measured, sides.agree) == (measured, agree)
    assert bool(list(differences("light_levels", sides)) if container or bitstream else []) is (agree is False)


def test_light_beyond_what_is_stated_is_a_mismatch_in_words() -> None:
    stream = picture({"light_levels": STATED}, {"light_levels": STATED})
    ((name, draft),) = file_findings(aggregate(stream, 100, None), {"v0": {"max_cll": 4012.04, "max_fall": 120.0}})
    assert (name, draft.code, draft.value) == ("v0", "container.mismatch", 1.0)
    assert draft.text == "MaxCLL: container 1000, bitstream 1000, measured 4012"
    assert file_findings(aggregate(stream, 100, None), {"v0": {"max_cll": 900.0, "max_fall": 120.0}}) == []


def aggregate(
    video: StreamPlan | None,
    frames: int,
    samples: int | None,
    *,
    segments: int = 1,
    sound: StreamPlan = SOUND,
    **last: Any,
) -> Aggregate:
    """A run whose picture has ``frames`` frames, a tick each, in equal segments, and whose sound has so many samples."""
    streams = [s for s in (video, sound if samples is not None else None) if s is not None]
    kinds: list[tuple[StreamPlan, int]] = [(s, segments if s.kind == "video" else 1) for s in streams]
    jobs = [
        Job(run="r", asset=ASSET, stream=s.id, index=s.index, kind=_kind(s), segment=n, last=n == count - 1, clock=s.clock)
        for s, count in kinds
        for n in range(count)
    ]
    plan = Plan(
        run="r",
        asset=ASSET,
        caused_by="u",
        created="2026-01-01T00:00:00Z",
        code="1",
        container="mov",
        streams=tuple(streams),
        tasks=(),
        jobs=tuple(jobs),
    )
    found = Aggregate(plan)
    for n in range(segments if video is not None else 0):
        edges = frames * n // segments, frames * (n + 1) // segments
        fields: dict[str, Any] = {"decoded": edges[1] - edges[0], "first_pts": edges[0], "end_pts": edges[1]}
        _add(found, "v0", n, "video", fields | (last if n == segments - 1 else {}))
    if samples is not None:
        _add(found, "a0", 0, "audio", {"decoded": samples, "first_pts": 0, "end_pts": samples})
    return found


def _kind(stream: StreamPlan) -> Kind:
    return "video" if stream.kind == "video" else "audio"


def _add(found: Aggregate, stream: str, segment: int, kind: Kind, fields: dict[str, Any]) -> None:
    found.add_manifest(Manifest(run="r", asset=ASSET.id, stream=stream, segment=segment, kind=kind, chunks=(), **fields))


ALIKE = {"frame_rate": (25, 1), "pixel_aspect": (1, 1)}
DIFFERENT = picture(
    {"size": (1920, 1080), "primaries": "bt709", "mastering_display": MasteringDisplay(red=(0.68, 0.32))} | ALIKE,
    {"size": (1280, 720), "primaries": "bt2020", "mastering_display": MasteringDisplay(red=(0.7, 0.3))} | ALIKE,
)


def test_one_finding_names_all_that_differs_however_the_stream_was_cut() -> None:
    ((stream, draft),) = file_findings(aggregate(DIFFERENT, 100, None))
    assert (stream, draft.code, draft.value, draft.unit) == ("v0", "container.mismatch", 3.0, "count")
    assert (draft.start, draft.end, draft.start_row, draft.end_row) == (0, 100, 0, 100)
    assert draft.text == (
        "size: container 1920x1080, bitstream 1280x720; primaries: container bt709, bitstream bt2020; "
        "mastering display red: container (0.68 0.32), bitstream (0.7 0.3)"
    )
    assert file_findings(aggregate(DIFFERENT, 100, None, segments=7)) == [(stream, draft)]


def test_nothing_is_found_where_all_agree_or_nothing_was_decoded() -> None:
    assert file_findings(aggregate(picture({"size": (8, 8)}, {"size": (8, 8)}), 100, 192_000)) == []
    assert file_findings(aggregate(DIFFERENT, 100, None, decoded=0, first_pts=None, end_pts=None)) == []


def test_a_measured_rate_is_the_stated_one_or_a_fraction() -> None:
    stated = picture({"frame_rate": (25, 1)}, {"frame_rate": (30000, 1001)})
    assert measured_rate(aggregate(stated, 100, None).streams["v0"]) == (25, 1)
    slower = aggregate(stated, 100, None, end_pts=125).streams["v0"]
    assert measured_rate(slower) == (20, 1)
    assert [d.text for _, d in file_findings(aggregate(stated, 100, None, end_pts=125))] == [
        "frame rate: container 25, bitstream 29.97, measured 20"
    ]


def test_no_rate_is_measured_of_damage_or_where_it_varies() -> None:
    error = DecodeError(first=3, end=4, message="broken")
    assert measured_rate(aggregate(picture(), 100, None, errors=(error,)).streams["v0"]) is None
    assert measured_rate(aggregate(picture(vfr=True), 100, None).streams["v0"]) is None
    partial = aggregate(picture(), 100, None, segments=2).streams["v0"]
    del partial.manifests[1]
    assert measured_rate(partial) is None


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (192_000, None),
        (192_000 - 3840, None),  # two frames of 40 ms
        (192_000 - 3841, (188_159, 192_000, "shorter")),
        (288_000, None),  # two seconds
        (288_001, (192_000, 288_001, "longer")),
        (0, (0, 192_000, "shorter")),
    ],
)
def test_sound_may_be_two_frames_shorter_and_two_seconds_longer(samples: int, expected: tuple[int, int, str] | None) -> None:
    found = file_findings(aggregate(picture(), 100, samples, segments=3))
    if expected is None:
        assert found == []
        return
    ((stream, draft),) = found
    assert (stream, draft.code, draft.unit) == ("a0", "av.duration_mismatch", "s")
    assert (draft.start, draft.end) == expected[:2]
    assert expected[2] in draft.text
    assert draft.value == pytest.approx(abs(samples - 192_000) / 48000)


@pytest.mark.parametrize(
    ("late", "samples", "expected"),
    [
        (1.0, 96_000, (96_000, 144_000)),  # as much is missing at the head as at the tail
        (0.5, 96_000, (96_000, 168_000)),
        (1.5, 120_000, (-72_000, 0)),
        (-3.0, 340_000, (0, 144_000)),
    ],
)
def test_the_span_is_where_one_of_them_is_alone(late: float, samples: int, expected: tuple[int, int]) -> None:
    """``late`` is by how many seconds sound begins after the picture; positions count from its first sample."""
    origin = -round(late * 48_000)
    sound = SOUND.model_copy(update={"clock": SOUND.clock.model_copy(update={"origin_pts": origin})})
    ((_, draft),) = file_findings(aggregate(picture(), 100, samples, sound=sound))
    assert (draft.start, draft.end) == expected


def test_lengths_are_only_compared_where_both_are_known() -> None:
    assert file_findings(aggregate(None, 0, 100)) == []
    partial = aggregate(picture(), 100, 10, segments=2)
    del partial.streams["v0"].manifests[1]
    assert file_findings(partial) == []
