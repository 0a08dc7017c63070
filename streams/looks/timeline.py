"""What happens when, as bars on lanes: shots, findings by stream and code, and what was not analysed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from schemas.events import ContentMetadata, Finding, Gap, RuleResult, Severity, Span

Weight = Literal["fail", "review", "noted"]
"""How much a finding matters: the worst outcome of a rule that names it; ``noted`` where none does, but for advice."""

SEVERITIES: tuple[Severity, ...] = ("blocker", "major", "minor", "info")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the profiles make of one finding. ``rules`` name those that mind it, each with its profile."""

    weight: Weight = "noted"
    severity: Severity | None = None
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time on a lane, in seconds since the container's start; ``label`` is its time as people write it.

    ``key`` is the finding's id, or the shot's number from 1.
    """

    key: str
    start: float
    end: float
    label: str
    text: str
    judgement: Judgement = Judgement()


@dataclass(frozen=True, slots=True)
class Lane:
    """Bars of one kind in order of time. ``code`` is a finding's code, ``shots`` or ``not analysed``."""

    stream: str
    code: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """All lanes on one axis from ``start`` to ``end`` (seconds, ``end`` after ``start``)."""

    start: float
    end: float
    shots: tuple[Lane, ...]
    findings: tuple[Lane, ...]
    gaps: tuple[Lane, ...]


def name_of(event: ContentMetadata) -> str:
    """The asset's name for people: the last part of its URI, else its id."""
    return PurePosixPath(event.asset.uri.partition("?")[0]).name or event.asset.id


def judgements(event: ContentMetadata) -> dict[str, Judgement]:
    """What the profiles make of each finding that a rule names, by the finding's id."""
    named: dict[str, list[tuple[str, RuleResult]]] = {}
    for verdict in event.verdicts:
        for rule in verdict.rules:
            for finding in rule.findings:
                named.setdefault(finding, []).append((verdict.profile, rule))
    return {finding: _judgement(rules) for finding, rules in named.items()}


def _judgement(rules: Sequence[tuple[str, RuleResult]]) -> Judgement:
    minding = [(profile, rule) for profile, rule in rules if rule.outcome in ("fail", "review")]
    if not minding:
        return Judgement()
    deciding = {rule.outcome for _, rule in minding if rule.severity != "info"}
    weight: Weight = "fail" if "fail" in deciding else "review" if deciding else "noted"
    severity = min((rule.severity for _, rule in minding), key=SEVERITIES.index)
    return Judgement(weight, severity, tuple(f"{profile}: {rule.rule}" for profile, rule in minding))


def timeline(event: ContentMetadata) -> Timeline:
    """The lanes of an event. Lanes of findings are in order of stream and code."""
    judged = judgements(event)
    shots: dict[str, list[Bar]] = {}
    for number, shot in enumerate(event.tracks.shots, start=1):
        shots.setdefault(shot.clock, []).append(
            Bar(str(number), shot.start_seconds, shot.end_seconds, when(shot), f"shot {number}")
        )
    found: dict[tuple[str, str], list[Bar]] = {}
    for f in event.findings:
        bar = Bar(f.id, f.start_seconds, f.end_seconds, when(f), f.text, judged.get(f.id, Judgement()))
        found.setdefault((f.stream, f.code), []).append(bar)
    start, end = _extent(event)
    gaps: dict[str, list[Bar]] = {}
    for gap in event.coverage.gaps:
        gaps.setdefault(gap.stream, []).append(_gap(event, gap, start, end))
    order = {stream.id: place for place, stream in enumerate(event.technical.streams)}
    return Timeline(
        start,
        end,
        shots=tuple(Lane(stream, "shots", _sorted(bars)) for stream, bars in shots.items()),
        findings=tuple(
            Lane(stream, code, _sorted(bars))
            for (stream, code), bars in sorted(found.items(), key=lambda i: (order.get(i[0][0], len(order)), i[0]))
        ),
        gaps=tuple(Lane(stream, "not analysed", _sorted(bars)) for stream, bars in sorted(gaps.items())),
    )


def when(span: Span) -> str:
    """Start and end: timecode where there is one, else seconds."""
    if span.start_tc and span.end_tc:
        return f"{span.start_tc} – {span.end_tc}"
    return f"{span.start_seconds:.3f} – {span.end_seconds:.3f} s"


def _sorted(bars: Iterable[Bar]) -> tuple[Bar, ...]:
    return tuple(sorted(bars, key=lambda bar: (bar.start, bar.end)))


def _extent(event: ContentMetadata) -> tuple[float, float]:
    """From the container's start, or what begins before it, to the end of the longest stream."""
    spans: list[Span] = [*event.tracks.shots, *event.findings]
    ends = [span.end_seconds for span in spans]
    for stream in event.technical.streams:
        clock, covered = event.clocks.get(stream.id), event.coverage.streams.get(stream.id)
        if clock is None or covered is None:
            continue
        if stream.kind == "audio":
            ends.append(clock.seconds(clock.event_time(covered.decoded)))
        elif clock.frame_rate is not None:
            ends.append(covered.decoded * clock.frame_rate[1] / clock.frame_rate[0])
    start = min([0.0, *(span.start_seconds for span in spans)])
    end = max([event.technical.duration or 0.0, *ends])
    return start, end if end > start else start + 1.0


def _gap(event: ContentMetadata, gap: Gap, start: float, end: float) -> Bar:
    clock = event.clocks.get(gap.clock)
    low = clock.seconds(gap.start) if clock is not None and gap.start is not None else start
    high = clock.seconds(gap.end) if clock is not None and gap.end is not None else end
    what = f"{gap.task}: {gap.reason}" if gap.task else gap.reason
    return Bar("", max(start, low), min(end, max(low, high)), f"{low:.3f} – {high:.3f} s", what)


def pictured(spans: Sequence[Span], most: int) -> list[int]:
    """Which of ``spans`` get a picture: all, or ``most`` of them spread evenly from the first to the last."""
    count = min(len(spans), most)
    return [round(i * (len(spans) - 1) / max(1, count - 1)) for i in range(count)]


def finding_spans(event: ContentMetadata) -> list[Finding]:
    """The findings that have a picture: those of a stream whose clock has frames."""
    return [f for f in event.findings if (c := event.clocks.get(f.stream)) is not None and c.frame_rate is not None]
