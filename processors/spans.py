"""Times as events show them: ticks, and beside them frames, seconds and SMPTE timecode."""

from __future__ import annotations

from typing import Any

from schemas.clock import Clock


def span_fields(
    stream: str, clock: Clock, start: int, end: int, start_frame: int | None = None, end_frame: int | None = None
) -> dict[str, Any]:
    """The fields of :class:`schemas.events.Span` of ``[start, end)`` in ticks since the container's start."""
    return {
        "clock": stream,
        "start": start,
        "end": end,
        "start_frame": start_frame,
        "end_frame": end_frame,
        "start_seconds": clock.seconds(start),
        "end_seconds": clock.seconds(end),
        "start_tc": None if start_frame is None else clock.timecode(start_frame),
        "end_tc": None if end_frame is None else clock.timecode(end_frame),
    }
