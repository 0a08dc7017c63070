"""Findings of decoding from manifests alone: what touches is joined, what is too much is summed up, in any cutting."""

from __future__ import annotations

import random

import pytest

from processors.aggregate import StreamState
from processors.decode.faults import CONCEALED, LOST
from processors.decode_findings import MOST, decode_findings
from processors.findings import FindingDraft
from schemas.clock import Clock
from schemas.manifest import DecodeError, Manifest, TimestampGap
from schemas.plan import AudioFormat, StreamPlan, VideoFormat

CLOCK = Clock(tick=(1, 1000), frame_rate=(25, 1), vfr=False)


def manifest(segment: int, first: int, end: int, *, kind: str = "video", **more: object) -> Manifest:
    ticks = 40 if kind == "video" else 1
    return Manifest(
        run="r",
        asset="a",
        stream="s",
        segment=segment,
        kind=kind,
        decoded=end - first,
        first_pts=first * ticks,
        last_pts=(end - 1) * ticks,
        end_pts=end * ticks,
        chunks=(),
        **more,
    )


def found(*manifests: Manifest, container: str = "mov,mp4", **facts: object) -> list[FindingDraft]:
    kind = manifests[0].kind
    plan = StreamPlan(
        id="s",
        index=0,
        kind=kind,
        decision="analysed",
        clock=CLOCK if kind == "video" else Clock(tick=(1, 48000)),
        video=VideoFormat(width=8, height=8) if kind == "video" else None,
        audio=AudioFormat(rate=48000, channels=1) if kind == "audio" else None,
        **facts,
    )
    state = StreamState(plan, len(manifests))
    state.manifests = {m.segment: m for m in manifests}
    return decode_findings(state, container)


def lost(first: int, end: int, message: str = LOST) -> DecodeError:
    return DecodeError(first=first, end=end, pts=first * 40, end_pts=end * 40, message=message, times=end - first)


def gap(number: int) -> TimestampGap:
    return TimestampGap(first=number, jump=20, pts=number * 40 + 20, start=number * 40, end=number * 40 + 20)


def test_damage_that_touches_is_one_finding_across_segments() -> None:
    errors = [lost(10, 12), lost(12, 13, CONCEALED), lost(20, 25), lost(25, 27), lost(40, 41)]
    (one, two, three) = found(manifest(0, 0, 25, errors=errors[:3]), manifest(1, 25, 50, errors=errors[3:]))
    assert [(f.start_row, f.end_row, f.start, f.end, f.value) for f in (one, two, three)] == [
        (10, 13, 400, 520, 3.0),
        (20, 27, 800, 1080, 7.0),
        (40, 41, 1600, 1640, 1.0),
    ]
    assert one.text == f"The decoder could not read this: {LOST} (2). The decoder concealed damage in 1 place"


def test_any_cutting_gives_the_same() -> None:
    rng = random.Random(3)
    rows = sorted(rng.sample(range(1, 3000), 700))
    errors = [lost(row, row + 1, rng.choice([LOST, CONCEALED])) for row in rows]
    gaps = [gap(row) for row in rows]
    whole = found(manifest(0, 0, 3000, errors=errors, gaps=gaps[:500], gap_count=700))
    for cut in (1, 500, 1777, 2999):
        parts = []
        for segment, (low, high) in enumerate(((0, cut), (cut, 3000))):
            mine = [g for g in gaps if low <= g.first < high]
            part = [e for e in errors if low <= e.first < high]
            parts.append(manifest(segment, low, high, errors=part, gaps=mine[:500], gap_count=len(mine)))
        assert found(*parts) == whole
    for code in ("video.decode_error", "video.timestamp_gap"):
        told = [f for f in whole if f.code == code]
        assert len(told) == MOST and len({f.start for f in told}) == MOST
    last = [f for f in whole if f.code == "video.timestamp_gap"][-1]
    assert last.text == f"Timestamps jump {700 - MOST + 1} more times from here on" and last.end == 3000 * 40


def test_errors_at_one_sample_are_one_finding() -> None:
    errors = [DecodeError(first=100, end=101, message=text) for text in ("one", "two", "one", "three", "four")]
    (only,) = found(manifest(0, 0, 4800, kind="audio", errors=errors))
    assert (only.code, only.start, only.end, only.value, only.start_row) == ("audio.decode_error", 100, 101, 1.0, None)
    assert only.text == "The decoder could not read this: one (2); two; three; 1 more kinds of errors"


def test_pictures_before_the_first_key_frame() -> None:
    (only,) = found(manifest(0, 0, 50), undecodable=7)
    assert (only.start_row, only.end_row, only.start, only.end, only.value) == (0, 0, 0, 1, 7.0)


@pytest.mark.parametrize(
    ("container", "duration", "missing"),
    [("mov,mp4", 10.0, 8.0), ("mov,mp4", 2.9, None), ("mp3", 10.0, None), ("mov,mp4", None, None)],
)
def test_a_stream_shorter_than_its_container_says(container: str, duration: float | None, missing: float | None) -> None:
    drafts = found(manifest(0, 0, 50), container=container, duration=duration)
    assert [(f.code, f.start, f.value) for f in drafts] == ([("container.mismatch", 2000, missing)] if missing else [])
