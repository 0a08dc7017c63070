"""What a channel's position means: its weight in loudness, its partner in stereo, whether it may be silent."""

from __future__ import annotations

import numpy as np

from processors.signals.sound_hops import FloatArray
from schemas.plan import AudioFormat

SURROUND_WEIGHT = 1.41
"""BS.1770-5: positions at 60° ≤ abs(azimuth) ≤ 120° with an elevation under 30°; every other one but LFE has 1.0."""

_SIDE = frozenset({"SL", "SR", "WL", "WR", "SDL", "SDR", "SSL", "SSR"})
_BACK = frozenset({"BL", "BR"})
_LFE = frozenset({"LFE", "LFE2"})
_UNIT = frozenset(
    {"FL", "FR", "FC", "FLC", "FRC", "BC", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR", "TSL", "TSR"}
) | frozenset({"BFC", "BFL", "BFR", "DL", "DR", "TTL", "TTR"})
_MAIN = frozenset({"FL", "FR", "FC"})


def positions(audio: AudioFormat) -> tuple[str, ...] | None:
    """The channels' positions by FFmpeg's names; None where they are not known.

    One channel is mono and two without names are left and right; more without names (discrete tracks) have no positions.
    """
    if audio.channels == 1:
        return ("FC",)
    names = audio.channel_names
    if len(names) == audio.channels and len(set(names)) == len(names) and set(names) <= _UNIT | _SIDE | _BACK | _LFE:
        return tuple(names)
    return ("FL", "FR") if audio.channels == 2 else None


def loudness_weights(audio: AudioFormat) -> FloatArray:
    """BS.1770-5 weight of each channel, by position.

    BL and BR are the surrounds at ±110° (1.41) where the layout has no side channels (quad, 5.0 and 5.1 "back"), and the
    rears at ±135° (1.0) where it has (7.1). A single channel, and every channel without a known position, weighs 1.0.
    """
    names = positions(audio)
    if names is None:
        return np.ones(audio.channels)
    surrounds = _SIDE if _SIDE & set(names) else _SIDE | _BACK
    return np.array([0.0 if n in _LFE else SURROUND_WEIGHT if n in surrounds else 1.0 for n in names])


def front_pair(audio: AudioFormat) -> tuple[int, int] | None:
    """The neighbouring channels that are front left and right; None where there are none."""
    names = positions(audio)
    for left, right in (("FL", "FR"), ("DL", "DR")):
        if names and left in names and right in names and names.index(right) == names.index(left) + 1:
            return names.index(left), names.index(right)
    return None


def must_sound(audio: AudioFormat) -> tuple[int, ...]:
    """Channels that are not silent in sound work: all of mono and stereo, the front ones of more, none without positions."""
    names = positions(audio)
    if names is None:
        return ()
    return tuple(i for i, n in enumerate(names) if len(names) <= 2 or n in _MAIN)


def channel_name(audio: AudioFormat, channel: int) -> str:
    """What people call a channel: its position, else its number from 1."""
    names = positions(audio)
    return names[channel] if names and audio.channels > 1 else f"channel {channel + 1}"
