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
    sound_level: float = -50.0
    """From the first stretch of three hops at this level on there is sound, not room tone; up to the last one."""
    sound_hops: int = 3

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


@dataclass(frozen=True, slots=True)
class DefectLimits:
    """Thresholds of the task sound-defects. Levels in dBFS, times in seconds, the others as they say."""

    hold_seconds: float = 0.002
    """A constant stretch is looked at from so long on."""
    gap_seconds: float = 0.5
    """Gaps are shorter; a longer one is a mute."""
    pause_seconds: float = 0.05
    """From so long on a gap may be a pause between sounds, where the material has other pauses."""
    beside_seconds: float = 0.05
    """What is looked at on either side of a gap."""
    sounding_level: float = -45.0
    """Of the 50 ms beside a gap..."""
    edge_level: float = -48.0
    """... and of the 3 ms right at it."""
    edge_seconds: float = 0.003
    sharp_seconds: float = 0.001
    fade_seconds: float = 0.012
    edge_share: float = 0.4
    sharp_share: float = 0.15
    """A sound breaks off, where it could fade, if it keeps so much of its level of 12 ms up to the last 3 ms, or 1 ms."""
    loud_level: float = -32.0
    """Where there are pauses all around, a gap that is as long is none of them if it breaks off sound as loud as this."""
    alive_share: float = 0.6
    """Samples beside a gap that differ from the one before: fewer in waves that are made of steps."""
    extreme_share: float = 0.005
    extreme_seconds: float = 0.02
    extreme_jump: float = 3.0
    """A shorter hold so near the highest or lowest value beside it, by the range there, is the flat top of a wave that goes on
    with a step of no more than three times the usual one."""
    context_seconds: float = 5.0
    pauses: int = 2
    """A gap as long as a pause is one too if so many others within the context are sudden on one side, or on none while the
    gap is not between loud sounds..."""
    gaps: int = 3
    """... or so many on both."""
    rhythm_gaps: int = 4
    rhythm_seconds: float = 1.0
    rhythm_share: float = 0.03
    """So many gaps at the same distance of at most a second are a rhythm."""
    join_seconds: float = 0.1
    click_ratio: float = 4.0
    click_level: float = -50.0
    click_clear_seconds: float = 0.05
    hum_window_seconds: float = 4.0
    band_level: float = -105.0
    band_range: float = 80.0
    band_share: float = 0.05
    bass_ratio: float = -35.0
    full_ratio: float = -20.0
    channel_level: float = -60.0

    def to_json(self) -> dict[str, Any]:
        """The parameters by name."""
        return asdict(self)


DEFECTS = DefectLimits()


def hops_of(seconds: float) -> int:
    """The number of 10 ms hops of a time."""
    return round(seconds * 100)
