"""What decoding itself finds, whatever the tasks: what cannot be decoded, timestamps that jump, a stream that ends too early.

All of it is the same however the stream was cut into jobs: what touches is one finding, and so is what goes beyond the
first ``MOST`` of a kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from processors.aggregate import StreamState
from processors.decode.faults import CONCEALED
from processors.findings import FindingDraft
from schemas.manifest import DecodeError, TimestampGap

CODES = (
    *("video.decode_error", "video.timestamp_gap", "audio.decode_error", "audio.timestamp_gap"),
    "container.mismatch",
)
"""The codes that are looked for in every stream."""

MOST = 100
"""Findings of one code of a stream: an event must stay a message."""
MOST_MESSAGES = 3
MISSING_SECONDS = 1.0
"""A stream that ends so much before what the container says is cut short."""
DECLARED = frozenset({"mov", "mxf", "gxf", "avi", "asf", "flv", "wav", "w64", "aiff", "caf", "flac", "wv", "ape", "tta", "tak"})
"""Containers that say how long a stream is; the duration of others is measured, or guessed from the bit rate."""
NO_REFERENCE = "pictures before the first key frame, which nothing can decode"


def decode_findings(state: StreamState, container: str) -> list[FindingDraft]:
    """The findings of one stream of which all jobs have ended. ``container`` is FFmpeg's name or names."""
    return [*_errors(state), *_gaps(state), *_cut_short(state, container)]


@dataclass(slots=True)
class _Damage:
    """A stretch without a sound frame (or sample) between; half-open."""

    first: int
    end: int
    start: int
    stop: int
    messages: Counter[str] = field(default_factory=Counter)

    def touches(self, other: _Damage) -> bool:
        return other.first <= self.end or other.start <= self.start

    def join(self, other: _Damage) -> None:
        self.end, self.stop = max(self.end, other.end), max(self.stop, other.stop)
        self.messages += other.messages


def _errors(state: StreamState) -> Iterator[FindingDraft]:
    joined: list[_Damage] = []
    for damage in _damages(state):
        if joined and (joined[-1].touches(damage) or len(joined) == MOST):
            joined[-1].join(damage)
        else:
            joined.append(damage)
    kind = state.plan.kind
    for d in joined:
        video = kind == "video"
        size = d.end - d.first
        yield FindingDraft(
            code=f"{kind}.decode_error",
            start=d.start,
            end=max(d.start + 1, d.stop),
            value=float(max(size, d.messages.total()) if video else size),
            unit="frames" if video else "samples",
            text=_told(d.messages),
            start_row=d.first if video else None,
            end_row=d.end if video else None,
        )


def _damages(state: StreamState) -> Iterator[_Damage]:
    manifests = [manifest for _, manifest in sorted(state.manifests.items())]
    if state.plan.undecodable and manifests:
        at = manifests[0].first_pts or 0
        yield _Damage(0, 0, at, at, Counter({NO_REFERENCE: state.plan.undecodable}))
    for manifest in manifests:
        for error in manifest.errors:
            start, stop = _span(error, sound=state.plan.kind == "audio", begin=manifest.first_pts or 0)
            yield _Damage(error.first, error.end, start, stop, Counter({error.message: error.times}))


def _span(error: DecodeError, *, sound: bool, begin: int) -> tuple[int, int]:
    if sound:
        return error.first, error.end
    start = begin if error.pts is None else error.pts
    return start, start if error.end_pts is None else error.end_pts


def _told(messages: Counter[str]) -> str:
    concealed, errors = messages[CONCEALED], [(text, n) for text, n in messages.items() if text != CONCEALED]
    parts = [text if n == 1 else f"{text} ({n})" for text, n in errors[:MOST_MESSAGES]]
    if len(errors) > MOST_MESSAGES:
        parts.append(f"{len(errors) - MOST_MESSAGES} more kinds of errors")
    told = [f"The decoder could not read this: {'; '.join(parts)}"] if parts else []
    if concealed:
        told.append(f"The decoder concealed damage in {_count(concealed, 'place')}")
    return ". ".join(told)


def _gaps(state: StreamState) -> Iterator[FindingDraft]:
    manifests = [manifest for _, manifest in sorted(state.manifests.items())]
    gaps = [gap for manifest in manifests for gap in manifest.gaps]
    total = sum(manifest.gap_count for manifest in manifests)
    shown = gaps if total <= MOST else gaps[: MOST - 1]
    yield from (_gap(state, gap) for gap in shown)
    if total > MOST:
        yield _more_gaps(state, gaps[MOST - 1], total - len(shown), max(m.end_pts or 0 for m in manifests))


def _gap(state: StreamState, gap: TimestampGap) -> FindingDraft:
    kind, seconds = state.plan.kind, state.plan.clock.seconds(gap.jump)
    if kind == "audio":
        text, rows = f"Timestamps jump by {seconds:+.4f} s against the samples", None
    elif gap.end - gap.start > 1 and gap.jump > 0:
        text, rows = f"Timestamps jump by {seconds:+.4f} s before frame {gap.first}", (gap.first, gap.first)
    else:
        text, rows = f"Timestamps jump by {seconds:+.4f} s at frame {gap.first}", (gap.first, gap.first + 1)
    return FindingDraft(
        code=f"{kind}.timestamp_gap",
        start=gap.start,
        end=gap.end,
        value=seconds,
        unit="s",
        text=text,
        start_row=rows[0] if rows else None,
        end_row=rows[1] if rows else None,
    )


def _more_gaps(state: StreamState, first: TimestampGap, count: int, end: int) -> FindingDraft:
    kind = state.plan.kind
    return FindingDraft(
        code=f"{kind}.timestamp_gap",
        start=first.start,
        end=max(end, first.end),
        value=None,
        unit=None,
        text=f"Timestamps jump {count} more times from here on",
        start_row=first.first if kind == "video" else None,
    )


def _cut_short(state: StreamState, container: str) -> Iterator[FindingDraft]:
    """The container says that the stream is longer than it is: the file is cut short, or its header is wrong."""
    plan, manifests = state.plan, [m for _, m in sorted(state.manifests.items()) if m.first_pts is not None]
    if plan.duration is None or not manifests or state.failed or DECLARED.isdisjoint(container.split(",")):
        return
    clock, end = plan.clock, max(m.end_pts or 0 for m in manifests)
    there = clock.seconds(clock.event_time(end) - min(0, clock.event_time(manifests[0].first_pts or 0)))
    if plan.duration - there > MISSING_SECONDS:
        yield FindingDraft(
            code="container.mismatch",
            start=end,
            end=end + clock.ticks(plan.duration - there),
            value=plan.duration - there,
            unit="s",
            text=f"The container says {plan.duration:.2f} s, and the stream ends after {there:.2f} s",
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
