"""Plans: the same input gives the same plan, jobs say what tasks need, and planned segments decode to the whole."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from processors import profiles, tasks
from processors.decode.video import frames
from processors.plan import PlanRequest, choose_cuts, cut_points, make_plan, no_plan
from processors.probe import probe
from processors.probe.index import IndexedStream, KeyFrame, MediaIndex, VideoIndex
from processors.source import SourcePolicy, open_container, open_source
from schemas.clock import Clock
from schemas.errors import SourceMissing, Unprocessable
from schemas.ids import asset_id
from schemas.plan import AudioFormat, Plan, Reanalysis, VideoFormat
from tests.decoding import render

REQUEST = PlanRequest(caused_by="E-1", created="2026-01-01T00:00:00Z", code="1.0")
TICK = Fraction(1, 25)


def keys_every(gop: int, total: int) -> tuple[KeyFrame, ...]:
    return tuple(KeyFrame(pts=n, dts=n - 2, frame=n, settled_dts=n - 1) for n in range(gop, total, gop))


def video_stream(total: int = 25 * 600, gop: int = 50, distrust: str | None = None, name: str = "v0") -> IndexedStream:
    return IndexedStream(
        id=name,
        index=0,
        kind="video",
        decision="analysed",
        clock=Clock(tick=(1, 25), frame_rate=(25, 1)),
        video=VideoFormat(width=1920, height=1080),
        index_of_video=VideoIndex(
            frames=None if distrust else total,
            first_pts=0,
            end_pts=total,
            median_gop=gop,
            key_frames=keys_every(gop, total),
            distrust=distrust,
        ),
    )


def audio_stream(name: str = "a0") -> IndexedStream:
    form = AudioFormat(rate=48000, channels=2, layout="stereo", channel_names=("FL", "FR"))
    return IndexedStream(id=name, index=1, kind="audio", decision="analysed", clock=Clock(tick=(1, 48000)), audio=form)


def index(*streams: IndexedStream) -> MediaIndex:
    return MediaIndex(
        uri="file:///x.mov", version="1-2", size=9, container="mov", streams=streams or (video_stream(), audio_stream())
    )


def test_a_plan_is_a_function_of_its_input() -> None:
    plan = make_plan(index(), REQUEST)
    assert plan == make_plan(index(), REQUEST)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.asset.id == asset_id("file:///x.mov", "1-2") and plan.asset.bytes == 9
    later = make_plan(index(), replace(REQUEST, caused_by="E-2", created="2027-01-01T00:00:00Z", code="2.0"))
    assert later.run == plan.run
    others = [
        replace(REQUEST, tasks=("loudness",)),
        replace(REQUEST, single_segment=True),
        replace(REQUEST, cuts=(50,)),
        replace(REQUEST, profiles=()),
    ]
    assert len({plan.run, *(make_plan(index(), other).run for other in others)}) == 5


def test_a_profile_that_is_edited_makes_another_run() -> None:
    """Who asks again after an edit is not answered with the verdict of before."""
    mine = profiles.load("ebu-r128")
    before, same, after = (
        make_plan(index(), replace(REQUEST, profiles=("ebu-r128",), judged_by=(profiles.carried(profile),)))
        for profile in (mine, mine, mine.model_copy(update={"sha256": "1" * 64}))
    )
    assert before.run == same.run != after.run
    again = Plan.model_validate_json(before.model_dump_json())
    assert (again.profiles, profiles.planned(again, "ebu-r128")) == (("ebu-r128",), mine)


def test_a_plan_of_a_version_that_carried_names_means_dailies_own_profiles() -> None:
    plan = make_plan(index(), REQUEST)
    assert [profiles.planned(plan, name) for name in plan.profiles] == [profiles.load(name) for name in plan.profiles]


def test_another_cause_is_another_run_and_the_same_one_the_same() -> None:
    plan = make_plan(index(), REQUEST)
    one, same, other = (
        make_plan(index(), replace(REQUEST, reanalysis=Reanalysis(cause=cause, round=number)))
        for number, cause in enumerate(("the meter", "the meter", "the clock"))
    )
    assert one.run == same.run
    assert len({plan.run, one.run, other.run}) == 3
    assert (one.asset, {job.run for job in one.jobs}) == (plan.asset, {one.run})
    assert other.reanalysis == Reanalysis(cause="the clock", round=2)


def test_jobs_carry_what_their_tasks_need() -> None:
    plan = make_plan(index(), REQUEST)
    specs = [task.spec for task in tasks.registry().values()]
    for job in plan.jobs:
        mine = [spec for spec in specs if spec.kind == job.kind]
        agents = [spec for spec in mine if spec.where == "agent"]
        assert set(job.agent_tasks) == {spec.name for spec in agents}
        assert list(job.agents) == [plan.task(name) for name in job.agent_tasks]
        assert {task.name for task in job.tasks} == {spec.name for spec in mine if spec.where == "decode"}
        assert set(job.renditions) == set(job.after) == {spec.rendition for spec in agents}
        assert all(job.after[spec.rendition] >= spec.halo for spec in agents)
        assert job.created == plan.created and job.run == plan.run and job.asset == plan.asset
    assert {task.name for task in plan.tasks} == {spec.name for spec in specs}
    assert [job.segment for job in plan.jobs if job.kind == "audio"] == [0]


def test_only_what_applies_is_planned() -> None:
    only = make_plan(index(audio_stream("a0"), audio_stream("a1")), REQUEST)
    assert {tasks.task(t.name).spec.kind for t in only.tasks} == {"audio"}
    assert [(job.stream, job.last) for job in only.jobs] == [("a0", True), ("a1", True)]
    loud = make_plan(index(), replace(REQUEST, tasks=("loudness",)))
    assert [t.name for t in loud.tasks] == ["loudness"] and {job.stream for job in loud.jobs} == {"a0"}
    assert (loud.stream("v0").decision, loud.stream("v0").tasks) == ("skipped", ())
    assert loud.stream("a0").tasks == ("loudness",)


def test_tasks_that_are_unknown_or_have_nothing_to_read() -> None:
    with pytest.raises(Unprocessable, match=r"no task is called nonsense; there are .*loudness") as unknown:
        make_plan(index(), replace(REQUEST, tasks=("loudness", "nonsense")))
    assert unknown.value.reason == "unknown_task"
    with pytest.raises(Unprocessable) as nothing:
        make_plan(index(video_stream()), replace(REQUEST, tasks=("loudness",)))
    assert nothing.value.reason == "no_tasks"


def test_why_there_is_no_plan() -> None:
    told = no_plan("file:///x", None, SourceMissing("gone"), REQUEST)
    assert (told.reason, told.message, told.caused_by) == ("source_missing", "gone", "E-1")
    assert told == no_plan("file:///x", None, SourceMissing("gone"), REQUEST)
    assert told.asset == no_plan("/a/../x", None, SourceMissing("gone"), REQUEST).asset
    assert no_plan("http://a b", None, SourceMissing("gone"), REQUEST).asset.uri == "http://a b"
    assert told.asset.id != no_plan("file:///x", "2", SourceMissing("gone"), REQUEST).asset.id


def lengths(total: int, gop: int, cores: int) -> list[float]:
    video = video_stream(total, gop).index_of_video
    assert video is not None
    edges = [0, *(key.pts for key in choose_cuts(cut_points(video), video, TICK, cores)), total]
    return [(b - a) / 25 for a, b in pairwise(edges)]


def test_long_assets_have_segments_of_a_minute_or_ten_gops() -> None:
    assert min(lengths(25 * 3600, 50, 2)) >= 60 and len(lengths(25 * 3600, 50, 2)) == 60
    assert min(lengths(25 * 3600, 250, 2)) >= 100
    assert lengths(25 * 3600, 25 * 400, 1) == [3600.0]


def test_short_assets_use_the_cores_but_have_no_slivers() -> None:
    assert lengths(25 * 20, 25, 2) == [10.0, 10.0]
    assert lengths(25 * 60, 50, 4) == [14.0, 16.0, 14.0, 16.0]
    assert lengths(25 * 9, 25, 8) == [4.0, 5.0]
    assert lengths(25 * 7, 25, 8) == [7.0]
    assert lengths(25 * 20, 10_000, 8) == [20.0]


def test_what_cannot_be_trusted_is_one_segment() -> None:
    plan = make_plan(index(video_stream(distrust="field pictures")), REQUEST)
    (job,) = plan.jobs
    assert (job.start, job.end, job.seek, job.stop_dts, job.frames, job.last) == (None, None, None, None, None, True)
    assert plan.stream("v0").frames is None
    with pytest.raises(ValueError, match="field pictures"):
        make_plan(index(video_stream(distrust="field pictures")), replace(REQUEST, cuts=(50,)))
    with pytest.raises(ValueError, match=r"cannot be cut at \[7\]"):
        make_plan(index(), replace(REQUEST, cuts=(50, 7)))


OPEN = {"preset": "ultrafast", "g": "8", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
HEVC = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=8:min-keyint=8:scenecut=0:bframes=3:open-gop=1"}


@pytest.mark.parametrize(
    ("name", "codec", "options"), [("x.mp4", "libx264", OPEN), ("x.mkv", "libx264", OPEN), ("x.ts", "libx265", HEVC)]
)
def test_planned_segments_decode_to_the_whole(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    path = render(tmp_path / name, frames=45, codec=codec, options=options, size=(64, 48))
    found = probe(str(path), SourcePolicy())
    stream = found.streams[0]
    assert stream.index_of_video is not None
    cuts = tuple(key.frame for key in stream.index_of_video.key_frames)
    whole, cut = (decoded(make_plan(found, replace(REQUEST, cuts=c)), path) for c in ((), cuts))
    assert len(cuts) == 5 and cut == whole
    assert [number for number, *_ in whole] == list(range(45))


def decoded(plan: Plan, path: Path) -> list[tuple[int, int, bytes]]:
    found = []
    for job in plan.jobs:
        with open_source(str(path), SourcePolicy()) as source, open_container(source) as container:
            owned = [(f.number, f.pts, f.planes[0].tobytes()) for f, mine in frames(container, job) if mine]
        assert len(owned) == job.frames
        found += owned
    return found
