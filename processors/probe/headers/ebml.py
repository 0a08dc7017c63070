"""Track headers of Matroska and WebM (RFC 9559, on EBML, RFC 8794): what PyAV does not hand on of ``Tracks``."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from processors.probe.headers.track import Readable, TrackHeader, light_levels, mastering, read_at
from schemas.plan import MasteringDisplay

MAX_ELEMENTS = 4096
MAX_TRACKS = 4 << 20
"""Bytes of ``Tracks``; a larger one is not read."""

SEGMENT, TRACKS, CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675
ENTRY, TYPE, LANGUAGE, LANGUAGE_BCP47 = 0xAE, 0x83, 0x22B59C, 0x22B59D
VIDEO, COLOUR, MAX_CLL, MAX_FALL, MASTERING = 0xE0, 0x55B0, 0x55BC, 0x55BD, 0x55D0
POINTS = {"red": 0x55D1, "green": 0x55D3, "blue": 0x55D5, "white": 0x55D7}
"""The elements of a point's x; its y follows it."""
HIGHEST, LOWEST = 0x55D9, 0x55DA

Elements = dict[int, bytes]


def tracks(source: Readable, size: int) -> list[TrackHeader]:
    """The headers of all tracks, in order."""
    for name, start, end in _outline(source, 0, size):
        if name == SEGMENT:
            for inner, low, high in _outline(source, start, end):
                if inner == TRACKS and high - low <= MAX_TRACKS:
                    body = read_at(source, low, high - low)
                    return [_track(_elements(entry)) for kind, entry in _walk(body) if kind == ENTRY]
                if inner == CLUSTER:
                    return []
    return []


def _outline(source: Readable, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Elements in the source: name, start and end of the content. One of unknown size reaches to the end."""
    for _ in range(MAX_ELEMENTS):
        head = _head(read_at(source, start, min(12, end - start)), 0)
        if head is None:
            return
        name, length, header = head
        stop = end if length is None else start + header + length
        if stop > end:
            return
        yield name, start + header, stop
        start = stop


def _head(data: bytes, at: int) -> tuple[int, int | None, int] | None:
    """Name, length of the content (``None``: unknown) and length of the head itself."""
    if at >= len(data) or not data[at] & 0xF0:
        return None
    name_bytes = 9 - data[at].bit_length()
    size_at = at + name_bytes
    if size_at >= len(data) or not data[size_at]:
        return None
    size_bytes = 9 - data[size_at].bit_length()
    if size_at + size_bytes > len(data):
        return None
    all_ones = (1 << 7 * size_bytes) - 1
    length = int.from_bytes(data[size_at : size_at + size_bytes], "big") & all_ones
    return int.from_bytes(data[at:size_at], "big"), None if length == all_ones else length, name_bytes + size_bytes


def _walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Elements with their content, up to the first malformed one."""
    at = 0
    while (head := _head(data, at)) is not None:
        name, length, header = head
        if length is None or at + header + length > len(data):
            return
        at += header + length
        yield name, data[at - length : at]


def _elements(data: bytes) -> Elements:
    return dict(_walk(data))


def _track(entry: Elements) -> TrackHeader:
    kind = _integer(entry.get(TYPE))
    language = entry.get(LANGUAGE_BCP47) or entry.get(LANGUAGE) or b""
    tag = language.split(b"\0")[0].decode("ascii", "replace") or None
    if kind != 1:
        return TrackHeader("audio" if kind == 2 else "other", language=tag)
    colour = _elements(_elements(entry.get(VIDEO, b"")).get(COLOUR, b""))
    return TrackHeader(
        "video",
        language=tag,
        mastering_display=_mastering(_elements(colour.get(MASTERING, b""))),
        light_levels=light_levels(_integer(colour.get(MAX_CLL)), _integer(colour.get(MAX_FALL))),
    )


def _mastering(stated: Elements) -> MasteringDisplay | None:
    points = {}
    for colour, name in POINTS.items():
        x, y = _float(stated.get(name)), _float(stated.get(name + 1))
        if x is not None and y is not None:
            points[colour] = (x, y)
    return mastering(points, _float(stated.get(LOWEST)), _float(stated.get(HIGHEST)))


def _integer(data: bytes | None) -> int | None:
    return int.from_bytes(data, "big") if data and len(data) <= 8 else None


def _float(data: bytes | None) -> float | None:
    """A finite, positive number; no other is a chromaticity or a luminance."""
    if data is None or len(data) not in (4, 8):
        return None
    value: float = struct.unpack(">f" if len(data) == 4 else ">d", data)[0]
    return value if 0 <= value < 1e6 else None
