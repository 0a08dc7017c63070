"""The thresholds of sound QC, in one place; they travel in the task's parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


def full_scales(level: float) -> float:
    """The amplitude of a level in dBFS."""
    return float(10 ** (level / 20))


@dataclass(frozen=True, slots=True)
class SoundLimits:
    """Levels in dBFS or dB, times in seconds."""

    silence_level: float = -60.0
    silence_seconds: float = 2.0
    mute_seconds: float = 0.5
    clip_least_level: float = -40.0
    """A channel that never gets louder is not judged: its waves are a few quantisation steps high."""
    clip_share: float = 0.002
    clip_steps: float = 8.0
    clip_gap_seconds: float = 0.5
    phase_correlation: float = -0.985
    phase_seconds: float = 0.5
    phase_level: float = -50.0
    dual_mono_residual: float = -60.0
    floor_seconds: float = 0.5

    def to_json(self) -> dict[str, Any]:
        """The parameters by name."""
        return asdict(self)

    @property
    def silence(self) -> float:
        """The amplitude below which a sample is silent, in full scales."""
        return full_scales(self.silence_level)

    @property
    def clip_floor(self) -> float:
        """The lowest ceiling that is judged, in full scales."""
        return full_scales(self.clip_least_level)


LIMITS = SoundLimits()


def hops_of(seconds: float) -> int:
    """The number of 10 ms hops of a time."""
    return round(seconds * 100)
