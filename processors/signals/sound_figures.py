"""What the figures of sound tasks share: the presentation, and why a figure is missing or not to be relied on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.signals.sound_hops import MIN_RATE
from processors.tasks.base import StreamContext, StreamEnd
from schemas.plan import AudioFormat

PROGRAMME = "p0"
"""Marks a figure of the stream's programme. The final event names the presentation that the stream is part of instead; a
stream alone is measured, not a presentation across several."""


def audio_of(stream: StreamContext) -> AudioFormat:
    """The format of a stream of sound. Raises ``ValueError`` on another."""
    if stream.audio is None:
        raise ValueError(f"stream {stream.stream} is no sound")
    return stream.audio


def too_slow(audio: AudioFormat) -> str | None:
    """Why a stream of so low a rate has no figures; None if it may have."""
    return f"the sample rate of {audio.rate} Hz is below {MIN_RATE} Hz" if audio.rate < MIN_RATE else None


def doubt(state: Mapping[str, Any], end: StreamEnd) -> str | None:
    """Why no figure is to be relied on: hops that were lost (``lost``, and from ``next`` on), or garbage (``invalid``)."""
    lost = state["lost"] + max(0, end.rows - state["next"])
    if lost:
        return f"{lost / 100:g} s were not analysed"
    if state["invalid"]:
        return f"{state['invalid']} samples are no sound (not finite, or beyond +120 dBFS)"
    return None
