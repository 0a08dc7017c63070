"""Track headers of MXF (SMPTE ST 377-1): sampled size, pixel aspect, mastering display and audio labels of the descriptors.

FFmpeg takes a picture's size from the stored rectangle, which may hold lines that no decoder gives (1088 of H.264's); that
is the sampled one. Labels are SMPTE ST 377-4's, mastering displays SMPTE ST 2067-21's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from processors.probe.headers.track import CHROMATICITY, LUMINANCE, Readable, TrackHeader, light_levels, mastering, read_at
from processors.probe.languages import bcp47
from schemas.clock import Rational
from schemas.plan import ChannelLabel, MasteringDisplay

MAX_RUN_IN = 1 << 16
MAX_HEADER, MAX_FILL = 16 << 20, 1 << 16
"""Bytes of header metadata that are read, and of fillers that it does not count."""
MAX_CHANNELS = 64
MAX_TEXT = 128
"""Bytes of a label's tag or language."""

PARTITION = bytes.fromhex("060e2b34020501010d01020101")
PRIMER = bytes.fromhex("060e2b34020501010d01020101050100")
SET = bytes.fromhex("060e2b34025301010d0101010101")
METADATA = bytes.fromhex("060e2b3402")
"""Sets and packs; essence has 01 there."""
FILL = bytes.fromhex("03010210")
"""Bytes 8 to 11 of a filler's key, whose version varies before them."""
PICTURES, SOUNDS = frozenset({0x27, 0x28, 0x29, 0x51}), frozenset({0x42, 0x47, 0x48})
"""Byte 14 of the keys of generic, CDCI, RGBA and MPEG-2 picture and of generic, AES3 and wave sound descriptors."""
CHANNEL_LABEL, SOUNDFIELD_LABEL = 0x6B, 0x6C

INSTANCE, LINKED_TRACK = "3c0a", "3006"
STORED, SAMPLED, SHOWN = ("3203", "3202"), ("3205", "3204"), ("3209", "3208")
LAYOUT, ASPECT = "320c", "320e"
FIELD_LAYOUTS = frozenset({1, 4})
"""Separate fields and segmented frames: heights are those of a field."""

_MASTERING = "060e2b340101010e0420040101"
PRIMARIES, WHITE, BRIGHTEST, DARKEST = (f"{_MASTERING}{n:02x}0000" for n in (1, 2, 3, 4))
MAX_CLL, MAX_FALL = (f"060e2b340101010e0e200401050301{n:02x}" for n in (1, 2))
"""Apple's, which others write too."""
SUB_DESCRIPTORS = "060e2b34010101090601010406100000"
_LABEL = "060e2b340101010e010307"
SYMBOL, LINK, GROUP_LINK = (f"{_LABEL}01{n:02x}000000" for n in (2, 5, 6))
CHANNEL = "060e2b340101010e0103040a00000000"
SPOKEN = "060e2b340101010d0301010203150000"


@dataclass(frozen=True, slots=True)
class MetadataSet:
    """One set of header metadata: byte 14 of its key, and its items by universal label, or local tag where that is static."""

    kind: int
    items: dict[str, bytes]

    def integer(self, name: str) -> int | None:
        """An unsigned integer."""
        data = self.items.get(name)
        return int.from_bytes(data, "big") if data and len(data) <= 8 else None


def tracks(source: Readable, size: int) -> list[TrackHeader]:
    """The headers of the picture and sound tracks, each kind in the order of track numbers."""
    sets = list(_sets(_header(source)))
    by_instance = {s.items[INSTANCE]: s for s in sets if INSTANCE in s.items}
    groups = {s.items[LINK]: s for s in sets if s.kind == SOUNDFIELD_LABEL and LINK in s.items}
    ordered = sorted(sets, key=lambda s: s.integer(LINKED_TRACK) or 0)
    pictures = [_picture(s) for s in ordered if s.kind in PICTURES]
    return pictures + [_sound(s, by_instance, groups) for s in ordered if s.kind in SOUNDS]


def _header(source: Readable) -> bytes:
    """The header partition: its pack, the primer pack and the sets."""
    start = read_at(source, 0, MAX_RUN_IN + len(PARTITION)).find(PARTITION)
    if start < 0:
        return b""
    value = next((value for _, value in _triplets(read_at(source, start, MAX_FILL))), b"")
    size = int.from_bytes(value[32:40], "big")  # of primer and sets
    return read_at(source, start, min(size + MAX_FILL, MAX_HEADER))


def _sets(data: bytes) -> Iterator[MetadataSet]:
    names: dict[str, str] = {}
    for key, value in _triplets(data):
        if key == PRIMER:
            count = min(int.from_bytes(value[:4], "big"), (len(value) - 8) // 18)
            rows = (value[8 + 18 * i : 26 + 18 * i] for i in range(count))
            names = {row[:2].hex(): row[2:].hex() for row in rows}
        elif key.startswith(SET):
            yield MetadataSet(key[14], {_name(tag, names): item for tag, item in _items(value)})
        elif not key.startswith(METADATA) and key[8:12] != FILL:
            return


def _name(tag: str, names: dict[str, str]) -> str:
    """Tags from 8000 on are given by the primer, those below are the same in every file."""
    return names.get(tag, tag) if tag >= "8000" else tag


def _triplets(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 17 <= len(data):
        key, length, at = data[at : at + 16], data[at + 16], at + 17
        if length & 0x80:
            size_bytes = length & 0x7F
            length, at = int.from_bytes(data[at : at + size_bytes], "big"), at + size_bytes
        if at + length > len(data):
            return
        yield key, data[at : at + length]
        at += length


def _items(value: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at + 4 <= len(value):
        length = int.from_bytes(value[at + 2 : at + 4], "big")
        yield value[at : at + 2].hex(), value[at + 4 : at + 4 + length]
        at += 4 + length


def _picture(descriptor: MetadataSet) -> TrackHeader:
    sampled = _rectangle(descriptor, SAMPLED) or _rectangle(descriptor, STORED)
    shown = _rectangle(descriptor, SHOWN) or sampled
    return TrackHeader(
        "video",
        size=sampled,
        pixel_aspect=_pixel_aspect(descriptor.items.get(ASPECT, b""), shown),
        mastering_display=_mastering(descriptor),
        light_levels=light_levels(descriptor.integer(MAX_CLL), descriptor.integer(MAX_FALL)),
    )


def _rectangle(descriptor: MetadataSet, names: tuple[str, str]) -> tuple[int, int] | None:
    width, height = (descriptor.integer(name) for name in names)
    lines = 2 if descriptor.integer(LAYOUT) in FIELD_LAYOUTS else 1
    return (width, height * lines) if width and height else None


def _pixel_aspect(picture: bytes, shown: tuple[int, int] | None) -> Rational | None:
    """From the shown rectangle's aspect ratio, as 32-bit numerator and denominator."""
    if len(picture) != 8 or shown is None:
        return None
    wide, high = struct.unpack(">2I", picture)
    if not wide or not high:
        return None
    aspect = Fraction(wide * shown[1], high * shown[0])
    return aspect.numerator, aspect.denominator


def _mastering(descriptor: MetadataSet) -> MasteringDisplay | None:
    stated = descriptor.items.get(PRIMARIES, b"")[:12].ljust(12, b"\0") + descriptor.items.get(WHITE, b"")[:4].ljust(4, b"\0")
    xy = [value / CHROMATICITY for value in struct.unpack(">8H", stated)]
    points = dict(zip(("red", "green", "blue", "white"), zip(xy[::2], xy[1::2], strict=True), strict=True))
    low, high = descriptor.integer(DARKEST), descriptor.integer(BRIGHTEST)
    return mastering(points, None if low is None else low / LUMINANCE, None if high is None else high / LUMINANCE)


def _sound(descriptor: MetadataSet, by_instance: dict[bytes, MetadataSet], groups: dict[bytes, MetadataSet]) -> TrackHeader:
    references = descriptor.items.get(SUB_DESCRIPTORS, b"")[8:]
    inside = [by_instance.get(references[at : at + 16]) for at in range(0, 16 * MAX_CHANNELS * 2, 16)]
    found = [_label(s, groups) for s in inside if s is not None and s.kind == CHANNEL_LABEL and SYMBOL in s.items]
    labels = tuple(sorted(found, key=lambda label: label.channel))
    return TrackHeader("audio", language=next((v.language for v in labels if v.language), None), labels=labels)


def _label(label: MetadataSet, groups: dict[bytes, MetadataSet]) -> ChannelLabel:
    link = label.items.get(GROUP_LINK)
    group = groups.get(link) if link is not None else None
    language = label.items.get(SPOKEN) or (group.items.get(SPOKEN) if group is not None else None)
    return ChannelLabel(
        channel=max(1, label.integer(CHANNEL) or 1) - 1,
        symbol=_text(label.items[SYMBOL]),
        group=link[:16].hex() if link is not None else None,
        soundfield=_text(group.items.get(SYMBOL, b"")) or None if group is not None else None,
        language=bcp47(_text(language)) if language is not None else None,
    )


def _text(data: bytes) -> str:
    """UTF-16 as ST 377-1 has it, or the 7-bit characters of a language tag."""
    coding = "utf-16-be" if len(data) > 1 and data[0] == 0 else "ascii"
    return data[:MAX_TEXT].decode(coding, "replace").split("\0")[0]
