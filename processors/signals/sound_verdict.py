"""What only the whole of a sound stream can tell: clipping, dead channels, dual mono, and the measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, MeasurementDraft
from processors.signals.sound_channels import channel_name, front_pair, must_sound
from processors.signals.sound_clipping import Threshold, clipped
from processors.signals.sound_figures import PROGRAMME, doubt, too_slow
from processors.signals.sound_limits import SoundLimits, hops_of
from processors.signals.sound_totals import correlation, downmix_loss, level, residual, steps
from processors.tasks.base import StreamEnd
from schemas.chunk import hop_edge
from schemas.plan import AudioFormat


def whole_stream_findings(
    audio: AudioFormat, totals: Mapping[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd, limits: SoundLimits
) -> list[FindingDraft]:
    """Findings that need the stream's end. ``totals`` is the fold's state, ``journal`` its flat tops and holes."""
    return [
        *_clipping(audio, totals, journal, end, limits),
        *_silent_channels(audio, totals, end, limits),
        *_dual_mono(audio, totals, end, limits),
    ]


def _clipping(
    audio: AudioFormat, totals: Mapping[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd, limits: SoundLimits
) -> Iterator[FindingDraft]:
    # Extremes travel as float32, and so do the rows: equal values stay equal.
    threshold = Threshold(totals["ceilings"], steps(totals["used"]), limits.clip_share, limits.clip_steps)
    flat, holes = journal.get("flat", np.zeros((0, 6))), journal.get("holes", np.zeros(0, np.int64))
    found = clipped(flat, threshold, hops_of(limits.clip_gap_seconds), holes)
    for clip in found:
        names = ", ".join(channel_name(audio, c) for c in clip.channels)
        text = f"Clipped: {clip.samples} samples flat at the ceiling of {level(clip.ceiling**2):.2f} dBFS in {names}"
        start, stop = (min(end.end, hop_edge(audio.rate, hop)) for hop in (clip.start, clip.end))
        yield FindingDraft("audio.clipping", start, stop, float(clip.samples), "samples", text, clip.channels)


def _silent_channels(
    audio: AudioFormat, totals: Mapping[str, Any], end: StreamEnd, limits: SoundLimits
) -> Iterator[FindingDraft]:
    peaks = np.abs(totals["ceilings"]).max(axis=0)
    dead = tuple(c for c in must_sound(audio) if peaks[c] < limits.silence)
    if not dead or (peaks < limits.silence).all():
        return
    names = ", ".join(channel_name(audio, c) for c in dead)
    loudest = float(peaks[list(dead)].max())
    text = f"Nothing above {limits.silence_level:g} dBFS in {names} throughout, while other channels sound"
    yield FindingDraft("audio.silent_channel", 0, end.end, level(loudest**2) if loudest else None, "dBFS", text, dead)


def _dual_mono(audio: AudioFormat, totals: Mapping[str, Any], end: StreamEnd, limits: SoundLimits) -> Iterator[FindingDraft]:
    pair = front_pair(audio)
    if audio.channels != 2 or pair is None or np.abs(totals["ceilings"]).max() < limits.silence:
        return
    left, right = totals["square"]
    rest = residual(float(left), float(right), float(totals["apart"][0]))
    if rest > limits.dual_mono_residual:
        return
    how = "are identical" if np.isinf(rest) else f"differ by {rest:.1f} dB only"
    text = f"The two channels {how} throughout"
    yield FindingDraft("audio.dual_mono", 0, end.end, None if np.isinf(rest) else round(rest, 2), "dB", text, pair)


def measurements(
    audio: AudioFormat, totals: Mapping[str, Any], end: StreamEnd, limits: SoundLimits
) -> tuple[MeasurementDraft, ...]:
    """The figures of the stream; each None comes with its reason."""
    samples, square = totals["samples"], float(totals["square"].sum())
    count = samples * audio.channels
    nothing = too_slow(audio) or (None if samples else "there are no samples")
    silent = nothing or (None if square else "digital silence")
    why_not = doubt(totals, end)
    rms = None if silent else level(square / count)
    floor, why = _floor(audio, totals["floor"], silent, limits)
    pair = front_pair(audio)
    alike = lost = None
    if pair is not None:
        left, right = (float(totals["square"][c]) for c in pair)
        alike = correlation(left, right, float(totals["cross"][pair[0]]))
        lost = downmix_loss(left, right, float(totals["cross"][pair[0]]))
    head, tail, no_sound = _extent(audio, totals, end, limits)
    room = f"before the first sound and after the last of {limits.sound_level:g} dBFS RMS"
    no_pair = silent or "there is no left and right channel"
    alone = nothing or ("there is no left and right channel" if pair is None else "a channel is digital silence")
    return (
        _figure("audio.rms", rms, "dBFS", "RMS of all samples of all channels", silent, why_not),
        _figure("audio.noise_floor", floor, "dBFS", f"RMS of the quietest {limits.floor_seconds:g} s", why, why_not),
        _figure("audio.downmix_loss", lost, "dB", "left plus right against both in phase", no_pair, why_not),
        _figure("audio.head_seconds", head, "s", room, silent or no_sound, why_not),
        _figure("audio.tail_seconds", tail, "s", room, silent or no_sound, why_not),
        _figure("audio.correlation", alike, "", "correlation of front left and right", alone, why_not),
        *(
            _figure(
                "audio.dc_offset", None if nothing else float(total) / samples, "FS", "mean of all samples", nothing, why_not, c
            )
            for c, total in enumerate(totals["sum"])
        ),
    )


def _figure(
    id: str, value: float | None, unit: str, method: str, why_none: str | None, why_not: str | None, channel: int | None = None
) -> MeasurementDraft:
    reason = why_not if value is not None else why_none
    return MeasurementDraft(id, value, unit, method, reason is None, reason, channel, PROGRAMME)


def _floor(
    audio: AudioFormat, lowest: float | None, silent: str | None, limits: SoundLimits
) -> tuple[float | None, str | None]:
    if silent is not None or lowest is None:
        return None, silent or f"there are no {limits.floor_seconds:g} s without digital silence"
    return level(lowest / (limits.floor_seconds * audio.rate * audio.channels)), None


def _extent(
    audio: AudioFormat, totals: Mapping[str, Any], end: StreamEnd, limits: SoundLimits
) -> tuple[float | None, float | None, str]:
    """Seconds before the first and after the last sound, and why there are none."""
    first, last = totals["first"], totals["last"]
    if first is None or last is None:
        return None, None, f"nothing has a level of {limits.sound_level:g} dBFS"
    return first / 100, max(0, end.end - hop_edge(audio.rate, last)) / audio.rate, ""
