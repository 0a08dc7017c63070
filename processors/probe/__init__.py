"""Probing: one demux-only pass over an object gives its index, from which everything is planned."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.stream import Disposition

from processors.limits import MediaLimits
from processors.probe.declared import Container, Declared, read_declared
from processors.probe.formats import (
    audio_clock,
    audio_format,
    disposition,
    first_sample,
    layout_source,
    plain_clock,
    start_timecode,
    video_clock,
    video_format,
)
from processors.probe.index import IndexedStream, KeyFrame, MediaIndex, VideoIndex
from processors.probe.languages import bcp47
from processors.probe.packets import NONE, Head, PacketTable, scan
from processors.probe.video import StreamFacts, picture_timing, plays, spacing, varies, video_index
from processors.probe.words import FIELD_ORDERS, level
from processors.source import Source, SourcePolicy, open_container, open_source
from schemas.errors import SourceChanged, Unprocessable
from schemas.plan import Timing

__all__ = ["IndexedStream", "KeyFrame", "MediaIndex", "VideoIndex", "probe", "probe_source"]

TRIES = 3
MAX_TITLE = 256
PROGRESSIVE = 1
FIELD_CODECS = frozenset({"h264", "mpeg2video", "vc1", "wmv3", "cavs"})
"""Codecs whose packets may hold single fields."""
PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
PREFIXES = {"video": "v", "audio": "a", "subtitle": "s", "data": "d"}


DEFAULT = MediaLimits()


def probe(uri: str, policy: SourcePolicy, limits: MediaLimits = DEFAULT) -> MediaIndex:
    """Index the object at a URI.

    Raises ``SourceRefused``, ``SourceMissing``, ``SourceChanged``, and ``Unprocessable`` with the reason ``empty``,
    ``not_media``, ``no_streams`` (nothing in it can be analysed), ``backend_missing``, ``no_ranges`` or one of the limits'.
    """
    for _ in range(TRIES):
        with suppress(SourceChanged), open_source(uri, policy) as source:
            index = probe_source(source, limits)
            if not source.changed():
                return index
    raise SourceChanged(f"{uri} changed each time while it was probed: it is still being written")


def probe_source(source: Source, limits: MediaLimits = DEFAULT) -> MediaIndex:
    """Index an open source."""
    declared = read_declared(source, limits)
    with open_container(source, limits) as container:
        streams = _Streams(container, declared, limits).indexed()
        index = MediaIndex(
            uri=source.uri,
            version=source.version,
            size=source.size,
            container=container.format.name,
            duration=container.duration / 1e6 if container.duration else None,
            bit_rate=container.bit_rate or None,
            streams=tuple(streams),
        )
    if not any(stream.decision == "analysed" for stream in index.streams):
        reasons = "; ".join(f"{s.id}: {s.reason}" for s in index.streams) or "it has no streams"
        raise Unprocessable(f"nothing in {source.uri} can be analysed: {reasons}", reason="no_streams")
    return index


class _Streams:
    """The streams of one container, with their packets read."""

    def __init__(self, container: InputContainer, declared: Container, limits: MediaLimits) -> None:
        self._container = container
        self._declared = declared
        self._limits = limits
        self._start = Fraction(container.start_time or 0, 1_000_000)
        self._all: list[Any] = list(container.streams)
        self._scanned: dict[int, tuple[PacketTable, Head]] = {}

    def indexed(self) -> list[IndexedStream]:
        readable = [s for s in self._all if _kind(s) in ("video", "audio") and s.codec_context is not None]
        self._scanned = scan(self._container, readable, self._limits)
        counts: Counter[str] = Counter()
        names = []
        for stream in self._all:
            prefix = PREFIXES.get(_kind(stream), "o")
            names.append(f"{prefix}{counts[prefix]}")
            counts[prefix] += 1
        for stream, name in zip(self._all, names, strict=True):
            if stream in readable and len(self._scanned[stream.index][0]):
                self._check(stream, name)
        best = self._best_video()
        return [self._index(stream, name, best) for stream, name in zip(self._all, names, strict=True)]

    def _check(self, stream: Any, name: str) -> None:
        """Hold a stream against the limits."""
        table, head = self._scanned[stream.index]
        if stream.type == "video":
            picture = video_format(stream, head)
            stated = self._declared.size(stream)  # FFmpeg itself forgets a size that it finds absurd
            self._limits.picture(name, picture.width or stated[0], picture.height or stated[1])
        elif (form := audio_format(stream, head)) is not None:
            self._limits.sound(name, form.rate, form.channels)
        self._limits.length(name, float(plays(table, pictures=stream.type == "video") * stream.time_base))

    def _best_video(self) -> Any:
        """The video stream with the most pixels in all: pixels of a picture times packets; the first of equal ones."""
        candidates = [s for s in self._all if _kind(s) == "video" and self._fault(s) is None]

        def pixels(stream: Any) -> int:
            context = stream.codec_context
            return int(context.width * context.height * len(self._scanned[stream.index][0]))

        return max(candidates, key=pixels, default=None)

    def _fault(self, stream: Any) -> str | None:
        """Why a picture or sound stream cannot be analysed."""
        if stream.codec_context is None:
            return "unknown codec"
        table, head = self._scanned[stream.index]
        if not len(table):
            return "no packets"
        if stream.type == "audio":
            return "no sample rate or no channels found" if audio_format(stream, head) is None else None
        picture = video_format(stream, head)
        return None if picture.width and picture.height else "no picture size found"

    def _index(self, stream: Any, name: str, best: Any) -> IndexedStream:
        kind = _kind(stream)
        reason = _not_read(stream, kind) or self._fault(stream)
        if reason is None and kind == "video" and stream is not best:
            reason = "not the best video stream"
        facts: dict[str, Any] = {"id": name, "index": stream.index, "kind": kind}
        facts |= self._described(stream, self._declared.of(stream))
        if stream.index in self._scanned:
            facts |= self._measured(stream)
        facts |= {"clock": plain_clock(stream, self._start), "decision": "skipped", "reason": reason}
        if reason is None:
            facts |= {"decision": "analysed"} | (self._video(stream) if kind == "video" else self._audio(stream))
        return IndexedStream(**facts)

    def _described(self, stream: Any, declared: Declared | None) -> dict[str, Any]:
        """What the stream is called and what it is for, in the container's words and the codec's."""
        tag = declared.header.language if declared is not None else None
        facts: dict[str, Any] = {
            "language": bcp47(tag or stream.metadata.get("language")),
            "title": stream.metadata.get("title", "")[:MAX_TITLE] or None,
            "disposition": disposition(stream),
            "labels": declared.header.labels if declared is not None else (),
        }
        if stream.codec_context is not None:
            codec = stream.codec_context.codec.canonical_name
            facts |= {"codec": codec, "profile": stream.codec_context.profile}
            if _kind(stream) == "video":
                order = declared.field_order if declared is not None and declared.field_order else 0
                facts["level"] = level(codec, stream.codec_context.level)
                facts["field_order"] = FIELD_ORDERS.get(order or int(stream.codec_context.field_order))
                facts["declared"] = declared.pictures if declared is not None else None
        return facts

    def _measured(self, stream: Any) -> dict[str, Any]:
        """Duration in seconds and bit rate, from the packets where the container is silent."""
        table, head = self._scanned[stream.index]
        duration = float(stream.duration * stream.time_base) if stream.duration else None
        known = table.pts[table.pts != NONE]
        if duration is None and len(known):
            duration = float((int(known.max()) - int(known.min()) + int(table.duration[-1])) * stream.time_base)
        rate = stream.codec_context.bit_rate or (round(table.bytes * 8 / duration) if duration else None)
        return {"duration": duration, "bit_rate": rate, "signalled": head.signal.facts}

    def _video(self, stream: Any) -> dict[str, Any]:
        table, head = self._scanned[stream.index]
        context = stream.codec_context
        timecode = start_timecode(stream, self._all, self._container.metadata)
        clock = video_clock(
            stream,
            self._start,
            vfr=varies(table),
            spacing=spacing(table),
            timecode=timecode.text if timecode is not None else None,
        )
        facts = StreamFacts(
            container=self._container.format.name,
            tick=float(stream.time_base),
            fields=context.codec.canonical_name in FIELD_CODECS and int(context.field_order) != PROGRESSIVE,
            head=tuple(head.pts),
            damaged=head.errors > 0,
        )
        index = video_index(table, facts)
        signalled = head.signal.facts
        if signalled is not None and (index.undecodable or head.errors):  # of a picture that is not the first
            signalled = signalled.model_copy(update={"start_timecode": None})
        return {
            "clock": clock,
            "timecode_source": timecode.source if timecode is not None else None,
            "video": video_format(stream, head),
            "signalled": signalled,
            "index_of_video": index,
            "timing": picture_timing(table, index, stream.time_base),
        }

    def _audio(self, stream: Any) -> dict[str, Any]:
        table, head = self._scanned[stream.index]
        form = audio_format(stream, head)
        assert form is not None
        known = table.pts[table.pts != NONE]
        first = int(known[0]) if len(known) else None
        clock = audio_clock(stream, self._start, form.rate, head, first)
        timing = Timing(first=float(first_sample(stream, head, first)))
        return {"clock": clock, "audio": form, "layout_source": layout_source(form), "timing": timing}


def _kind(stream: Any) -> str:
    """The plan's word for what a stream is; a cover picture is no video."""
    if stream.type == "video" and stream.disposition & PICTURES:
        return "other"
    return stream.type if stream.type in PREFIXES else "other"


def _not_read(stream: Any, kind: str) -> str | None:
    if kind in ("video", "audio"):
        return None
    if stream.type == "video":
        return "attached picture"
    return f"{stream.type} streams are not analysed"
