"""What a container's own headers say of a track, and how a few of their bytes are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from schemas.clock import Rational
from schemas.plan import ChannelLabel, LightLevels, MasteringDisplay

CHROMATICITY, LUMINANCE = 50_000, 10_000
"""Units a whole in SMPTE ST 2086: 0.00002 of x and y, 0.0001 cd/m²."""


class Readable(Protocol):
    """What headers are read from."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move."""

    def read(self, size: int = -1, /) -> bytes | None:
        """Up to ``size`` bytes."""


@dataclass(frozen=True, slots=True)
class TrackHeader:
    """What a track's header says that PyAV does not hand on.

    ``number`` is the track's own number where FFmpeg's streams carry it as their id. ``language`` is the tag as written;
    ``size`` and ``pixel_aspect`` are only read where FFmpeg takes them from something else (MXF).
    """

    kind: Literal["video", "audio", "other"]
    number: int | None = None
    language: str | None = None
    size: tuple[int, int] | None = None
    pixel_aspect: Rational | None = None
    mastering_display: MasteringDisplay | None = None
    light_levels: LightLevels | None = None
    labels: tuple[ChannelLabel, ...] = ()


NOTHING = TrackHeader("other")


def read_at(source: Readable, offset: int, size: int) -> bytes:
    """Up to ``size`` bytes from ``offset`` on; fewer at the end."""
    source.seek(offset)
    parts = []
    while size > 0 and (part := source.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def mastering(points: dict[str, tuple[float, float]], low: float | None, high: float | None) -> MasteringDisplay | None:
    """A mastering display of chromaticities by colour and luminances; ``None`` of nothing, or of zeros.

    Chromaticities are rounded to 0.00001 and luminances to 0.0001 cd/m²: finer than any file states them.
    """
    stated = {name: (round(x, 5), round(y, 5)) for name, (x, y) in points.items() if x > 0 and y > 0}
    if not stated and not high:
        return None
    return MasteringDisplay(
        red=stated.get("red"),
        green=stated.get("green"),
        blue=stated.get("blue"),
        white=stated.get("white"),
        min_luminance=round(low, 4) if high and low is not None else None,
        max_luminance=round(high, 4) if high else None,
    )


def light_levels(max_cll: int | None, max_fall: int | None) -> LightLevels | None:
    """Light levels in cd/m², of which 0 stands for unknown; ``None`` of two unknown ones."""
    return LightLevels(max_cll=max_cll or None, max_fall=max_fall or None) if max_cll or max_fall else None
