"""What containers and decoders say about a stream, in the words of the plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import av
from av.stream import Disposition

from processors.decode.colour import MATRICES, PRIMARIES, TRANSFERS
from processors.probe.packets import Head
from processors.probe.video import Spacing
from processors.probe.words import RANGES, positive
from schemas.clock import Clock
from schemas.plan import AudioFormat, TimecodeSource, VideoFormat

TIMECODE = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d[:;.]\d\d\d?")
COMMON_RATES = tuple(
    Fraction(base * factor, divisor)
    for base, divisor in ((24000, 1001), (30000, 1001), (24, 1), (25, 1), (30, 1))
    for factor in (1, 2, 4)
)
RATE_TOLERANCE = 0.001
NEAR_TICKS = 0.5
"""Timestamps are rounded to ticks: in Matroska's milliseconds 41.7 ms read as 41 or 42."""
MAX_RATE_ERROR = 0.03
_COUNTED = re.compile(r"\d+ channels")


def video_format(stream: Any, head: Head) -> VideoFormat:
    """How the pictures are stored: the stream's own word, and the first decoded frame's where it has none."""
    context, frame = stream.codec_context, head.first
    pixel_format = context.pix_fmt or (frame.format.name if frame is not None else None)
    return VideoFormat(
        width=context.width or (frame.width if frame is not None else 0),
        height=context.height or (frame.height if frame is not None else 0),
        pixel_format=pixel_format,
        bit_depth=max(c.bits for c in av.VideoFormat(pixel_format).components) if pixel_format else None,
        sample_aspect_ratio=positive(stream.sample_aspect_ratio or context.sample_aspect_ratio),
        rotation=-int(frame.rotation) % 360 if frame is not None else 0,
        colour_range=RANGES.get(int(context.color_range)) or _full_by_name(pixel_format),
        primaries=PRIMARIES.get(int(context.color_primaries)),
        transfer=TRANSFERS.get(int(context.color_trc)),
        matrix=MATRICES.get(int(context.colorspace)),
    )


def _full_by_name(pixel_format: str | None) -> Literal["full"] | None:
    return "full" if pixel_format is not None and pixel_format.startswith("yuvj") else None


def audio_format(stream: Any, head: Head) -> AudioFormat | None:
    """How the samples are stored: as decoded, since some codecs decode to another rate than the container says."""
    source = head.first if head.first is not None else stream.codec_context
    rate, layout = source.sample_rate if head.first is not None else source.rate, source.layout
    if not rate or not layout.nb_channels:
        return None
    names = tuple(channel.name for channel in layout.channels)
    return AudioFormat(
        rate=rate,
        channels=layout.nb_channels,
        layout=layout.name,
        channel_names=() if "NONE" in names else names,
        sample_format=source.format.name if source.format is not None else None,
    )


def video_clock(stream: Any, start: Fraction, *, vfr: bool | None, spacing: Spacing | None, timecode: str | None) -> Clock:
    """A video stream's clock. ``start`` is the container's in seconds."""
    tick = stream.time_base
    rate = frame_rate(stream, spacing)
    return Clock(
        tick=(tick.numerator, tick.denominator),
        frame_rate=positive(rate),
        vfr=vfr,
        origin_pts=_origin(stream, start),
        start_timecode=timecode,
        drop_frame=";" in timecode if timecode else None,
    )


def _origin(stream: Any, start: Fraction) -> int:
    """The container's start in the stream's ticks; it is only known to the microsecond, which some ticks are finer than."""
    own = stream.start_time
    if own is not None and abs(own * stream.time_base - start) <= Fraction(1, 1_000_000):
        return int(own)
    ticks: int = round(start / stream.time_base)
    return ticks


def audio_clock(stream: Any, start: Fraction, rate: int, head: Head, first_pts: int | None) -> Clock:
    """A sound stream's clock: samples, counted from the first decoded one. ``first_pts`` is the first packet's."""
    return Clock(tick=(1, rate), origin_pts=round((start - first_sample(stream, head, first_pts)) * rate))


def first_sample(stream: Any, head: Head, first_pts: int | None) -> Fraction:
    """When the first decoded sample is heard, in seconds on the file's own clock."""
    frame = head.first
    if frame is not None and frame.pts is not None:
        return Fraction(frame.pts * (frame.time_base or stream.time_base))
    return Fraction((first_pts or 0) * stream.time_base)


def plain_clock(stream: Any, start: Fraction) -> Clock:
    """The clock of a stream that is not analysed."""
    tick = stream.time_base or Fraction(1, 90_000)
    return Clock(tick=(tick.numerator, tick.denominator), origin_pts=round(start / tick))


def frame_rate(stream: Any, spacing: Spacing | None) -> Fraction | None:
    """Frames a second: what the container says or a common rate, if frames are usually so far apart; else their mean."""
    said = [Fraction(rate) for rate in (stream.guessed_rate, stream.average_rate) if rate]
    if spacing is None:
        return said[0] if said else None
    usual = spacing.usual * stream.time_base
    near = max(RATE_TOLERANCE * usual, NEAR_TICKS * stream.time_base)
    for rate in (*said, *COMMON_RATES):
        if abs(1 / rate - usual) <= near and abs(float(rate * usual) - 1) < MAX_RATE_ERROR:
            return rate
    return Fraction(1 / (spacing.mean * float(stream.time_base))).limit_denominator(1001)


class StartTimecode(NamedTuple):
    """A timecode as FFmpeg writes it (``;`` before the frames marks drop frame), and where it stands."""

    text: str
    source: TimecodeSource


def start_timecode(stream: Any, others: Iterable[Any], container: Mapping[str, str]) -> StartTimecode | None:
    """The first frame's timecode: that of a timecode track, the stream's own, or the container's.

    FFmpeg copies a timecode track's to the streams that refer to it.
    """
    tracks = [other.metadata.get("timecode", "") for other in others if other.type == "data"]
    own = stream.metadata.get("timecode", "")
    found: list[tuple[str, TimecodeSource]] = [
        (own, "timecode track" if own in tracks else "stream"),
        *((text, "timecode track") for text in tracks),
        (container.get("timecode", ""), "container"),
    ]
    return next((StartTimecode(text, source) for text, source in found if TIMECODE.fullmatch(text)), None)


def layout_source(form: AudioFormat) -> Literal["declared", "inferred"]:
    """Whether the file names the channels. FFmpeg calls a layout of which only the number is known ``2 channels``."""
    return "inferred" if form.layout is None or _COUNTED.fullmatch(form.layout) else "declared"


def disposition(stream: Any) -> tuple[str, ...]:
    """FFmpeg's words for what a stream is for."""
    return tuple(sorted(str(flag.name) for flag in Disposition if flag & stream.disposition))
