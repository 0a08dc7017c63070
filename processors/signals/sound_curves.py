"""Loudness and true peak over time, from the signals of task loudness: what meters show while a programme runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from processors.signals.sound_channels import loudness_weights
from processors.signals.sound_gating import MOMENTARY_HOPS, OFFSET, SHORT_TERM_HOPS
from processors.signals.sound_hops import FloatArray, hop_edges, window_sum
from schemas.cell import Signals
from schemas.plan import AudioFormat

FLOOR_DB = -100.0
"""Where silence is drawn: its level is minus infinity."""


@dataclass(frozen=True, slots=True)
class SoundCurves:
    """A stream's levels at the end of each 10 ms hop.

    ``ends`` are the samples at which the hops end, counted from the stream's first. ``momentary`` and ``short_term`` (LUFS, EBU
    Tech 3341: the mean over the 0.4 s or 3 s that end there) and ``true_peak`` (dBTP, the highest channel's in the hop) are
    NaN where there is none: at the start, in a hole and up to a window after it. Nothing is below ``FLOOR_DB``.
    """

    ends: FloatArray
    momentary: FloatArray
    short_term: FloatArray
    true_peak: FloatArray


def sound_curves(audio: AudioFormat, stretches: Iterable[Signals]) -> SoundCurves:
    """The curves of a stream from its signals in any order. Stretches with other channels than ``audio`` has are holes."""
    weights = loudness_weights(audio)
    powers: list[tuple[int, FloatArray]] = []
    peaks: list[tuple[int, FloatArray]] = []
    for signals in stretches:
        energy, peak = signals.arrays.get("energy"), signals.arrays.get("true_peak")
        if energy is None or peak is None or energy.shape[1] != audio.channels:
            continue
        full = signals.arrays["samples"] == np.diff(hop_edges(audio.rate, signals.first_row, signals.rows))
        power = (energy * weights).sum(axis=1) * (100 / audio.rate)
        powers.append((signals.first_row, np.where(full, power, np.nan)))
        peaks.append((signals.first_row, peak.max(axis=1)))
    power = _joined(powers)
    return SoundCurves(
        ends=hop_edges(audio.rate, 1, len(power) - 1).astype(np.float64) if len(power) else np.zeros(0),
        momentary=_windowed(power, MOMENTARY_HOPS),
        short_term=_windowed(power, SHORT_TERM_HOPS),
        true_peak=_decibels(_joined(peaks), 20.0, 0.0),
    )


def _joined(parts: list[tuple[int, FloatArray]]) -> FloatArray:
    """One value a hop from the stream's first on, NaN where there is none."""
    whole = np.full(max((first + len(values) for first, values in parts), default=0), np.nan)
    for first, values in parts:
        whole[first : first + len(values)] = values
    return whole


def _windowed(power: FloatArray, size: int) -> FloatArray:
    means = window_sum(power, size) / size
    return _decibels(np.concatenate([np.full(len(power) - len(means), np.nan), means]), 10.0, OFFSET)


def _decibels(values: FloatArray, factor: float, offset: float) -> FloatArray:
    with np.errstate(divide="ignore"):
        levels: FloatArray = np.maximum(offset + factor * np.log10(values), FLOOR_DB)
    return levels
