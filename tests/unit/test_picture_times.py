"""Times of pictures: jumps and steps back are found, time goes on increasing, and none of it depends on the cutting."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.analyse import run_plan
from processors.decode.numbers import FrameNumbers, Place
from processors.decode.timing import Course, PictureClock
from processors.equal import differences
from processors.plan import PlanRequest, cut_points, make_plan
from processors.probe import probe
from processors.probe.index import IndexedStream
from processors.source import SourcePolicy, to_uri
from schemas.clock import Clock
from schemas.events import ContentMetadata, Finding
from tests.decoding import manifest_of, outputs, render, video_jobs

POLICY = SourcePolicy()
X264 = {"preset": "ultrafast", "g": "12", "bf": "2", "x264-params": "scenecut=0"}
STEADY = Clock(tick=(1, 1000), frame_rate=(25, 1), vfr=False)
VARYING = Clock(tick=(1, 1000), frame_rate=(25, 1), vfr=True)


def times(clock: Clock, raw: list[int], *, resets: bool = False) -> tuple[list[int], list[tuple[int, int]]]:
    """Where pictures with these timestamps are put, and the jumps: number and ticks."""
    found = PictureClock(clock, resets=resets)
    placed = [found.place(pts, 40, Place(number), noted=number > 0)[0] for number, pts in enumerate(raw)]
    return placed, [(g.first, g.jump) for g in found.gaps]


@pytest.mark.parametrize(
    ("clock", "raw", "placed", "jumps"),
    [
        (STEADY, [0, 40, 81, 119, 160], None, []),
        (STEADY, [0, 40, 160, 200], None, [(2, 80)]),
        (STEADY, [0, 40, 59, 80], None, [(2, -21)]),
        (STEADY, [0, 40, 80, 40, 80, 120, 160], [0, 40, 80, 81, 82, 120, 160], [(3, -80)]),
        (STEADY, [5000, 5040, 0, 40], [5000, 5040, 5080, 5120], [(2, -5080)]),
        (VARYING, [0, 40, 160, 1560, 1561], None, []),
        (VARYING, [0, 40, 1441], None, [(2, 1361)]),
        (VARYING, [0, 40, 40], [0, 40, 41], [(2, -40)]),
        (Clock(tick=(1, 1000)), [0, 700, 1701], None, [(2, 1001)]),
        (Clock(tick=(1, 90_000), frame_rate=(60_000, 1001), vfr=False), [0, 1501, 3003, 4505], None, []),
        (Clock(tick=(1, 25), frame_rate=(25, 1), vfr=False), [0, 1, 2, 4], None, [(3, 1)]),
    ],
)
def test_what_a_jump_is(clock: Clock, raw: list[int], placed: list[int] | None, jumps: list[tuple[int, int]]) -> None:
    assert times(clock, raw) == (raw if placed is None else placed, jumps)


def test_a_clock_that_may_be_set_anew_is_not_followed_far() -> None:
    assert times(STEADY, [0, 40, 20_000, 20_040], resets=True) == ([0, 40, 80, 120], [(2, 19_920)])
    assert times(STEADY, [0, 40, 10_000], resets=True)[0] == [0, 40, 10_000]
    assert times(STEADY, [0, 40, 20_000])[0] == [0, 40, 20_000]


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=50), st.booleans(), st.booleans())
def test_time_increases_whatever_the_timestamps(raw: list[int], steady: bool, resets: bool) -> None:
    placed, jumps = times(STEADY if steady else VARYING, raw, resets=resets)
    assert all(b > a for a, b in itertools.pairwise(placed))
    back = [number for number in range(1, len(raw)) if raw[number] <= raw[number - 1]]
    assert set(back) <= {number for number, _ in jumps}


def test_what_happens_behind_a_splice_lies_behind_it() -> None:
    clock = PictureClock(STEADY, resets=False)
    for number, pts in enumerate([5000, 5040, 0, 40]):
        clock.place(pts, 40, Place(number), noted=number > 0)
    assert (clock.about(None), clock.about(120)) == (5160, 5200)


def test_lost_frames_are_no_jump() -> None:
    clock = PictureClock(STEADY, resets=False)
    for place, pts in ((Place(0), 0), (Place(3, ((1, 40), (2, 80)), 3), 120), (Place(4), 160)):
        clock.place(pts, 40, place, noted=True)
    assert clock.gaps == []
    assert Course.of(STEADY).jump(120, 1) == 80


def test_many_jumps_are_counted_and_few_kept() -> None:
    clock = PictureClock(STEADY, resets=False)
    for number in range(2000):
        clock.place(number * 100, 40, Place(number), noted=number > 0)
    assert clock.gap_count == 1999 and len(clock.gaps) == 500


def test_numbers_of_frames_that_are_lost() -> None:
    numbers = FrameNumbers(10, 100, counted=True)
    for pts in (100, 160, 120, 140, 80):
        numbers.announce(pts)
    assert numbers.place(100) == Place(10)
    assert numbers.place(160) == Place(13, ((11, 120), (12, 140)), 3)
    for pts in (180, 200, 240):
        numbers.announce(pts)
    assert numbers.place(181) == Place(14)
    assert numbers.rest(240) == ((15, 200),)


def test_frames_that_packets_do_not_count_are_numbered_as_they_come() -> None:
    numbers = FrameNumbers(0, None, counted=False)
    for pts in (0, 20, 40, 60):
        numbers.announce(pts)
    assert [numbers.place(pts) for pts in (0, 40)] == [Place(0), Place(1, steps=2)]
    assert numbers.rest(None) == ()


def test_what_lies_before_the_first_frame_has_no_number() -> None:
    numbers = FrameNumbers(0, None, counted=True)
    for pts in (0, 40, 80):
        numbers.announce(pts)
    assert numbers.place(80) == Place(0, (), 3)


def stream_of(path: Path) -> IndexedStream:
    return next(s for s in probe(to_uri(str(path)), POLICY).streams if s.kind == "video")


def examined(path: Path, *, cuts: bool = False) -> ContentMetadata:
    index = probe(to_uri(str(path)), POLICY)
    video = next(s.index_of_video for s in index.streams if s.index_of_video is not None)
    frames = tuple(key.frame for key in cut_points(video)) if cuts else ()
    assert not cuts or frames
    request = PlanRequest(
        caused_by="t", created="t", code="t", tasks=("native-picture",), profiles=(), single_segment=not cuts, cuts=frames
    )
    return run_plan(make_plan(index, request), POLICY)


def gaps(event: ContentMetadata) -> list[Finding]:
    return [f for f in event.findings if f.code == "video.timestamp_gap"]


@pytest.mark.parametrize("name", ["gap.mkv", "gap.mp4", "gap.ts"])
@pytest.mark.parametrize("at", [48, 50])  # a key frame, where the stream is cut, and a frame inside a segment
def test_a_hole_in_time_is_a_finding_however_the_stream_is_cut(name: str, at: int, tmp_path: Path) -> None:
    steps = [*range(at), *range(at + 10, 110)]
    path = render(tmp_path / name, frames=100, options=X264, steps=steps)
    assert stream_of(path).clock.vfr is False
    whole = examined(path)
    (gap,) = gaps(whole)
    assert (gap.start_frame, gap.end_frame, gap.value) == (at, at, pytest.approx(0.4, abs=0.002))
    assert (gap.start_seconds * 25, gap.end_seconds * 25) == pytest.approx((at, at + 10), abs=0.05)
    assert f"before frame {at}" in gap.text
    assert differences(examined(path, cuts=True), whole) == []


def test_a_varying_rate_has_no_gaps_but_long_pauses(tmp_path: Path) -> None:
    steps = [n + n // 3 for n in range(50)]
    steps += [steps[-1] + 50 + n + n // 3 for n in range(50)]
    path = render(tmp_path / "vfr.mkv", frames=100, options=X264, steps=steps)
    assert stream_of(path).clock.vfr is True
    whole = examined(path)
    (gap,) = gaps(whole)
    assert gap.start_frame == 50
    assert differences(examined(path, cuts=True), whole) == []


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    wrapped = Fraction(2**33, 90_000)
    path = render(
        tmp_path / "wrap.ts", frames=100, options=X264, container_options={"output_ts_offset": str(float(wrapped) - 2.0)}
    )
    whole = examined(path)
    assert whole.coverage.streams["v0"].decoded == 100 and gaps(whole) == []
    clock = stream_of(path).clock
    manifest = manifest_of(outputs(video_jobs(path)[0].model_copy(update={"clock": clock})))
    first, end = manifest.first_pts, manifest.end_pts
    assert first is not None and end is not None and first < 0 < end  # ticks before the wrap are negative
    assert (clock.seconds(clock.event_time(first)), clock.seconds(clock.event_time(end))) == pytest.approx((0, 4))
    assert differences(examined(path, cuts=True), whole) == []


@pytest.mark.parametrize(("offsets", "jump"), [((0, 0), -2.4), ((100, 0), None), ((0, 100), 97.6)])
def test_a_splice_sets_the_clock_anew(offsets: tuple[int, int], jump: float | None, tmp_path: Path) -> None:
    parts = [
        render(tmp_path / f"{n}.ts", frames=60, options=X264, container_options={"output_ts_offset": str(offset)})
        for n, offset in enumerate(offsets)
    ]
    path = tmp_path / "spliced.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    whole = examined(path)
    assert whole.coverage.streams["v0"].decoded == 120
    (gap,) = gaps(whole)
    assert gap.start_frame == 60 and gap.start_seconds == pytest.approx(2.4, abs=0.05)
    assert jump is None or gap.value == pytest.approx(jump, abs=0.1)
    manifest = manifest_of(outputs(video_jobs(path)[0].model_copy(update={"clock": stream_of(path).clock})))
    assert manifest.end_pts is not None and manifest.first_pts is not None
    assert (manifest.end_pts - manifest.first_pts) / 90_000 == pytest.approx(4.8, abs=0.05)


def test_a_frame_size_that_changes(tmp_path: Path) -> None:
    large = render(tmp_path / "a.ts", frames=50, options=X264)
    small = render(tmp_path / "b.ts", frames=50, options=X264, size=(64, 48), container_options={"output_ts_offset": "2"})
    path = tmp_path / "both.ts"
    path.write_bytes(large.read_bytes() + small.read_bytes())
    event = examined(path)
    assert event.run.status == "complete" and event.coverage.streams["v0"].analysed == 100


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.avi", "libx264"),
        ("a.h264", "libx264"),
        ("a.m2v", "mpeg2video"),
        ("b.avi", "mpeg4"),
        ("a.mpg", "mpeg2video"),
    ],
)
def test_pictures_without_timestamps_lie_one_after_the_other(name: str, codec: str, tmp_path: Path) -> None:
    path = render(tmp_path / name, frames=60, codec=codec, options=X264 if codec == "libx264" else {"bf": "2"})
    index = stream_of(path).index_of_video
    assert index is not None and index.distrust == "packets without timestamps"
    event = examined(path)
    assert event.coverage.streams["v0"].decoded == 60 and gaps(event) == []
    manifest = manifest_of(outputs(video_jobs(path)[0].model_copy(update={"clock": stream_of(path).clock})))
    seconds = stream_of(path).clock.seconds((manifest.end_pts or 0) - (manifest.first_pts or 0))
    assert seconds == pytest.approx(60 / 25, abs=0.05)
