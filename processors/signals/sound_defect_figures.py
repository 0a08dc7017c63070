"""The measurements of sound-defects: clicks, hum, bandwidth and bit depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from processors.findings import MeasurementDraft
from processors.signals.sound_bands import BAND_HZ
from processors.signals.sound_channels import channel_name
from processors.signals.sound_depth import CONTAINER_BITS, depth
from processors.signals.sound_figures import PROGRAMME, doubt, too_slow
from processors.signals.sound_hops import FloatArray
from processors.signals.sound_hum import hum
from processors.signals.sound_limits import DEFECTS
from processors.tasks.base import StreamEnd
from schemas.plan import AudioFormat

Found = tuple[str, float | None, str, str, str | None]
"""Id, value, unit, method, and why there is no value."""


def measurements(
    audio: AudioFormat, state: Mapping[str, Any], windows: FloatArray, end: StreamEnd
) -> tuple[MeasurementDraft, ...]:
    """The figures of the stream; each None comes with its reason."""
    why_none = too_slow(audio) or (None if state["samples"] else "there are no samples")
    why_not = doubt(state, end)
    drafts = []
    for name, value, unit, method, reason in (
        _clicks(audio, state),
        _hum(audio, windows),
        *_bandwidth(audio, state["reach"]),
        *_depth(audio, state["used"]),
    ):
        value = None if why_none else value
        why = why_not if value is not None else why_none or reason
        drafts.append(MeasurementDraft(name, value, unit, method, why is None, why, presentation=PROGRAMME))
    return tuple(drafts)


def _clicks(audio: AudioFormat, state: Mapping[str, Any]) -> Found:
    minutes = state["samples"] / audio.rate / 60
    return "audio.clicks", state["clicks"] / minutes if minutes else None, "1/min", "isolated impulses", None


def _hum(audio: AudioFormat, windows: FloatArray) -> Found:
    found = hum(windows)
    method = f"lines of 50 and 60 Hz and harmonics above what is beside them, in windows of {DEFECTS.hum_window_seconds:g} s"
    if found is None:
        return "audio.hum", None, "dB", method, "there is no whole window with sound"
    level, mains, channel = found
    return (
        "audio.hum",
        level,
        "dB",
        f"{mains} Hz and harmonics above what is beside them, in {channel_name(audio, channel)}",
        None,
    )


def _bandwidth(audio: AudioFormat, reach: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[Found, Found]:
    """How high the sound reaches in one of twenty hops that are not silent."""
    method = f"content above {DEFECTS.band_level:g} dBFS in {BAND_HZ} Hz in {DEFECTS.band_share:.0%} of the hops with sound"
    sounding = int(reach[1:].sum())
    if not sounding:
        why = f"nothing is above {DEFECTS.channel_level:g} dBFS"
        return ("audio.bandwidth", None, "Hz", method, why), ("audio.bandwidth_ratio", None, "", method, why)
    reached = np.cumsum(reach[::-1])[::-1]
    bands = int(np.flatnonzero(reached >= DEFECTS.band_share * sounding)[-1])
    hertz = min(bands * BAND_HZ, audio.rate / 2)
    ratio = hertz / (audio.rate / 2)
    return ("audio.bandwidth", hertz, "Hz", method, None), (
        "audio.bandwidth_ratio",
        ratio,
        "",
        f"{method}, by half the rate",
        None,
    )


def _depth(audio: AudioFormat, used: int) -> tuple[Found, Found]:
    method = "lowest bit in use"
    bits = depth(used)
    why = None if bits else "digital silence" if not used else "the samples are floating point"
    held = CONTAINER_BITS.get((audio.sample_format or "").removesuffix("p"))
    padded = None if bits is None or held is None else max(0, held - bits)
    why_padded = why or (None if held else f"samples of format {audio.sample_format} have no depth")
    return (
        ("audio.bit_depth", bits, "bit", method, why),
        ("audio.padded_bits", padded, "bit", f"{method}, against the depth of the sample format", why_padded),
    )
