"""Rational clocks: integer ticks, and what people read beside them (seconds, frame numbers, SMPTE timecode)."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Rational = tuple[Positive, Positive]


class Clock(BaseModel):
    """The clock of one stream.

    ``tick`` is the length of one tick in seconds, as a fraction. A time in an event is an integer number of ticks since
    the container's start: ``pts - origin_pts``. For sound the tick is one sample and ``pts`` counts samples from the
    stream's first one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    tick: Rational
    frame_rate: Rational | None = None
    vfr: bool | None = None
    origin_pts: int = 0
    start_timecode: str | None = None
    drop_frame: bool | None = None

    def seconds(self, ticks: int) -> float:
        """Seconds since the container's start of a time in ticks since the container's start."""
        return float(Fraction(ticks * self.tick[0], self.tick[1]))

    def ticks(self, seconds: float | Fraction) -> int:
        """The nearest tick to a number of seconds."""
        return round(Fraction(seconds) * self.tick[1] / self.tick[0])

    def event_time(self, pts: int) -> int:
        """Ticks since the container's start of a raw presentation timestamp."""
        return pts - self.origin_pts

    def timecode(self, frame: int) -> str | None:
        """SMPTE ST 12-1 timecode of a frame number counted from the stream's first frame.

        ``None`` where the frame rate is unknown or varies: a count of frames has no timecode there.
        """
        if self.frame_rate is None or self.vfr:
            return None
        nominal = max(1, round(Fraction(*self.frame_rate)))
        drop = bool(self.drop_frame) and nominal % 30 == 0
        first = parse_timecode(self.start_timecode, nominal, drop) if self.start_timecode else 0
        return format_timecode(first + frame, nominal, drop)


def parse_timecode(text: str, nominal: int, drop: bool) -> int:
    """Frames since midnight of ``HH:MM:SS:FF`` (``;`` before FF marks drop frame). Raises ``ValueError`` if malformed."""
    parts = text.replace(";", ":").replace(".", ":").split(":")
    if len(parts) != 4:
        raise ValueError(f"not a timecode: {text!r}")
    hours, minutes, seconds, frames = (int(p) for p in parts)
    count = ((hours * 60 + minutes) * 60 + seconds) * nominal + frames
    if drop:
        total_minutes = hours * 60 + minutes
        count -= (nominal // 15) * (total_minutes - total_minutes // 10)
    return count


def format_timecode(count: int, nominal: int, drop: bool) -> str:
    """``HH:MM:SS:FF`` of a number of frames since midnight; wraps at 24 hours."""
    if drop:
        dropped = nominal // 15
        per_ten = nominal * 600 - dropped * 9
        tens, rest = divmod(count, per_ten)
        count += dropped * 9 * tens
        if rest > dropped:
            count += dropped * ((rest - dropped) // (nominal * 60 - dropped))
    frames = count % nominal
    total = count // nominal
    mark = ";" if drop else ":"
    return f"{total // 3600 % 24:02d}:{total // 60 % 60:02d}:{total % 60:02d}{mark}{frames:02d}"
