"""Channels in the wrong order, where the low frequency channel gives it away."""

from __future__ import annotations

import math

from processors.findings import FindingDraft
from processors.signals.sound_channels import positions
from processors.signals.sound_hops import FloatArray
from processors.signals.sound_limits import DefectLimits
from schemas.plan import AudioFormat

_LFE = "LFE"
_LAST = "as where the LFE comes last (L C R Ls Rs LFE, C L R Ls Rs LFE)"


def channel_order(
    audio: AudioFormat, bass: FloatArray, rest: FloatArray, end: int, limits: DefectLimits
) -> FindingDraft | None:
    """A finding where the channel called LFE has the whole range and exactly one other nothing but bass.

    ``bass`` and ``rest`` are the channels' mean squares below and above 500 Hz over the stream. Where no channel, or several,
    have nothing but bass, or the LFE is silent or has bass alone, there is no telling.
    """
    names = positions(audio) or ()
    if _LFE not in names:
        return None
    low = names.index(_LFE)
    ratios = [_ratio(float(b), float(r), limits) for b, r in zip(bass, rest, strict=True)]
    at_low = ratios[low]
    only_bass = [c for c, ratio in enumerate(ratios) if ratio is not None and ratio <= limits.bass_ratio]
    if at_low is None or at_low < limits.full_ratio or len(only_bass) != 1:
        return None
    other = only_bass[0]
    how = f", {_LAST}" if other == len(names) - 1 else ""
    text = f"LFE has the whole range and {names[other]} nothing above 500 Hz: the channels are in another order{how}"
    return FindingDraft("audio.channel_order", 0, end, round(at_low, 2), "dB", text, (low, other))


def _ratio(bass: float, rest: float, limits: DefectLimits) -> float | None:
    """What is above 500 Hz against what is below, in dB; None for a channel that is silent."""
    if bass + rest < 10 ** (limits.channel_level / 10):
        return None
    return 10 * math.log10(max(rest, 1e-20) / max(bass, 1e-20))
