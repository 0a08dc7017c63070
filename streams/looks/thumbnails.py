"""Pictures of shots and findings, decoded when they are asked for, in a sandboxed child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction

from processors.sandbox import Child, Limits
from processors.thumbnails import Moments
from schemas.clock import Clock
from schemas.errors import ChildError, SourceChanged, Unprocessable
from schemas.events import ContentMetadata, Span
from streams.looks.timeline import finding_spans, pictured
from streams.settings import Settings

HANDLER = "processors.thumbnails:handle"
MOST_SHOTS = 60
MOST_FINDINGS = 40
WALL_SECONDS = 300.0
"""For all pictures of one asset; with it those that came in time are kept."""


@dataclass(frozen=True, slots=True, repr=False)
class Thumbnails:
    """JPEGs of ``shots`` (by number from 1) and ``findings`` (by id), and in ``notes`` what is missing and why."""

    shots: Mapping[int, bytes] = field(default_factory=dict)
    findings: Mapping[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Thumbnails({len(self.shots)} shots, {len(self.findings)} findings, {self.notes})"


def take(event: ContentMetadata, settings: Settings, *, handler: str = HANDLER) -> Thumbnails:
    """The pictures of an event, of its one analysed video stream. Never raises for a source: what is missing is noted.

    At most ``MOST_SHOTS`` and ``MOST_FINDINGS``, spread evenly. ``handler`` is what the child runs.
    """
    stream = next((s for s in event.technical.streams if s.kind == "video" and s.id in event.clocks), None)
    if stream is None:
        return Thumbnails()
    shots = [shot for shot in event.tracks.shots if shot.clock == stream.id]
    findings = [finding for finding in finding_spans(event) if finding.stream == stream.id]
    shot_places, finding_places = pictured(shots, MOST_SHOTS), pictured(findings, MOST_FINDINGS)
    spans: list[Span] = [*(shots[i] for i in shot_places), *(findings[i] for i in finding_places)]
    if not spans:
        return Thumbnails()
    clock = event.clocks[stream.id]
    moments = Moments(
        uri=event.asset.uri,
        version=event.asset.version,
        index=stream.index,
        spans=tuple((span.start + clock.origin_pts, span.end + clock.origin_pts) for span in spans),
        frame_ticks=_frame_ticks(clock),
        aspect=stream.sample_aspect_ratio or (1, 1),
        rotation=stream.rotation or 0,
    )
    found, note = _decode(moments, settings, handler)
    numbers = {id(shot): number for number, shot in enumerate(event.tracks.shots, start=1)}
    return Thumbnails(
        {numbers[id(shots[i])]: found[n] for n, i in enumerate(shot_places) if n in found},
        {findings[i].id: found[n] for n, i in enumerate(finding_places, start=len(shot_places)) if n in found},
        tuple(n for n in (note, _capped("shots", shots, MOST_SHOTS), _capped("findings", findings, MOST_FINDINGS)) if n),
    )


def _decode(moments: Moments, settings: Settings, handler: str) -> tuple[dict[int, bytes], str | None]:
    """Pictures by place in ``moments.spans``, and what went wrong. None are kept of an object that is another one by now."""
    found: dict[int, bytes] = {}
    request = {"moments": asdict(moments), "policy": asdict(settings.source_policy())}
    network = not moments.uri.startswith("file:")
    of = settings
    limits = Limits(WALL_SECONDS, of.decode_stall_seconds, of.decode_memory_bytes, of.decode_cpu_seconds, network)
    try:
        with Child(handler, limits) as child:
            for message in child.call(request):
                found[message.head["n"]] = message.body
    except SourceChanged as error:
        return {}, f"There are no pictures: the source has changed since it was analysed ({error})."
    except Unprocessable as error:
        return {}, f"There are no pictures: the source cannot be opened ({error})."
    except ChildError as error:
        return found, f"{len(moments.spans) - len(found)} pictures are missing: decoding them failed ({error})."
    missing = len(moments.spans) - len(found)
    return found, f"{missing} pictures could not be decoded." if missing else None


def _capped(what: str, all_of_them: Sequence[Span], most: int) -> str | None:
    if len(all_of_them) <= most:
        return None
    return f"There are pictures of {most} of the {len(all_of_them)} {what}, spread evenly."


def _frame_ticks(clock: Clock) -> int:
    if clock.frame_rate is None:
        return 1
    return max(1, round(1 / (Fraction(*clock.frame_rate) * Fraction(*clock.tick))))
