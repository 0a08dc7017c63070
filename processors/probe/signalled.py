"""The bitstream's view of its pictures: what a decoder says that is told nothing of the container."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import av
import av.error
from av.packet import Packet
from av.sidedata.sidedata import Type

from processors.decode.colour import MATRICES, PRIMARIES, TRANSFERS
from processors.probe.headers.track import light_levels, mastering
from processors.probe.words import RANGES, positive
from schemas.plan import MasteringDisplay, PictureFacts

SELF_DESCRIBING = frozenset(
    {"h264", "hevc", "vvc", "av1", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "cavs"}
    | {"prores", "dnxhd", "dvvideo", "jpeg2000", "theora"}
)
"""Codecs whose bitstream says what its pictures are; a decoder of another one must be told."""
MAX_PACKETS = 300
MASTERING = struct.Struct("@20i2i")
"""``AVMasteringDisplayMetadata``: ten rationals (x and y of red, green, blue and white, luminances), two flags."""


@dataclass(slots=True)
class Signal:
    """Decodes a stream's packets until the first picture, which the facts are taken from."""

    facts: PictureFacts | None = None
    _context: Any = None
    _fed: int = 0

    @classmethod
    def of(cls, context: Any) -> Signal:
        """For the stream of a decoder that has not been opened yet."""
        if context.type != "video" or context.codec.canonical_name not in SELF_DESCRIBING:
            return cls()
        blank = av.CodecContext.create(context.codec.name, "r")
        blank.extradata = context.extradata
        blank.thread_type, blank.thread_count = "NONE", 1
        return cls(None, blank)

    def feed(self, packet: Packet[Any] | None) -> None:
        """See the next packet; ``None`` at the stream's end."""
        if self._context is None:
            return
        try:
            frames = self._context.decode(packet)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            frames = []
        self._fed += 1
        if frames:
            self.facts = picture_facts(self._context, frames[0])
        if frames or packet is None or self._fed >= MAX_PACKETS:
            self._context = None


def picture_facts(context: Any, frame: Any) -> PictureFacts:
    """What a decoder says after its first frame."""
    data = _side_data(frame)
    return PictureFacts(
        size=(frame.width, frame.height),
        pixel_aspect=positive(context.sample_aspect_ratio),
        frame_rate=positive(context.framerate),
        primaries=PRIMARIES.get(int(frame.color_primaries)),
        transfer=TRANSFERS.get(int(frame.color_trc)),
        matrix=MATRICES.get(int(frame.colorspace)),
        range=RANGES.get(int(frame.color_range)),
        mastering_display=_mastering(data.get(Type.MASTERING_DISPLAY_METADATA, b"")),
        light_levels=light_levels(*struct.unpack_from("@2I", data.get(Type.CONTENT_LIGHT_LEVEL, b"").ljust(8, b"\0"))),
        start_timecode=_smpte(data.get(Type.S12M_TIMECODE, b"")) or _gop(data.get(Type.GOP_TIMECODE, b"")),
    )


def _side_data(frame: Any) -> dict[Any, bytes]:
    try:
        return {entry.type: bytes(entry) for entry in frame.side_data}
    except ValueError:  # PyAV hands on nothing at all where one entry is of a type that it does not know
        return {}


def _mastering(data: bytes) -> MasteringDisplay | None:
    if len(data) < MASTERING.size:
        return None
    *terms, has_primaries, has_luminance = MASTERING.unpack_from(data)
    values = [over / under if under > 0 else 0.0 for over, under in zip(terms[::2], terms[1::2], strict=True)]
    pairs = zip(values[:8:2], values[1:8:2], strict=True)
    points = dict(zip(("red", "green", "blue", "white"), pairs, strict=True)) if has_primaries else {}
    return mastering(points, *((values[8], values[9]) if has_luminance else (None, None)))


def _smpte(data: bytes) -> str | None:
    """The first of a picture's timecodes as SMPTE ST 12-1 packs them: binary-coded decimals in 32 bits."""
    if len(data) < 8 or not 0 < struct.unpack_from("@I", data)[0] <= 3:
        return None
    word = struct.unpack_from("@I", data, 4)[0]
    frames, seconds, minutes, hours = (_decimal(word >> at, mask) for at, mask in ((24, 3), (16, 7), (8, 7), (0, 3)))
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if word >> 30 & 1 else ':'}{frames:02d}"


def _decimal(bits: int, tens: int) -> int:
    return (bits >> 4 & tens) * 10 + (bits & 15)


def _gop(data: bytes) -> str | None:
    """``time_code`` of an MPEG-2 group of pictures (ISO/IEC 13818-2, 6.3.8): 25 bits."""
    if len(data) < 8:
        return None
    word = struct.unpack_from("@q", data)[0]
    hours, minutes, seconds, frames = word >> 19 & 31, word >> 13 & 63, word >> 6 & 63, word & 63
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if word >> 24 & 1 else ':'}{frames:02d}"
