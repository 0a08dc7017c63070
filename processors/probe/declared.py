"""The container's view of its streams: what its headers state, and nothing that decoding or parsing the streams tells.

FFmpeg keeps one set of parameters a stream, in which decoders overwrite what containers say. So the object is opened once
more with no decoder and no parser allowed, and what PyAV does not hand on is read from the headers themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from processors.decode.colour import MATRICES, PRIMARIES, TRANSFERS
from processors.limits import MediaLimits
from processors.probe.headers import NOTHING, TrackHeader, track_headers
from processors.probe.words import RANGES, positive
from processors.source import Source, open_headers
from schemas.clock import Rational
from schemas.errors import Unprocessable
from schemas.plan import PictureFacts

RATED = frozenset({"mov", "matroska", "mxf", "avi", "asf", "gxf"})
"""Containers whose headers state a frame rate; in others FFmpeg derives one from the clock or from timestamps."""
RATE_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Declared:
    """What the container says of one stream. ``codec`` is FFmpeg's name, ``field_order`` FFmpeg's number (0: nothing)."""

    codec: str
    header: TrackHeader = NOTHING
    pictures: PictureFacts | None = None
    field_order: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """What the container says of its streams, by index."""

    streams: dict[int, Declared] = field(default_factory=dict)

    def of(self, stream: Any) -> Declared | None:
        """Of a stream, if it is the same one: streams that only reading packets shows are in no header."""
        found = self.streams.get(stream.index)
        return found if found is not None and found.codec == _codec(stream) else None

    def size(self, stream: Any) -> tuple[int, int]:
        """The stated size of a stream's pictures; zeros where there is none."""
        found = self.of(stream)
        return (found.pictures.size if found is not None and found.pictures is not None else None) or (0, 0)


def read_declared(source: Source, limits: MediaLimits) -> Container:
    """What the headers of an open source state. Leaves the source at some place."""
    try:
        container = open_headers(source, limits)
    except Unprocessable:
        return Container()  # what only packets tell is found by demuxing, or is not media at all
    with container:
        streams = list(container.streams)
        name = container.format.name
        ids = [(stream.type, stream.id) for stream in streams]
        headers = track_headers(source, source.size, name, ids) if source.size else [NOTHING] * len(ids)
        return Container({s.index: _declared(s, h, name) for s, h in zip(streams, headers, strict=True)})


def _declared(stream: Any, header: TrackHeader, container: str) -> Declared:
    if stream.type != "video" or stream.codec_context is None:
        return Declared(_codec(stream), header)
    context = stream.codec_context
    size: tuple[int, int] | None = (context.width, context.height) if context.width and context.height else None
    aspect = positive(stream.sample_aspect_ratio)
    if container == "mxf":
        size, aspect = header.size, header.pixel_aspect
    pictures = PictureFacts(
        size=size,
        pixel_aspect=aspect,
        frame_rate=_rate(stream, container),
        primaries=PRIMARIES.get(int(context.color_primaries)),
        transfer=TRANSFERS.get(int(context.color_trc)),
        matrix=MATRICES.get(int(context.colorspace)),
        range=RANGES.get(int(context.color_range)),
        mastering_display=header.mastering_display,
        light_levels=header.light_levels,
    )
    return Declared(_codec(stream), header, pictures, int(context.field_order))


def _rate(stream: Any, container: str) -> Rational | None:
    """Frames a second; an MXF stream's clock is its edit rate. The mean of unlike durations is no stated rate."""
    name = container.split(",")[0]
    if name == "mxf":
        return positive(1 / stream.time_base)
    mean, usual = stream.average_rate, stream.base_rate
    if name not in RATED or not mean or not usual or abs(float(mean / usual) - 1) > RATE_TOLERANCE:
        return None
    return positive(mean)


def _codec(stream: Any) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else ""
