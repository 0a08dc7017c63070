"""What a file says of itself held against what it holds: headers against pictures, the length of sound against pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from processors.aggregate import Aggregate, StreamState
from processors.agreement import RATE_TOLERANCE, compared, differences
from processors.findings import FindingDraft
from schemas.clock import Rational

FINDINGS = ("container.mismatch", "av.duration_mismatch")
"""The codes of what is looked for here, whatever the tasks."""
SHORTER_FRAMES, LONGER_SECONDS = 2, 2
"""Sound may be so much shorter, or longer, than the picture."""


Light = Mapping[str, Mapping[str, float]]
"""Measured light levels in cd/m², by stream: ``max_cll``, ``max_fall``."""


def file_findings(aggregate: Aggregate, light: Light | None = None) -> list[tuple[str, FindingDraft]]:
    """Findings by stream: of pictures at most one mismatch, which names all properties, of sound at most one of length."""
    pictures = [state for state in aggregate.streams.values() if state.plan.kind == "video"]
    found = []
    for name, state in aggregate.streams.items():
        draft = _mismatch(state, (light or {}).get(name)) if state.plan.kind == "video" else _length(state, pictures)
        if draft is not None:
            found.append((name, draft))
    return found


def measured_rate(state: StreamState | None) -> Rational | None:
    """Decoded frames a second; ``None`` where it varies, or not the whole stream was decoded undamaged.

    The clock's rate, or one that either side states, if the frames cover their time at it to within two ticks; else the
    nearest fraction.
    """
    if state is None or state.plan.clock.vfr or any(m.errors for m in state.manifests.values()):
        return None
    span = _span(state)
    if span is None or not _whole(state):
        return None
    ticks = span[1] - span[0]
    rate = state.decoded / (ticks * Fraction(*state.plan.clock.tick))
    plan = state.plan
    stated = (plan.clock.frame_rate, *(side.frame_rate for side in (plan.declared, plan.signalled) if side is not None))
    for said in stated:
        if said is not None and abs(float(Fraction(*said) / rate) - 1) <= RATE_TOLERANCE + 2 / ticks:
            return said
    near = rate.limit_denominator(1001)
    return near.numerator, near.denominator


def _whole(state: StreamState) -> bool:
    return len(state.manifests) == state.segments and not state.failed


def _span(state: StreamState) -> tuple[int, int] | None:
    """Where the decoded pictures begin and end in raw ticks; ``None`` without any."""
    starts = [m.first_pts for m in state.manifests.values() if m.first_pts is not None]
    ends = [m.end_pts for m in state.manifests.values() if m.end_pts is not None]
    return (min(starts), max(ends)) if starts and ends and max(ends) > min(starts) else None


def _mismatch(state: StreamState, light: Mapping[str, float] | None) -> FindingDraft | None:
    span = _span(state)
    sides = compared(state.plan, measured_rate(state), light)
    differing = {name: said for name, said in sides.items() if said.agree is False}
    if not differing or span is None:
        return None
    return FindingDraft(
        code="container.mismatch",
        start=span[0],
        end=span[1],
        value=float(len(differing)),
        unit="count",
        text="; ".join(text for name, said in differing.items() for text in differences(name, said)),
        start_row=0,
        end_row=state.decoded,
    )


def _length(sound: StreamState, pictures: Sequence[StreamState]) -> FindingDraft | None:
    """Sound that is shorter or longer than the picture by what was decoded of both. No check of synchronism.

    It spans what one has and the other has not: at the head or at the tail, whichever is more.
    """
    audio = sound.plan.audio
    if audio is None or not pictures or not _whole(sound) or not _whole(pictures[0]):
        return None
    picture = pictures[0]
    span = _span(picture)
    if span is None:
        return None
    seen = [picture.plan.clock.event_time(pts) * Fraction(*picture.plan.clock.tick) for pts in span]
    heard = [Fraction(sound.plan.clock.event_time(sample), audio.rate) for sample in (0, sound.decoded)]
    lengths = heard[1] - heard[0], seen[1] - seen[0]
    excess = lengths[0] - lengths[1]
    if -SHORTER_FRAMES * lengths[1] / picture.decoded <= excess <= LONGER_SECONDS:
        return None
    more, less = (heard, seen) if excess > 0 else (seen, heard)
    edges = (more[0], less[0]) if less[0] - more[0] > more[1] - less[1] else (less[1], more[1])
    start, end = (round(t * audio.rate) + sound.plan.clock.origin_pts for t in edges)
    how = f"{float(abs(excess)):.3f} s {'longer' if excess > 0 else 'shorter'}"
    return FindingDraft(
        code="av.duration_mismatch",
        start=start,
        end=end,
        value=float(abs(excess)),
        unit="s",
        text=f"Sound is {how} than the picture: {float(lengths[0]):.3f} s against {float(lengths[1]):.3f} s",
    )
