"""A final event for people: what it says, in tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.events import ContentMetadata, Verdict
from schemas.technical import Compared, TechnicalStream
from streams.looks.timeline import when
from streams.looks.verdicts import STYLE as OUTCOME
from streams.looks.verdicts import limit

STATUS = {"complete": "green", "incomplete": "yellow", "unprocessable": "red"}


def show(console: Console, event: ContentMetadata, *, plots: RenderableType | None = None) -> None:
    """Print everything that an event says, in order of interest; ``plots`` come after the summary."""
    console.print(summary(event))
    if event.run.status == "unprocessable":
        return
    if plots is not None:
        console.print(plots)
    for part in (_streams(event), _findings(event), _measurements(event), _shots(event), _verdicts(event)):
        if part is not None:
            console.print(part)


def summary(event: ContentMetadata) -> RenderableType:
    """A panel: which asset, its status, how much of it was analysed, the verdicts in a line."""
    lines = [Text.assemble((event.run.status, STATUS[event.run.status]), f"  {event.asset.uri}")]
    if event.run.reason:
        lines.append(Text(event.run.reason, style=STATUS[event.run.status]))
    lines.append(Text(f"asset {event.asset.id}  run {event.run.id}", style="dim"))
    if event.coverage.video_frames:
        c = event.coverage.video_frames
        lines.append(Text(f"{c.analysed} of {c.expected} frames analysed, {c.concealed} concealed, {c.missing} missing"))
    chunks = event.coverage.chunks
    lines.append(Text(f"{len(event.findings)} findings, {_shot_count(event)} shots, {chunks.ok} of {chunks.expected} cells ok"))
    lines += [Text(f"gap in {g.stream}: {g.reason}", style="yellow") for g in event.coverage.gaps[:5]]
    lines += [Text.assemble(f"{v.profile}: ", (v.outcome, OUTCOME[v.outcome])) for v in event.verdicts]
    return Panel(Group(*lines), title="Dailies", title_align="left")


def _shot_count(event: ContentMetadata) -> int:
    elsewhere = event.tracks.elsewhere.get("shots")
    return len(event.tracks.shots) if elsewhere is None else elsewhere.count


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column.endswith(("value", "limit", "measured", "seconds")) else "left")
    return table


def _describe(stream: TechnicalStream) -> str:
    if stream.width is not None:
        return ", ".join(part for part in _picture(stream) if part)
    if stream.rate is not None:
        counted = f"{stream.channels} channels"
        layout = f" {stream.layout}" if stream.layout not in (None, counted) else ""
        inferred = " (inferred)" if stream.layout_source == "inferred" else ""
        return ", ".join(filter(None, (f"{stream.rate} Hz", counted + layout + inferred, stream.language)))
    return ""


def _picture(stream: TechnicalStream) -> Iterator[str]:
    """A picture stream's facts as the analysis went by them; the bitstream's word where both sides speak."""
    yield f"{stream.width}x{stream.height} {stream.pixel_format or ''}".rstrip()
    rate = _said(stream.frame_rate, "measured", "container", "bitstream")
    yield f"{rate[0] / rate[1]:.6g} fps" if rate else ""
    aspect = stream.sample_aspect_ratio
    yield f"pixels {aspect[0]}:{aspect[1]}" if aspect and aspect[0] != aspect[1] else ""
    colours = [_said(side) for side in (stream.primaries, stream.transfer, stream.matrix)]
    yield "/".join(colour or "?" for colour in colours) if any(colours) else ""
    yield f"{stream.colour_range} range" if stream.colour_range else ""
    yield stream.field_order if stream.field_order and stream.field_order != "progressive" else ""
    light = _said(stream.light_levels) or {}
    yield " ".join(f"{name} {light[key]}" for name, key in (("MaxCLL", "max_cll"), ("MaxFALL", "max_fall")) if light.get(key))
    timecode = _said(stream.start_timecode, "container", "bitstream")
    yield f"from {timecode}" if timecode else ""
    area = stream.active_area
    yield f"active {area.w}x{area.h}+{area.x}+{area.y}" if area else ""
    yield stream.language or ""


def _said(sides: Compared | None, *order: str) -> Any:
    """What the first side that speaks says."""
    said = (getattr(sides, side, None) for side in order or ("bitstream", "container"))
    return next((value for value in said if value is not None), None)


def _streams(event: ContentMetadata) -> RenderableType:
    table = _table("Streams", "stream", "codec", "format", "decision")
    for s in event.technical.streams:
        codec = " ".join(filter(None, (s.codec or "unknown", s.profile, s.level)))
        table.add_row(s.id, codec, _describe(s), s.decision + (f" ({s.reason})" if s.reason else ""))
    if not event.technical.presentations:
        return table
    heard = _table("Presentations", "presentation", "channels", "layout", "language", "known by")
    for p in event.technical.presentations:
        parts = " ".join(f"{part.stream}:{_channels(part.channels)}" for part in p.streams)
        heard.add_row(p.id, parts, p.layout or "", p.language or "", f"{p.source}: {p.reason}")
    return Group(table, heard)


def _channels(channels: tuple[int, ...]) -> str:
    """Channel numbers, as a range where they follow each other."""
    together = len(channels) > 1 and channels == tuple(range(channels[0], channels[-1] + 1))
    return f"{channels[0]}-{channels[-1]}" if together else ",".join(map(str, channels))


def _findings(event: ContentMetadata) -> Table | None:
    if not event.findings:
        return None
    table = _table("Findings", "when", "stream", "code", "what")
    for f in event.findings:
        table.add_row(when(f), f.stream, f.code, f.text)
    return table


def _measurements(event: ContentMetadata) -> Table | None:
    if not event.measurements:
        return None
    table = _table("Measurements", "stream", "what", "value", "unit", "")
    for m in event.measurements:
        name = m.id if m.channel is None else f"{m.id} (channel {m.channel})"
        value = "–" if m.value is None else f"{m.value:.6g}"
        note = m.reason or ("" if m.reliable else "not reliable")
        table.add_row(m.stream, name, value, m.unit, Text(note, style="dim"))
    return table


def _shots(event: ContentMetadata) -> Table | None:
    if not event.tracks.shots:
        return None
    table = _table("Shots", "#", "frames", "start seconds", "transition in")
    for number, shot in enumerate(event.tracks.shots, start=1):
        table.add_row(
            str(number), f"{shot.start_frame} – {shot.end_frame}", f"{shot.start_seconds:.3f}", shot.transition_in or ""
        )
    return table


def _verdicts(event: ContentMetadata) -> RenderableType | None:
    return Group(*[_verdict(v) for v in event.verdicts]) if event.verdicts else None


def _verdict(verdict: Verdict) -> Table:
    title = f"Verdict {verdict.profile}: {verdict.outcome}" + (f" ({verdict.reason})" if verdict.reason else "")
    table = _table(title, "rule", "stream", "measured", "limit", "outcome", "")
    for r in verdict.rules:
        measured = "–" if r.measured is None else f"{r.measured:.4g} {r.unit or ''}"
        outcome, note = Text(r.outcome, style=OUTCOME[r.outcome]), Text(r.reason or "", style="dim")
        where = " ".join(filter(None, (r.stream, r.presentation)))
        table.add_row(r.rule, where, measured, "–" if r.op == "none" else limit(r), outcome, note)
    return table
