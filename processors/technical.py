"""What is known of a container and its streams beside their content, for the final event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from processors.aggregate import Aggregate
from processors.agreement import compared
from processors.mismatch import measured_rate
from processors.presentations import layout
from schemas.clock import Rational
from schemas.events import Measurement
from schemas.plan import StreamPlan
from schemas.technical import ActiveArea, Presentation, Technical, TechnicalStream

_PLAIN = (
    *("id", "index", "kind", "codec", "decision", "reason", "duration", "bit_rate", "language", "title", "disposition"),
    *("profile", "level", "field_order", "timecode_source", "layout_source"),
)
LIGHT_LEVELS = {"video.max_cll": "max_cll", "video.max_fall": "max_fall"}
"""Measurements that stand beside what a file states."""


def technical(
    aggregate: Aggregate,
    facts: Mapping[str, Mapping[str, Any]],
    measurements: Iterable[Measurement],
    programmes: tuple[Presentation, ...],
) -> Technical:
    """The plan's view of the streams with the facts that decoding and folds found, by stream."""
    plan = aggregate.plan
    light = light_levels(measurements)
    rates = {s.id: measured_rate(aggregate.streams.get(s.id)) for s in plan.streams if s.video is not None}
    return Technical(
        container=plan.container,
        duration=plan.duration,
        bit_rate=plan.bit_rate,
        streams=tuple(_stream(s, facts.get(s.id, {}), rates.get(s.id), light.get(s.id)) for s in plan.streams),
        presentations=programmes,
    )


def light_levels(measurements: Iterable[Measurement]) -> dict[str, dict[str, float]]:
    """What was measured of ``max_cll`` and ``max_fall`` in cd/m², by stream."""
    light: dict[str, dict[str, float]] = {}
    for m in measurements:
        if m.id in LIGHT_LEVELS and m.value is not None and m.reliable:
            light.setdefault(m.stream, {})[LIGHT_LEVELS[m.id]] = m.value
    return light


def _stream(
    stream: StreamPlan, facts: Mapping[str, Any], rate: Rational | None, light: Mapping[str, float] | None
) -> TechnicalStream:
    fields: dict[str, Any] = {name: getattr(stream, name) for name in _PLAIN}
    if stream.kind == "video" and (stream.declared is not None or stream.signalled is not None):
        fields |= compared(stream, rate, light)
    if stream.video is not None:
        names = ("width", "height", "pixel_format", "bit_depth", "sample_aspect_ratio", "rotation", "colour_range")
        fields |= {name: getattr(stream.video, name) for name in names}
    if stream.audio is not None:
        fields |= {"rate": stream.audio.rate, "channels": stream.audio.channels, "layout": layout(stream)}
    if facts.get("active_area"):
        fields["active_area"] = ActiveArea(**facts["active_area"])
    return TechnicalStream(**fields)
