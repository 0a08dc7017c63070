"""Audio presentations: the sets of channels that belong together, within a stream or across several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from schemas.plan import ChannelLabel, Plan, StreamPlan
from schemas.technical import Presentation, PresentationPart

SOUNDFIELDS = {
    "sgM": "mono",
    "sgDM": "dual mono",
    "sgST": "stereo",
    "sgLtRt": "Lt/Rt",
    **{f"sg{n}{lfe}": f"{n}.{lfe}" for n in range(3, 8) for lfe in (0, 1)},
}
"""Tags of soundfield groups (SMPTE ST 377-4, ST 2067-8) in the words of a layout; any other stays as it is."""
POSITIONED = {
    ("FL", "FR"): "stereo",
    ("FL", "FR", "FC"): "3.0",
    ("FL", "FR", "FC", "SL", "SR"): "5.0(side)",
    ("FL", "FR", "FC", "BL", "BR"): "5.0",
    ("FL", "FR", "FC", "LFE", "SL", "SR"): "5.1(side)",
    ("FL", "FR", "FC", "LFE", "BL", "BR"): "5.1",
    ("FL", "FR", "FC", "LFE", "SL", "SR", "BL", "BR"): "7.1",
    ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"): "7.1",
}
"""Orders in which a layout's channels follow each other as tracks of one channel each, with FFmpeg's names."""
TRACK_CONTAINERS = frozenset({"mxf", "mov"})
"""Containers in which programmes are exchanged with one channel a track."""

_LONGEST = max(map(len, POSITIONED))


@dataclass(frozen=True, slots=True)
class _Draft:
    parts: tuple[tuple[StreamPlan, tuple[int, ...]], ...]
    layout: str | None
    source: Literal["mca", "layout", "inferred"]
    reason: str
    language: str | None = None

    @property
    def place(self) -> tuple[int, int]:
        stream, channels = self.parts[0]
        return stream.index, channels[0]


def presentations(plan: Plan) -> tuple[Presentation, ...]:
    """The presentations of an asset's sound, ``p0`` first, in the order of their first channels.

    Multichannel audio labels come first, then declared channel layouts; what is left is inferred, with the reason: a
    stream's channels belong together, and unlabelled tracks of one channel are taken in pairs.
    """
    streams = [stream for stream in plan.streams if stream.audio is not None]
    labelled = [stream for stream in streams if stream.labels]
    drafts = list(_labelled(labelled))
    rest = [stream for stream in streams if not stream.labels]
    for single, run in groupby(rest, key=lambda stream: _channels(stream) == 1):
        together = list(run)
        drafts += _tracks(together, plan.container) if single else [_whole(stream) for stream in together]
    return tuple(_presentation(f"p{n}", draft) for n, draft in enumerate(sorted(drafts, key=lambda d: d.place)))


def presentation_of(found: Sequence[Presentation], stream: str, channel: int | None) -> str | None:
    """The id of the presentation that a stream, or one channel of it, is part of.

    ``None`` where a stream's channels are shared out among several: a figure of all of them belongs to none.
    """
    ids = {p.id for p in found for part in p.streams if part.stream == stream and (channel is None or channel in part.channels)}
    return ids.pop() if len(ids) == 1 else None


def _presentation(id: str, draft: _Draft) -> Presentation:
    languages = {stream.language for stream, _ in draft.parts}
    return Presentation(
        id=id,
        streams=tuple(PresentationPart(stream=stream.id, channels=channels) for stream, channels in draft.parts),
        layout=draft.layout,
        language=draft.language or (languages.pop() if len(languages) == 1 else None),
        source=draft.source,
        reason=draft.reason,
    )


def _channels(stream: StreamPlan) -> int:
    return stream.audio.channels if stream.audio is not None else 0


def _labelled(streams: Iterable[StreamPlan]) -> Iterator[_Draft]:
    groups: dict[str, list[tuple[StreamPlan, ChannelLabel]]] = {}
    for stream in streams:
        for label in stream.labels:
            if label.channel < _channels(stream):
                groups.setdefault(label.group or f"of {stream.id}", []).append((stream, label))
        named = {label.channel for label in stream.labels}
        bare = tuple(channel for channel in range(_channels(stream)) if channel not in named)
        if bare:
            yield _Draft(((stream, bare),), None, "inferred", "channels without a label in a stream with labels")
    for members in groups.values():
        parts: dict[str, tuple[StreamPlan, list[int]]] = {}
        for stream, label in members:
            parts.setdefault(stream.id, (stream, []))[1].append(label.channel)
        tag = next((label.soundfield for _, label in members if label.soundfield), None)
        symbols = " ".join(label.symbol for _, label in members)
        yield _Draft(
            tuple((stream, tuple(channels)) for stream, channels in parts.values()),
            SOUNDFIELDS.get(tag, tag) if tag is not None else None,
            "mca",
            f"labelled {symbols}",
            next((label.language for _, label in members if label.language), None),
        )


def _whole(stream: StreamPlan) -> _Draft:
    """All channels of one stream."""
    audio = stream.audio
    assert audio is not None
    every = ((stream, tuple(range(audio.channels))),)
    if stream.layout_source == "declared":
        return _Draft(every, audio.layout, "layout", "the stream names its channels")
    reason = {1: "one channel without a name", 2: "two channels without names are left and right"}
    return _Draft(every, layout(stream), "inferred", reason.get(audio.channels, "channels without names in one stream"))


def layout(stream: StreamPlan) -> str | None:
    """The declared layout; mono and stereo of one and two channels without names; else FFmpeg's word for their number."""
    if stream.audio is None:
        return None
    if stream.layout_source == "declared":
        return stream.audio.layout
    return {1: "mono", 2: "stereo"}.get(stream.audio.channels, stream.audio.layout)


def _tracks(streams: Sequence[StreamPlan], container: str) -> Iterator[_Draft]:
    """Streams of one channel each that follow each other."""
    at = 0
    while at < len(streams):
        draft = _positioned(streams[at:]) or _pair(streams[at : at + 2], container) or _whole(streams[at])
        yield draft
        at += len(draft.parts)


def _positioned(streams: Sequence[StreamPlan]) -> _Draft | None:
    """The longest known layout whose positions the next streams declare in order."""
    names = [stream.audio.channel_names for stream in streams[:_LONGEST] if stream.audio is not None]
    known = [name[0] if len(name) == 1 else "" for name in names]
    for length in range(len(known), 1, -1):
        if found := POSITIONED.get(tuple(known[:length])):
            return _Draft(_monos(streams[:length]), found, "layout", "tracks of one channel that name their positions")
    return None


def _pair(streams: Sequence[StreamPlan], container: str) -> _Draft | None:
    if len(streams) < 2 or container.split(",")[0] not in TRACK_CONTAINERS or not _alike(*streams):
        return None
    return _Draft(_monos(streams), "stereo", "inferred", "tracks of one channel without labels, in pairs as in EBU R 123")


def _alike(first: StreamPlan, second: StreamPlan) -> bool:
    """Whether two unlabelled tracks may be a pair: the same uncompressed sound, described in the same words."""
    pcm = all((stream.codec or "").startswith("pcm_") and stream.layout_source == "inferred" for stream in (first, second))
    facts = [(s.codec, s.audio.rate if s.audio else 0, s.language, s.title) for s in (first, second)]
    return pcm and facts[0] == facts[1]


def _monos(streams: Sequence[StreamPlan]) -> tuple[tuple[StreamPlan, tuple[int, ...]], ...]:
    return tuple((stream, (0,)) for stream in streams)
