"""What is known of a container and its streams beside their content, for the final event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.events import ActiveArea, Compared, Technical, TechnicalStream
from schemas.plan import Plan, StreamPlan


def technical(plan: Plan, facts: Mapping[str, Mapping[str, Any]]) -> Technical:
    """The plan's view of the streams with the facts that folds found, by stream."""
    return Technical(
        container=plan.container,
        duration=plan.duration,
        bit_rate=plan.bit_rate,
        streams=tuple(_stream(s, facts.get(s.id, {})) for s in plan.streams),
    )


def _stream(stream: StreamPlan, facts: Mapping[str, Any]) -> TechnicalStream:
    fields: dict[str, Any] = {
        name: getattr(stream, name)
        for name in ("id", "index", "kind", "codec", "decision", "reason", "duration", "bit_rate", "language")
    }
    if stream.video is not None:
        v = stream.video
        fields |= {
            "width": v.width,
            "height": v.height,
            "pixel_format": v.pixel_format,
            "bit_depth": v.bit_depth,
            "sample_aspect_ratio": v.sample_aspect_ratio,
            "rotation": v.rotation,
            "colour_range": v.colour_range,
            "primaries": Compared(container=v.primaries),
            "transfer": Compared(container=v.transfer),
            "matrix": Compared(container=v.matrix),
        }
    if stream.audio is not None:
        fields |= {"rate": stream.audio.rate, "channels": stream.audio.channels, "layout": stream.audio.layout}
    if facts.get("active_area"):
        fields["active_area"] = ActiveArea(**facts["active_area"])
    return TechnicalStream(**fields)
