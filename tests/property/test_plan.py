"""Whatever the key frames: segments cover every frame once, and say truly where they begin and end."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.plan import PlanRequest, choose_cuts, cut_points, make_plan
from processors.probe.index import IndexedStream, MediaIndex, VideoIndex
from processors.probe.packets import DISCARD, HIDDEN, KEY, PacketTable
from processors.probe.video import StreamFacts, video_index
from schemas.clock import Clock
from schemas.plan import Job, VideoFormat

TICK = Fraction(1, 90_000)


@st.composite
def tables(draw: st.DrawFn) -> tuple[PacketTable, list[int], list[int]]:
    """A stream's packets in decoding order, as encoders make them: open or closed GOPs with groups of B pictures.

    Also the sorted pts of its frames, and the pts of its key frames.
    """
    step = draw(st.sampled_from([1, 40, 3003, 3600]))
    order: list[tuple[int, bool]] = []
    shown = 0
    for gop in range(draw(st.integers(1, 12))):
        leading = draw(st.integers(0, 3)) if gop else 0
        order += [(shown + leading, True), *((shown + n, False) for n in range(leading))]
        shown += leading + 1
        for _ in range(draw(st.integers(0, 8))):
            between = draw(st.integers(0, 3))
            order += [(shown + between, False), *((shown + n, False) for n in range(between))]
            shown += between + 1
    delay = max(place - number for place, (number, _) in enumerate(order)) + draw(st.integers(0, 2))
    start = draw(st.integers(-10_000, 10_000_000))
    jitter = draw(st.lists(st.integers(0, max(0, step // 8)), min_size=shown, max_size=shown))
    times = [start + number * step + jitter[number] for number in range(shown)]
    pts = np.array([times[number] for number, _ in order], np.int64)
    dts = np.array([start + (place - delay) * step for place in range(len(order))], np.int64)
    flags = np.array([KEY * key for _, key in order], np.uint8)
    table = PacketTable(pts, dts, np.full(len(order), step, np.int64), flags, 1)
    return table, times, [times[number] for number, key in order if key]


def indexed(table: PacketTable, head: list[int]) -> VideoIndex:
    facts = StreamFacts(container="mov,mp4", tick=float(TICK), fields=False, head=tuple(head[:24]))
    return video_index(table, facts)


def stream(video: VideoIndex) -> IndexedStream:
    return IndexedStream(
        id="v0",
        index=0,
        kind="video",
        decision="analysed",
        clock=Clock(tick=(TICK.numerator, TICK.denominator)),
        video=VideoFormat(width=64, height=48),
        index_of_video=video,
    )


def planned(video: VideoIndex, **request: object) -> tuple[Job, ...]:
    index = MediaIndex(uri="file:///x", version="1", size=1, container="mov", streams=(stream(video),))
    return make_plan(index, PlanRequest("e", "2026-01-01T00:00:00Z", "1", **request)).jobs  # type: ignore[arg-type]


@given(tables())
def test_the_index_counts_frames_and_finds_key_frames(made: tuple[PacketTable, list[int], list[int]]) -> None:
    table, times, keys = made
    video = indexed(table, times)
    assert video.trusted and video.frames == len(times)
    assert [key.pts for key in video.key_frames] == keys[1:]
    assert [times[key.frame] for key in video.key_frames] == keys[1:]
    assert (video.first_pts, video.undecodable) == (times[0], 0)


@given(tables(), st.data())
def test_segments_partition_the_frames(made: tuple[PacketTable, list[int], list[int]], data: st.DataObject) -> None:
    table, times, _ = made
    video = indexed(table, times)
    frames = [key.frame for key in video.key_frames]
    cuts = tuple(data.draw(st.lists(st.sampled_from(frames), unique=True))) if frames else ()
    jobs = planned(video, cuts=cuts)
    assert len(jobs) == len(cuts) + 1
    owners = [[job.segment for job in jobs if owns(job, pts)] for pts in times]
    assert all(len(found) == 1 for found in owners)
    for job in jobs:
        mine = [number for number, found in enumerate(owners) if found == [job.segment]]
        assert (job.first_frame, job.frames) == (mine[0], len(mine))
        assert mine == list(range(mine[0], mine[-1] + 1))
        assert fed(job, table) >= {pts for pts in times if owns(job, pts)}
    assert sum(job.frames or 0 for job in jobs) == len(times)
    assert [job.last for job in jobs] == [False] * len(cuts) + [True]


def owns(job: Job, pts: int) -> bool:
    return (job.start is None or pts >= job.start) and (job.end is None or pts < job.end)


def fed(job: Job, table: PacketTable) -> set[int]:
    """The pts of the packets that the decoder is given: from the key frame on, until ``stop_dts``."""
    low = -(1 << 62) if job.seek is None else job.seek.dts
    high = 1 << 62 if job.stop_dts is None else job.stop_dts
    return {int(p) for p, d in zip(table.pts, table.dts, strict=True) if low <= d < high}


@given(tables(), st.data())
def test_distrust_is_one_segment(made: tuple[PacketTable, list[int], list[int]], data: st.DataObject) -> None:
    table, times, _ = made
    place = data.draw(st.integers(0, len(table) - 1))
    flags = table.flags.copy()
    flags[place] |= DISCARD
    head = sorted(set(times) - {int(table.pts[place])})
    video = indexed(PacketTable(table.pts, table.dts, table.duration, flags, 1), head)
    assert not video.trusted and video.frames in (len(times) - 1, None)
    assert len(planned(video)) == 1


@given(tables(), st.data())
def test_hidden_pictures_are_no_frames(made: tuple[PacketTable, list[int], list[int]], data: st.DataObject) -> None:
    table, times, _ = made
    plain = np.flatnonzero(table.flags == 0).tolist()
    hidden = data.draw(st.lists(st.sampled_from(plain), unique=True)) if plain else []
    flags = table.flags.copy()
    flags[hidden] |= HIDDEN
    shown = sorted(set(times) - {int(table.pts[place]) for place in hidden})
    video = indexed(PacketTable(table.pts, table.dts, table.duration, flags, 1), shown)
    assert video.trusted and video.frames == len(shown)
    assert [shown[key.frame] for key in video.key_frames] == [key.pts for key in video.key_frames]


@given(tables(), st.integers(1, 16), st.integers(1, 2000))
@settings(max_examples=200)
def test_chosen_segments_are_never_slivers(
    made: tuple[PacketTable, list[int], list[int]], cores: int, ticks_a_second: int
) -> None:
    table, times, _ = made
    video = indexed(table, times)
    tick = Fraction(1, ticks_a_second)
    cuts = choose_cuts(cut_points(video), video, tick, cores)
    assert list(cuts) == sorted(cuts, key=lambda key: key.pts)
    assert video.first_pts is not None and video.end_pts is not None
    edges = [video.first_pts, *(key.pts for key in cuts), video.end_pts]
    seconds = [(b - a) * tick for a, b in pairwise(edges)]
    assert not cuts or min(seconds) >= 4
    assert len(seconds) <= max(cores, sum(seconds) / 60)
