"""Seeded defects of sound, spliced into real recordings: many of them only just past the limit of the definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests import ebur128
from tests.accuracy.excerpts import Recording

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True, repr=False)
class SeededSound:
    """Samples in full scales with a defect in seconds ``[start, end)``."""

    samples: Samples
    start: float
    end: float
    near: str


Plant = Callable[[Recording, np.random.Generator], SeededSound | None]


def _stereo(recording: Recording) -> Samples:
    return recording.samples if recording.samples.shape[1] == 2 else np.repeat(recording.samples[:, :1], 2, axis=1)


def _place(recording: Recording, rng: np.random.Generator, seconds: float) -> slice:
    start = int(rng.uniform(0.5, 6.0 - seconds) * recording.rate)
    return slice(start, start + round(seconds * recording.rate))


def _seeded(recording: Recording, samples: Samples, place: slice, near: str) -> SeededSound:
    return SeededSound(samples, place.start / recording.rate, place.stop / recording.rate, near)


def silence(recording: Recording, rng: np.random.Generator) -> SeededSound:
    """Below −60 dBFS for 2 s or a little more."""
    seconds, level = float(rng.choice([2.0, 2.02, 2.3])), float(rng.choice([0.0, -75.0, -60.6]))
    place, samples = _place(recording, rng, seconds), recording.samples.copy()
    height = 10 ** (level / 20) if level else 0.0
    samples[place] = rng.uniform(-height, height, samples[place].shape)
    return _seeded(recording, samples, place, f"{seconds} s at {level or 'digital silence'} dBFS")


def mute(recording: Recording, rng: np.random.Generator) -> SeededSound:
    """Digital zero for 0.5 s or a little more."""
    seconds = float(rng.choice([0.5, 0.51, 0.7]))
    place, samples = _place(recording, rng, seconds), recording.samples.copy()
    samples[place] = 0.0
    return _seeded(recording, samples, place, f"{seconds} s")


def clipping(recording: Recording, rng: np.random.Generator) -> SeededSound | None:
    """Driven into full scale, where at least five samples in a row would have gone on by 3 % and more."""
    samples = recording.samples
    channel = int(np.abs(samples).max(axis=0).argmax())
    over = float(rng.choice([1.15, 1.3, 2.0]))
    driven = samples * np.float32(over / np.abs(samples).max())
    above = np.abs(driven[:, channel]) > 1.03
    runs = np.flatnonzero(above[4:] & above[3:-1] & above[2:-2] & above[1:-3] & above[:-4])
    if not len(runs):
        return None
    place = slice(int(runs[0]), int(runs[0]) + 5)
    return _seeded(recording, np.clip(driven, -1, 32767 / 32768).astype(np.float32), place, f"peaks of {over}")


def silent_channel(recording: Recording, rng: np.random.Generator) -> SeededSound:
    """One of two channels below −60 dBFS throughout."""
    samples, channel, level = _stereo(recording).copy(), int(rng.integers(2)), float(rng.choice([0.0, 0.00005, 0.0009]))
    samples[:, channel] = rng.uniform(-level, level, len(samples))
    return _seeded(recording, samples, slice(0, len(samples)), f"channel {channel} at {level}")


def phase_inverted(recording: Recording, rng: np.random.Generator) -> SeededSound | None:
    """The right channel is the left one upside down, with a little of its own, for 0.55 s or more."""
    seconds, share = float(rng.choice([0.55, 0.8, 2.0])), float(rng.choice([0.0, 0.08, 0.15]))
    place, samples = _place(recording, rng, seconds), _stereo(recording).copy()
    left = samples[place, 0]
    hop = recording.rate // 100
    levels = np.sqrt(np.mean(left[: len(left) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    if levels.min() < 0.005:  # −46 dBFS: hops below −50 are not judged, and a stretch begins and ends with one that is
        return None
    local = np.repeat(levels, hop)
    local = np.concatenate([local, np.full(len(left) - len(local), levels[-1])])
    samples[place, 1] = -left + local * share * rng.standard_normal(len(left))
    return _seeded(recording, samples, place, f"{seconds} s, {share:.0%} of its own")


def dual_mono(recording: Recording, rng: np.random.Generator) -> SeededSound:
    """Two channels that differ by at least 60 dB less than they are loud."""
    samples, residual = _stereo(recording).copy(), float(rng.choice([0.0, 1e-4, 8e-4]))
    level = float(np.sqrt(np.mean(samples[:, 0] ** 2)))
    samples[:, 1] = samples[:, 0] + residual * level * rng.standard_normal(len(samples))
    return _seeded(recording, samples, slice(0, len(samples)), f"residual {residual}")


def loudness(recording: Recording, rng: np.random.Generator) -> SeededSound | None:
    """A programme 0.25 LU or more off the target, after libebur128."""
    samples = _stereo(recording)
    known = ebur128.measure(samples, recording.rate, (1.0, 1.0))
    off = float(rng.choice([-3.0, -0.5, -0.25, 0.25, 0.5, 2.0]))
    changed = (samples * 10 ** ((-23 + off - known.integrated) / 20)).astype(np.float32)
    if np.abs(changed).max() >= 1:
        return None
    return _seeded(recording, changed, slice(0, len(samples)), f"{off:+} LU")


def true_peak(recording: Recording, rng: np.random.Generator) -> SeededSound:
    """Peaks 0.1 dB or more above −1 dBTP, by the samples themselves."""
    level = float(rng.choice([-0.9, -0.5, -0.1]))
    samples = _stereo(recording)
    scaled = (samples * (10 ** (level / 20) / np.abs(samples).max())).astype(np.float32)
    return _seeded(recording, scaled, slice(0, len(samples)), f"{level} dBFS")


SOUND: dict[str, Plant] = {
    "audio.silence": silence,
    "audio.mute": mute,
    "audio.clipping": clipping,
    "audio.silent_channel": silent_channel,
    "audio.phase_inverted": phase_inverted,
    "audio.dual_mono": dual_mono,
    "ebu-r128 programme-loudness": loudness,
    "ebu-r128 true-peak": true_peak,
}
"""The defects of sound, by finding code, or by profile and rule."""
