"""How much one asset may ask for. Whatever goes beyond has a reason of its own to be refused for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import Unprocessable


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Limits of one asset; each one that is exceeded raises ``Unprocessable`` with the reason in brackets.

    ``streams`` in its container (``too_many_streams``); pixels a ``side`` and ``pixels`` of a picture (``too_large``);
    ``seconds`` that a stream plays (``too_long``), whatever single timestamps say; ``frames`` of a video stream
    (``too_many_frames``); ``channels`` (``too_many_channels``) and ``sample_rate`` in Hz (``sample_rate_too_high``) of sound;
    ``changes`` of size or format in the course of one decode job (``too_many_changes``). JSON-able by ``dataclasses.asdict``.
    """

    streams: int = 256
    side: int = 16_384
    pixels: int = 1 << 26
    seconds: float = 48 * 3600
    frames: int = 20_000_000
    channels: int = 64
    sample_rate: int = 768_000
    changes: int = 1000

    @classmethod
    def from_json(cls, body: Mapping[str, Any] | None) -> MediaLimits:
        """The inverse of ``dataclasses.asdict``; what is not named has its default."""
        return cls(**(body or {}))

    @property
    def decoder_pixels(self) -> int:
        """Where decoders themselves refuse a picture, before memory for it is asked for: above what :meth:`picture` names."""
        return 4 * self.pixels

    def picture(self, stream: str, width: int, height: int) -> None:
        """Check the size of a stream's pictures."""
        if max(width, height) > self.side:
            raise _refused("too_large", stream, f"pictures of {width}x{height}", f"{self.side} pixels a side")
        if width * height > self.pixels:
            raise _refused("too_large", stream, f"pictures of {width}x{height}", f"{self.pixels} pixels")

    def sound(self, stream: str, rate: int, channels: int) -> None:
        """Check the form of a stream's sound."""
        if channels > self.channels:
            raise _refused("too_many_channels", stream, f"{channels} channels", f"{self.channels}")
        if rate > self.sample_rate:
            raise _refused("sample_rate_too_high", stream, f"{rate} samples a second", f"{self.sample_rate}")

    def length(self, stream: str, seconds: float) -> None:
        """Check how long a stream plays."""
        if seconds > self.seconds:
            raise _refused("too_long", stream, f"{seconds:.1f} s", f"{self.seconds:g} s")

    def count(self, stream: str, frames: int, most: int | None = None) -> None:
        """Check a number of pictures against the limit, or a lower one where it is known what there should be."""
        allowed = self.frames if most is None else min(most, self.frames)
        if frames > allowed:
            raise _refused("too_many_frames", stream, f"{frames} pictures", f"{allowed}")

    def changed(self, stream: str, times: int) -> None:
        """Check how often a stream has changed its format."""
        if times > self.changes:
            raise _refused("too_many_changes", stream, f"its size or format changes {times} times", f"{self.changes} times")


def _refused(reason: str, stream: str, found: str, limit: str) -> Unprocessable:
    return Unprocessable(f"{stream}: {found}, more than the limit of {limit}", reason=reason)
