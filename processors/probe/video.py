"""From a table of packets to a video index: how many frames, which key frames may be cut at, and whether to believe it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from processors.probe.index import KeyFrame, VideoIndex
from processors.probe.packets import DISCARD, HIDDEN, KEY, NONE, Ints, PacketTable
from schemas.plan import Timing

Flags = NDArray[np.bool_]

MAX_KEY_FRAMES = 8192
EXACT_SEEK = frozenset({"mov", "mp4", "matroska", "webm", "mpegts", "mxf"})
"""Containers in which seeking to a key frame was shown to be exact."""
JUMP_SECONDS = 10.0
FIELD_SHARE = 0.75
"""Two pictures closer than this share of the usual distance, where there may be fields, are fields of one frame."""
JITTER_SHARE = 0.02
VARYING_SHARE = 0.05
MOST_REORDERED = 64
"""No codec shows a picture so many places away from where it is decoded: its timestamp is another clock's."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What must be known of a stream beside its packets.

    ``container`` is FFmpeg's name or names; ``tick`` seconds; ``fields`` if packets may hold single fields;
    ``head`` the pts of the frames that its first packets decoded to, ``damaged`` if some of them could not be decoded.
    """

    container: str
    tick: float
    fields: bool
    head: tuple[int | None, ...]
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Spacing:
    """The usual (median) and the mean distance of frames in ticks."""

    usual: float
    mean: float


def video_index(table: PacketTable, facts: StreamFacts) -> VideoIndex:
    """The index of one video stream with at least one packet."""
    shown = (table.flags & (DISCARD | HIDDEN)) == 0
    pts = table.pts[shown]
    if not len(pts) or (pts == NONE).any():
        known = pts[pts != NONE]
        return _unknown("packets without timestamps", known, table)
    key_pts = table.pts[shown & (table.flags & KEY != 0)]
    if not len(key_pts):
        return _unknown("no key frame", pts, table)
    order = np.sort(pts)
    early = int(np.searchsorted(order, key_pts[0]))
    head = sorted(at for at in facts.head if at is not None)
    given = int(np.searchsorted(head, key_pts[0]))
    if not facts.damaged:
        reason = _uncounted(order, early, head, given, facts)
        if reason is not None:
            return _unknown(reason, pts, table)
    places = _places(table, shown)
    end = _end(table, shown)
    lost = early - given
    keys = [_key_frame(table, shown, order, lost, place) for place in _thin(places[1:]).tolist()]
    return VideoIndex(
        frames=len(order) - lost,
        undecodable=lost,
        first_pts=head[0] if given else int(order[early]),
        end_pts=end,
        median_gop=int(np.median(np.diff([*table.pts[places].tolist(), end]))) if len(places) else None,
        key_frames=tuple(keys),
        distrust="the first pictures are damaged" if facts.damaged else _distrust(table, shown, key_pts, facts),
    )


def varies(table: PacketTable) -> bool | None:
    """Whether the frame rate varies: more than a twentieth of the frames' distances are off the usual one by more than a
    tick and 2 %. Fewer are gaps in a steady stream.
    """
    deltas = _deltas(table)
    if deltas is None:
        return None
    usual = np.median(deltas)
    return bool((np.abs(deltas - usual) > max(1.0, JITTER_SHARE * float(usual))).mean() > VARYING_SHARE)


def spacing(table: PacketTable) -> Spacing | None:
    """How far frames are apart, where there are two."""
    deltas = _deltas(table)
    return None if deltas is None else Spacing(usual=float(np.median(deltas)), mean=float(deltas.mean()))


def picture_timing(table: PacketTable, index: VideoIndex, time_base: Fraction) -> Timing | None:
    """How the pictures of an index lie in time; ``None`` where nothing has a timestamp."""
    if index.first_pts is None:
        return None
    deltas = _deltas(table, settled=False)
    changed = None if deltas is None or len(deltas) < 2 else int((np.abs(np.diff(deltas)) > 1).sum()) / len(deltas)
    return Timing(
        first=float(index.first_pts * time_base),
        irregular=changed,
        edited_out=int((table.flags & DISCARD != 0).sum()),
    )


def plays(table: PacketTable, *, pictures: bool) -> float:
    """How many ticks a stream plays, by its packets' number and usual distance, or durations: not by single timestamps."""
    between = spacing(table) if pictures else None
    return between.usual * len(table) if between is not None else float(table.duration.clip(0).sum(dtype=np.float64))


def _deltas(table: PacketTable, *, settled: bool = True) -> Ints | None:
    """Distances between pictures in presentation order. ``settled`` leaves those out that are shown after the last decoding
    time: of a stream that is cut short, pictures that are shown before them are not there.
    """
    shown = (table.flags & (DISCARD | HIDDEN)) == 0
    keyed = np.flatnonzero(table.flags & KEY)
    pts = table.pts[shown]
    if (pts == NONE).any():  # then decoding times tell, where they are there
        dts = table.dts[shown]
        return np.diff(dts) if len(dts) > 1 and not (dts == NONE).any() else None
    if len(keyed) and table.pts[keyed[0]] != NONE:
        pts = pts[pts >= table.pts[keyed[0]]]  # what lies before cannot be decoded
    pts = np.unique(pts)
    certain = pts[pts <= table.dts.max()] if settled else pts
    if len(certain) > 1:
        pts = certain
    return np.diff(pts) if len(pts) > 1 else None


def _unknown(reason: str, pts: Ints, table: PacketTable) -> VideoIndex:
    first = int(pts.min()) if len(pts) else None
    end = int(pts.max() + table.duration.max()) if len(pts) else None
    return VideoIndex(frames=None, first_pts=first, end_pts=end, distrust=reason)


def _end(table: PacketTable, shown: Flags) -> int:
    last = int(np.argmax(np.where(shown, table.pts, NONE)))
    return int(table.pts[last] + table.duration[last])


def _uncounted(order: Ints, early: int, head: list[int], given: int, facts: StreamFacts) -> str | None:
    """Why packets cannot be counted as frames, if so.

    ``order`` are all pts, sorted; ``early`` of them lie before the first key frame. ``head`` are those of decoded frames,
    sorted; ``given`` of them lie before it.
    """
    if len(head) != len(facts.head):
        return "decoded frames without timestamps"
    if not len(head):
        return "nothing could be decoded"
    if given > early or len(head) == given:
        return "the pictures before the first key frame cannot be counted"
    deltas = np.diff(order[early:])
    if (deltas == 0).any():
        return "two pictures at one time"
    if facts.fields and len(deltas) and deltas.min() < FIELD_SHARE * np.median(deltas):
        return "field pictures"
    if head[given:] != order[early : early + len(head) - given].tolist():
        return "packets and decoded frames differ"
    return None


def _distrust(table: PacketTable, shown: Flags, key_pts: Ints, facts: StreamFacts) -> str | None:
    if EXACT_SEEK.isdisjoint(facts.container.split(",")):
        return f"seeking in {facts.container} is not exact"
    if not shown.all() and (table.flags & DISCARD).any():
        return "an edit list takes pictures out"
    dts = table.dts[np.argmax(table.dts != NONE) :]  # Matroska leaves them out at the very start
    keyed = table.flags & KEY != 0
    if (dts == NONE).any() or (np.diff(dts) <= 0).any() or (table.dts[keyed][1:] == NONE).any():
        return "decoding times are missing or do not increase"
    if (np.diff(key_pts) <= 0).any():
        return "key frames are out of order"
    places = np.argsort(table.pts[shown], kind="stable")
    if (np.abs(places - np.arange(len(places))) > MOST_REORDERED).any():
        return "timestamps run backwards"
    if "mpegts" in facts.container and len(dts) and np.diff(dts).max(initial=0) * facts.tick > JUMP_SECONDS:
        return "timestamps jump"
    return None


def _places(table: PacketTable, shown: Flags) -> Ints:
    """Where the key frames are that everything before them in decoding order is also shown before, and the first one."""
    latest = np.maximum.accumulate(np.where(shown, table.pts, NONE))
    places = np.flatnonzero(shown & (table.flags & KEY != 0))
    clear = latest[np.maximum(places - 1, 0)] < table.pts[places]
    clear[:1] = True
    return places[clear]


def _thin(places: Ints) -> Ints:
    return places[:: -(-len(places) // MAX_KEY_FRAMES) or 1]


def _key_frame(table: PacketTable, shown: Flags, order: Ints, lost: int, place: int) -> KeyFrame:
    pts = int(table.pts[place])
    number = int(np.searchsorted(order, pts)) - lost
    return KeyFrame(pts=pts, dts=int(table.dts[place]), frame=number, settled_dts=_settled(table, shown, place))


def _settled(table: PacketTable, shown: Flags, place: int) -> int:
    """The dts from which on no packet is shown before the key frame at ``place``. Packets' pts never lie before their
    dts, so the search ends where dts has reached the key frame's pts.
    """
    key_pts = table.pts[place]
    settled = place
    for at in range(place + 1, len(table)):
        if table.dts[at] != NONE and table.dts[at] >= key_pts:
            break
        if shown[at] and table.pts[at] < key_pts:
            settled = at
    if settled == place:
        return int(table.dts[place])
    after = settled + 1
    return int(table.dts[after] if after < len(table) and table.dts[after] != NONE else table.dts[settled] + 1)
