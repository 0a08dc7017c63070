"""The video index: when packets may be counted as frames, and when a stream may be cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from processors.probe.bitstream import hidden_test, recovery_frames
from processors.probe.packets import DISCARD, HIDDEN, KEY, NONE, PacketTable
from processors.probe.video import StreamFacts, spacing, varies, video_index

FACTS = StreamFacts(container="mov,mp4,m4a", tick=0.001, fields=False, head=(0, 40, 80))


def table(pts: list[int], dts: list[int] | None = None, keys: tuple[int, ...] = (0,), duration: int = 40) -> PacketTable:
    flags = np.zeros(len(pts), np.uint8)
    flags[list(keys)] = KEY
    times = np.array(pts, np.int64)
    order = np.array(pts if dts is None else dts, np.int64)
    return PacketTable(times, order, np.full(len(pts), duration, np.int64), flags, 1000)


def test_a_plain_stream() -> None:
    index = video_index(table(list(range(0, 400, 40)), keys=(0, 5)), FACTS)
    assert index.trusted and (index.frames, index.first_pts, index.end_pts, index.median_gop) == (10, 0, 400, 200)
    assert [(k.pts, k.dts, k.frame, k.settled_dts) for k in index.key_frames] == [(200, 200, 5, 200)]


def test_an_open_gop_settles_behind_its_leading_pictures() -> None:
    # I0 P3 B1 B2 I6 B4 B5 P7: the second key frame is fed before the two pictures that are shown before it
    index = video_index(table([0, 120, 40, 80, 240, 160, 200, 280], [-80, -40, 0, 40, 80, 120, 160, 200], keys=(0, 4)), FACTS)
    (key,) = index.key_frames
    assert (key.frame, key.dts, key.settled_dts) == (6, 80, 200)


def test_a_key_frame_with_later_pictures_before_it_is_no_cut() -> None:
    # the second key frame is decoded after a picture that is shown after it
    index = video_index(table([0, 160, 40, 80, 120, 200], [-80, -40, 0, 40, 80, 120], keys=(0, 4)), FACTS)
    assert index.trusted and index.key_frames == ()


@pytest.mark.parametrize(
    ("made", "facts", "reason", "frames"),
    [
        (table([0, 40, NONE, 120]), FACTS, "packets without timestamps", None),
        (table([0, 40, 80], keys=()), FACTS, "no key frame", None),
        (table([0, 40, 40, 80]), replace(FACTS, head=(0,)), "two pictures at one time", None),
        (table(list(range(0, 200, 20))), FACTS, "packets and decoded frames differ", None),
        (table([0, 40, 80, 100, 120, 160]), replace(FACTS, fields=True), "field pictures", None),
        (table([0, 40, 80]), replace(FACTS, head=()), "nothing could be decoded", None),
        (table([0, 40, 80]), replace(FACTS, head=(0, None)), "decoded frames without timestamps", None),
        (table([0, 40, 80], keys=(1,)), replace(FACTS, head=(0,)), "cannot be counted", None),
        (table([0, 40, 80]), replace(FACTS, container="flv"), "seeking in flv is not exact", 3),
        (table([0, 40, 80]), replace(FACTS, damaged=True, head=(0,)), "damaged", 3),
        (table([0, 40, 80], [0, 0, 40]), FACTS, "decoding times", 3),
        (table([0, 40, 80], [0, NONE, 40]), FACTS, "decoding times", 3),
        (table([0, 40, 80], [NONE, NONE, NONE]), FACTS, "decoding times", 3),
        (table([0, 120, 40, 80], [-80, -40, 0, 40], keys=(1, 2)), replace(FACTS, head=(0, 40, 80, 120)), "out of order", 4),
        (table([0, 40, 80, 20_000]), replace(FACTS, container="mpegts"), "timestamps jump", 4),
    ],
)
def test_what_is_not_trusted(made: PacketTable, facts: StreamFacts, reason: str, frames: int | None) -> None:
    index = video_index(made, facts)
    assert index.distrust is not None and reason in index.distrust
    assert index.frames == frames


def test_pictures_before_the_first_key_frame_count_if_they_are_given() -> None:
    made = table([120, 0, 40, 80, 160, 200], [0, 40, 80, 120, 160, 200])
    none = video_index(made, replace(FACTS, head=(120, 160)))
    assert (none.frames, none.undecodable, none.first_pts) == (3, 3, 120)
    some = video_index(made, replace(FACTS, head=(40, 80, 120)))
    assert (some.frames, some.undecodable, some.first_pts) == (5, 1, 40)


def test_discarded_and_hidden_packets_are_no_frames() -> None:
    made = table([0, 40, 80, 120])
    made.flags[0] |= DISCARD
    made.flags[2] |= HIDDEN
    made.flags[1] |= KEY
    index = video_index(made, replace(FACTS, head=(40, 120)))
    assert index.frames == 2 and index.distrust == "an edit list takes pictures out"


def test_rates() -> None:
    assert varies(table([0, 42, 83, 125, 167])) is False
    assert varies(table([0, 40, 80, 160, 200])) is True
    assert varies(table([0])) is None and spacing(table([0])) is None
    found = spacing(table([0, 40, 80, 160, 200]))
    assert found is not None and (found.usual, found.mean) == (40, 50)


def test_a_few_gaps_are_no_varying_rate() -> None:
    assert varies(table([*range(0, 1200, 40), *range(2000, 3200, 40)])) is False
    # cut short: of the pictures between the last two only those are there that come before in decoding order
    cut = table([80, 0, 40, 200, 120, 160, 320], [-40, 0, 40, 80, 120, 160, 200])
    assert varies(cut) is False


def test_decoding_times_tell_the_rate_where_presentation_times_are_missing() -> None:
    some = table([0, NONE, 40, NONE, NONE, 160], [-40, 0, 40, 80, 120, 160])
    assert varies(some) is False and spacing(some) is not None
    none = table([0, NONE, 40], [NONE, NONE, NONE])
    assert varies(none) is None and spacing(none) is None


def test_a_clock_that_runs_backwards_is_not_cut() -> None:
    pts = [*range(4000, 8000, 40), *range(0, 4000, 40)]
    index = video_index(table(pts, list(range(0, 8000, 40))), replace(FACTS, head=(4000, 4040, 4080)))
    assert index.distrust is not None and not index.trusted


RECOVERY_AT_ONCE = bytes([6, 1, 0x84, 0x80])
RECOVERY_IN_SIX = bytes([6, 1, 0b00111_110, 0x80])


def test_recovery_points_say_after_how_many_frames() -> None:
    assert recovery_frames(RECOVERY_AT_ONCE) == 0
    assert recovery_frames(RECOVERY_IN_SIX) == 6
    assert recovery_frames(bytes([5, 2, 9, 9]) + RECOVERY_IN_SIX) == 6
    assert recovery_frames(bytes([255, 45, 0]) + RECOVERY_IN_SIX) == 6
    assert recovery_frames(bytes([5, 2, 9, 9, 0x80])) is None
    assert recovery_frames(b"") is None


class Packet(bytes):
    is_keyframe = True


@pytest.mark.parametrize("length_size", [0, 4])
def test_key_packets_that_build_up_are_no_key_frames(length_size: int) -> None:
    extradata = bytes([1, 100, 0, 30, 0xFC | 3, 0xE1, 0]) if length_size else None

    def packet(*units: bytes) -> Packet:
        return Packet(b"".join((len(u).to_bytes(4, "big") if length_size else b"\0\0\0\1") + u for u in units))

    test = hidden_test("h264", extradata)
    slice_, idr = bytes([0x41, 1, 2]), bytes([0x65, 1, 2])
    assert test(packet(bytes([6]) + RECOVERY_IN_SIX, slice_)) == (False, False)
    assert test(packet(bytes([6]) + RECOVERY_AT_ONCE, slice_)) == (True, False)
    assert test(packet(idr)) == test(packet(slice_)) == (True, False)
    assert test(packet(bytes([9, 0x10]), idr, bytes([6]) + RECOVERY_IN_SIX)) == (True, False)


def test_vp8_tells_whether_a_picture_is_shown() -> None:
    test = hidden_test("vp8", None)
    assert test(Packet(bytes([0x10, 0, 0]))) == (True, False)
    assert test(Packet(bytes([0x01, 0, 0]))) == (True, True)
