"""An event as one HTML page that stands alone: no other file, no other host, and nothing in it that an event could run.

Every string is escaped by Jinja2's autoescape or, in data for scripts, by :func:`data`. Were one to slip through, the
page's policy lets only the page's own scripts run, by their hashes, and nothing be fetched.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import orjson
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from processors.profiles.model import allowed
from schemas.clock import parse_timecode
from schemas.events import ContentMetadata, RuleResult, Shot, Span
from schemas.technical import TechnicalStream
from streams.looks.curves import Curves
from streams.looks.figure import ORIGIN, figure, milliseconds
from streams.looks.terminal import clock_time
from streams.looks.thumbnails import Thumbnails
from streams.looks.timeline import Judgement, Timeline, judgements, name_of, timeline, when

IN_SCRIPTS = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
"""What could end a script, as JSON writes it otherwise; these stand in strings alone."""


def page(event: ContentMetadata, curves: Curves, thumbnails: Thumbnails) -> str:
    """The page. ``curves`` and ``thumbnails`` say themselves what is missing of them."""
    time = timeline(event)
    drawn = figure(event, time, curves.curves) if event.clocks else None
    scripts = [_asset("page.js")] if drawn is None else [_plotly(), _asset("page.js")]
    text: str = _template().render(
        event=event,
        name=name_of(event),
        css=Markup(_asset("page.css")),
        policy=policy(scripts),
        scripts=[Markup(script) for script in scripts],
        figure=None if drawn is None else data({"traces": drawn.traces, "layout": drawn.layout}),
        settings=data(_settings(event, time)),
        facts=list(_facts(event)),
        notes=[*thumbnails.notes, *curves.notes] if event.clocks else [],
        pictures=_pictures(event, thumbnails),
        findings=_findings(event, thumbnails),
        finding_pictures=bool(thumbnails.findings),
        shots=[_shot(number, shot) for number, shot in enumerate(event.tracks.shots, start=1)],
        gaps=[f"{lane.stream}: {bar.label} not analysed: {bar.text}" for lane in time.gaps for bar in lane.bars],
        streams=[_stream(stream) for stream in event.technical.streams],
        correlation=[(key, str(value)) for key, value in event.correlation.model_dump().items() if value is not None],
    )
    return text


def data(value: Any) -> Markup:
    """JSON for a script element that holds data: whatever its strings hold, it ends where it should."""
    text = orjson.dumps(value).decode()
    return Markup(text.translate(IN_SCRIPTS))


def policy(scripts: Iterable[str]) -> str:
    """The content security policy of a page with these scripts: they run, nothing else does, and nothing is fetched."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@functools.cache
def _asset(name: str) -> str:
    return resources.files("streams.looks").joinpath("page", name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs  # 5 MB, which the other commands do without

    script: str = get_plotlyjs()
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("this release of plotly.js cannot stand in a page")
    return script


@functools.cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {"figure": _figure, "limit": _limit, "words": lambda outcome: outcome.replace("_", " ")}
    return environment.from_string(_asset("page.html.jinja"))


def _settings(event: ContentMetadata, time: Timeline) -> dict[str, Any]:
    return {"start_ms": _ms(time.start), "end_ms": _ms(time.end), "origin": ORIGIN, "clock": _clock(event)}


def _ms(seconds: float) -> int:
    return int(milliseconds(seconds))


def _clock(event: ContentMetadata) -> dict[str, Any] | None:
    """What the page needs to name a time by timecode; None where frames have none."""
    name, clock = next(((n, c) for n, c in event.clocks.items() if c.timecode(0) is not None), (None, None))
    if clock is None or clock.frame_rate is None:
        return None
    nominal = max(1, round(clock.frame_rate[0] / clock.frame_rate[1]))
    drop = bool(clock.drop_frame) and nominal % 30 == 0
    first = parse_timecode(clock.start_timecode, nominal, drop) if clock.start_timecode else 0
    spans: list[Span] = [s for s in (*event.tracks.shots, *event.findings) if s.clock == name and s.start_frame is not None]
    # Frame 0 may be later than the container's start; any frame of which number and time are known tells when it is.
    zero = spans[0].start_seconds - (spans[0].start_frame or 0) * clock.frame_rate[1] / clock.frame_rate[0] if spans else 0.0
    return {"rate": clock.frame_rate, "nominal": nominal, "drop": drop, "first": first, "start_ms": round(zero * 1000, 3)}


def _facts(event: ContentMetadata) -> Iterator[tuple[str, str]]:
    if event.technical.duration is not None:
        yield "Duration", f"{clock_time(event.technical.duration)} ({event.technical.duration:.3f} s)"
    if event.technical.container:
        yield "Container", event.technical.container
    if event.asset.bytes is not None:
        yield "Size", f"{event.asset.bytes / 1e6:,.1f} MB"
    if (frames := event.coverage.video_frames) is not None:
        yield "Frames analysed", f"{frames.analysed:,} of {frames.expected:,}"
    if event.clocks:
        yield "Cells", f"{event.coverage.chunks.ok:,} of {event.coverage.chunks.expected:,}"
        yield "Shots", f"{len(event.tracks.shots):,}"
        yield "Findings", f"{len(event.findings):,}"
    for m in event.measurements:
        if m.id in ("loudness.integrated", "loudness.true_peak") and m.value is not None:
            yield f"{'Loudness' if m.id.endswith('integrated') else 'True peak'} {m.stream}", f"{m.value:.1f} {m.unit}"


def _pictures(event: ContentMetadata, thumbnails: Thumbnails) -> list[dict[str, Any]]:
    shots = event.tracks.shots
    return [
        {**_span(shots[number - 1].start_seconds, shots[number - 1].end_seconds), "number": number, "picture": _jpeg(jpeg)}
        | {"at": shots[number - 1].start_tc or f"{shots[number - 1].start_seconds:.3f} s"}
        for number, jpeg in sorted(thumbnails.shots.items())
    ]


def _findings(event: ContentMetadata, thumbnails: Thumbnails) -> list[dict[str, Any]]:
    judged = judgements(event)
    rows = []
    for f in event.findings:
        jpeg = thumbnails.findings.get(f.id)
        row: dict[str, Any] = {"id": f.id, "when": when(f), "stream": f.stream, "code": f.code, "text": f.text}
        row |= {"judgement": judged.get(f.id, Judgement()), "picture": _jpeg(jpeg) if jpeg else None}
        rows.append(row | _span(f.start_seconds, f.end_seconds))
    return rows


def _shot(number: int, shot: Shot) -> dict[str, Any]:
    return {
        **_span(shot.start_seconds, shot.end_seconds),
        "number": number,
        "when": when(shot),
        "seconds": shot.end_seconds - shot.start_seconds,
        "frames": "" if shot.start_frame is None else f"{shot.start_frame} – {shot.end_frame}",
        "transition": shot.transition_in or "",
        "confidence": "" if shot.confidence is None else f"{shot.confidence:.2f}",
    }


def _span(start: float, end: float) -> dict[str, Any]:
    return {"start": _ms(start), "end": _ms(end)}


def _jpeg(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _stream(stream: TechnicalStream) -> dict[str, Any]:
    """A stream with everything that is known of it as ``name value`` pairs, whatever fields there are."""
    known = stream.model_dump(exclude={"id", "index", "kind", "codec", "decision", "reason"}, exclude_none=True)
    facts = ", ".join(f"{name.replace('_', ' ')} {_words(value)}" for name, value in known.items() if value not in ((), {}, []))
    decision = stream.decision + (f" ({stream.reason})" if stream.reason else "")
    return {"id": stream.id, "kind": stream.kind, "codec": stream.codec or "unknown", "facts": facts, "decision": decision}


def _words(value: Any) -> str:
    match value:
        case Mapping():
            return "(" + ", ".join(f"{name} {_words(inner)}" for name, inner in value.items() if inner is not None) + ")"
        case float():
            return f"{value:.6g}"
        case str() | int():
            return str(value)
        case Sequence():
            return ":".join(_words(inner) for inner in value)
        case _:
            return str(value)


def _figure(value: float | None, unit: str | None) -> str:
    return "–" if value is None else f"{value:.5g} {unit or ''}".rstrip()


def _limit(rule: RuleResult) -> str:
    return allowed(rule.op, rule.limit, rule.values, rule.tolerance, rule.unit)
