"""Where a media file keeps its sizes and its tables: what a mutation has to hit to get past the first check of a demuxer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"mvex", b"moof", b"traf", b"udta"}
TABLES = {b"stts", b"ctts", b"stsc", b"stsz", b"stco", b"co64", b"stss", b"elst", b"trun", b"tfhd", b"dref", b"stsd", b"tkhd"}
MASTERS = {0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1C53BB6B, 0xBB, 0xB7, 0x1F43B675, 0xA0, 0x1549A966, 0x114D9B74}
CUES, SEEK_HEAD = 0x1C53BB6B, 0x114D9B74
KLV = bytes.fromhex("060e2b34")
INDEX_SEGMENT = bytes.fromhex("0e2b34025301010d01020101100100")


class Field(NamedTuple):
    """A number in a file: where it lies, its bytes, and their order."""

    at: int
    size: int
    order: Literal["big", "little"]
    name: str


class Layout(NamedTuple):
    """Size fields, and the stretches of index tables."""

    sizes: list[Field]
    tables: list[tuple[int, int]]


def layout(data: bytes) -> Layout:
    """What is known of a file's structure; nothing of a format that has none, such as a raw stream."""
    found = Layout([], [])
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        _boxes(data, 0, len(data), found)
    elif data.startswith(b"\x1a\x45\xdf\xa3"):
        _elements(data, 0, len(data), found)
    elif data.startswith((b"RIFF", b"FORM", b"RF64")):
        _chunks(data, 12, len(data), "little" if data[0:1] == b"R" else "big", found)
    elif data.startswith(KLV):
        _triplets(data, found)
    elif data.startswith(b"OggS"):
        found.sizes.extend(Field(at + 26, 1, "little", "page") for at in _each(data, b"OggS"))
        found.tables.extend((at + 27, at + 40) for at in _each(data, b"OggS"))
    elif data.startswith(b"FLV"):
        _tags(data, found)
    elif data.startswith(b"fLaC"):
        found.sizes.append(Field(5, 3, "big", "STREAMINFO"))
        found.tables.append((8, 42))
    elif data[:1] == b"\x47":
        found.sizes.extend(Field(at + 4, 1, "big", "adaptation") for at in range(0, len(data) - 188, 188))
        found.tables.append((0, 188 * 4))
    return Layout(
        [field for field in found.sizes if field.at + field.size <= len(data)],
        [(low, min(high, len(data))) for low, high in found.tables if low < len(data)],
    )


def _boxes(data: bytes, start: int, end: int, found: Layout) -> None:
    while start + 8 <= end:
        length, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        if length < 8 or start + length > end:
            return
        found.sizes.append(Field(start, 4, "big", kind.decode("latin-1")))
        if kind in PARENTS:
            _boxes(data, start + 8, start + length, found)
        elif kind in TABLES:
            found.tables.append((start + 8, start + length))
        start += length


def _elements(data: bytes, start: int, end: int, found: Layout) -> None:
    while start + 2 <= end and data[start]:
        name_size = 9 - data[start].bit_length()
        at = start + name_size
        if at >= end or not data[at]:
            return
        size = 9 - data[at].bit_length()
        name = int.from_bytes(data[start:at], "big")
        length = int.from_bytes(data[at : at + size], "big") & ((1 << 7 * size) - 1)
        inside, stop = at + size, min(end, at + size + length)
        found.sizes.append(Field(at, size, "big", f"{name:x}"))
        if name in (CUES, SEEK_HEAD):
            found.tables.append((inside, stop))
        if name in MASTERS:
            _elements(data, inside, stop, found)
        start = stop


def _chunks(data: bytes, start: int, end: int, order: Literal["big", "little"], found: Layout) -> None:
    while start + 8 <= end:
        name, length = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], order)
        found.sizes.append(Field(start + 4, 4, order, name.decode("latin-1")))
        if name == b"LIST":
            _chunks(data, start + 12, min(end, start + 8 + length), order, found)
        elif name in (b"idx1", b"fmt ", b"COMM", b"strh", b"strf", b"avih", b"indx"):
            found.tables.append((start + 8, min(end, start + 8 + length)))
        start += 8 + length + (length & 1)


def _triplets(data: bytes, found: Layout) -> None:
    for at in _each(data, KLV):
        if at + 20 < len(data):
            long = data[at + 16] & 0x80
            found.sizes.append(Field(at + 17 if long else at + 16, (data[at + 16] & 0x7F) or 1 if long else 1, "big", "klv"))
            if data[at + 1 : at + 16] == INDEX_SEGMENT:
                found.tables.append((at + 20, min(len(data), at + 220)))


def _tags(data: bytes, found: Layout) -> None:
    at = 13
    while at + 11 < len(data):
        length = int.from_bytes(data[at + 1 : at + 4], "big")
        found.sizes.append(Field(at + 1, 3, "big", f"tag {data[at]}"))
        found.tables.append((at + 4, at + 8))
        at += 15 + length


def _each(data: bytes, mark: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + len(mark))
