"""Track headers of ISO base media files and QuickTime (ISO/IEC 14496-12): what PyAV does not hand on of ``moov``."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

from processors.probe.headers.track import (
    CHROMATICITY,
    LUMINANCE,
    Readable,
    TrackHeader,
    light_levels,
    mastering,
    read_at,
)
from schemas.plan import LightLevels, MasteringDisplay

MAX_BOXES, MAX_INSIDE = 4096, 64
"""Boxes looked at in the file and in ``moov``, and in each parent inside a track."""
MAX_ENTRY = 1 << 20
"""Bytes of a track's sample descriptions; what lies further on is not read."""
VISUAL_ENTRY = 86
"""Bytes of a visual sample entry before the boxes inside it."""
KINDS: dict[bytes, Literal["video", "audio"]] = {b"vide": "video", b"soun": "audio"}

Box = tuple[bytes, int, int]
"""Type, start and end of the content."""


def tracks(source: Readable, size: int) -> list[TrackHeader]:
    """The headers of all tracks, in order. Of a malformed box nothing is read, and nothing after it in its parent."""
    found = []
    for kind, start, end in _boxes(source, 0, size, MAX_BOXES):
        if kind == b"moov":
            inside = _boxes(source, start, end, MAX_BOXES)
            found += [_track(source, low, high) for name, low, high in inside if name == b"trak"]
    return found


def _boxes(source: Readable, start: int, end: int, most: int = MAX_INSIDE) -> Iterator[Box]:
    for _ in range(most):
        head = read_at(source, start, min(16, end - start))
        if len(head) < 8:
            return
        length, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, header = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:
            length = end - start
        if length < header or start + length > end:
            return
        yield kind, start + header, start + length
        start += length


def _track(source: Readable, start: int, end: int) -> TrackHeader:
    inside = {kind: (low, high) for kind, low, high in _boxes(source, start, end)}
    number = _number(read_at(source, inside[b"tkhd"][0], 24)) if b"tkhd" in inside else None
    media = {kind: (low, high) for kind, low, high in _boxes(source, *inside.get(b"mdia", (0, 0)))}
    handler = read_at(source, media[b"hdlr"][0] + 8, 4) if b"hdlr" in media else b""
    header = TrackHeader(KINDS.get(handler, "other"), number, language=_extended_language(source, media))
    if header.kind != "video":
        return header
    at = media.get(b"minf", (0, 0))
    for name in (b"stbl", b"stsd"):
        at = next(((low, high) for kind, low, high in _boxes(source, *at) if kind == name), (0, 0))
    entry = read_at(source, at[0], min(at[1] - at[0], MAX_ENTRY))
    display, light = picture_boxes(entry[8:])
    return TrackHeader("video", number, header.language, mastering_display=display, light_levels=light)


def _number(header: bytes) -> int | None:
    """``track_ID`` of a ``tkhd``, which version 1 writes after two dates of 8 bytes."""
    if len(header) < 24:
        return None
    at = 20 if header[0] == 1 else 12
    return int.from_bytes(header[at : at + 4], "big")


def _extended_language(source: Readable, media: dict[bytes, tuple[int, int]]) -> str | None:
    """The BCP 47 tag of an ``elng`` box."""
    if b"elng" not in media:
        return None
    start, end = media[b"elng"]
    return read_at(source, start + 4, min(end - start - 4, 64)).split(b"\0")[0].decode("ascii", "replace") or None


def picture_boxes(entry: bytes) -> tuple[MasteringDisplay | None, LightLevels | None]:
    """Mastering display and light levels of the first visual sample entry: ``mdcv`` and ``clli``, VP9's ``SmDm`` and
    ``CoLL``.
    """
    display, light = None, None
    at, end = VISUAL_ENTRY, min(len(entry), int.from_bytes(entry[:4], "big"))
    while at + 8 <= end:
        length, kind = int.from_bytes(entry[at : at + 4], "big"), entry[at + 4 : at + 8]
        if length < 8 or at + length > end:
            break
        body = entry[at + 8 : at + length]
        if kind == b"mdcv" and len(body) >= 24:
            display = _st2086(body)
        elif kind == b"SmDm" and len(body) >= 28:
            display = _vp9(body[4:])
        elif kind in (b"clli", b"CoLL") and len(body) >= (at_levels := 4 * (kind == b"CoLL")) + 4:
            light = light_levels(*struct.unpack_from(">2H", body, at_levels))
        at += length
    return display, light


def _st2086(body: bytes) -> MasteringDisplay | None:
    """As in the SEI messages of H.264 and HEVC: green, blue, red, white, the brightest and the darkest."""
    *xy, high, low = struct.unpack_from(">8H2I", body)
    pairs = [(x / CHROMATICITY, y / CHROMATICITY) for x, y in zip(xy[::2], xy[1::2], strict=True)]
    return mastering(dict(zip(("green", "blue", "red", "white"), pairs, strict=True)), low / LUMINANCE, high / LUMINANCE)


def _vp9(body: bytes) -> MasteringDisplay | None:
    """VP Codec ISO Media File Format Binding: red, green, blue, white in 0.16 bits, luminances in 24.8 and 18.14."""
    *xy, high, low = struct.unpack_from(">8H2I", body)
    pairs = [(x / 65536, y / 65536) for x, y in zip(xy[::2], xy[1::2], strict=True)]
    return mastering(dict(zip(("red", "green", "blue", "white"), pairs, strict=True)), low / 16384, high / 256)
