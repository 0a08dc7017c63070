"""The sample's sound: tone under the bars, then voices and music with a silent gap and a clipped passage in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

RATE = 48_000
SECONDS = 60
TONE = (0.0, 5.0)
SILENCES = ((5.0, 8.0), (36.0, 39.0))
"""Under the slate, and a gap in the programme: digital zero."""
CLIPPED = (44.0, 45.0)
TARGET_LUFS = -23.0

_TONE_LEVEL = 10 ** (-20 / 20)
_CEILING = 32767
_POPS_A_SECOND, _POP_SECONDS, _POP_LEVEL = 20, 0.0025, 1.2
"""A microphone popping: half waves that would reach 1.2 of full scale. Short, so that the loudness stays the programme's."""
_PASSES = 6
_FIRST_GAIN = 0.0432

Stereo = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Sound:
    """16-bit stereo, ``(samples, 2)``, and what is known of it.

    ``clipped`` is in seconds, from the first sample at the ceiling to past the last.
    """

    samples: NDArray[np.int16]
    integrated: float
    clipped: tuple[float, float]


def synthesise() -> Sound:
    """The whole minute, with the programme's gain set so that all of it is at -23 LUFS."""
    voice = _programme(np.random.default_rng(23))
    gain, level = _FIRST_GAIN, 0.0
    for _ in range(_PASSES):
        samples = _assemble(voice * gain)
        level = integrated(samples / 32768.0)
        if abs(level - TARGET_LUFS) < 0.02:
            break
        gain *= 10 ** ((TARGET_LUFS - level) / 20)
    at_ceiling = np.flatnonzero((np.abs(samples.astype(np.int32)) >= _CEILING).any(axis=1))
    clipped = (float(at_ceiling[0] / RATE), float((at_ceiling[-1] + 1) / RATE))
    return Sound(samples, level, clipped)


def integrated(samples: Stereo) -> float:
    """Integrated loudness in LUFS of 48 kHz stereo after ITU-R BS.1770-5: a plain reading of it, to check others against."""
    shelf = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585])
    high_pass = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])
    weighted = lfilter(*high_pass, lfilter(*shelf, samples, axis=0), axis=0)
    energy = np.concatenate([[0.0], np.cumsum(np.sum(weighted**2, axis=1))])
    starts = np.arange(0, len(samples) - RATE * 4 // 10 + 1, RATE // 10)
    blocks = (energy[starts + RATE * 4 // 10] - energy[starts]) / (RATE * 4 // 10)
    loud = blocks[blocks > 10 ** ((-70 + 0.691) / 10)]
    gated = loud[loud > loud.mean() / 10]
    return float(-0.691 + 10 * np.log10(gated.mean()))


def _assemble(programme: Stereo) -> NDArray[np.int16]:
    """Tone, silences and the clipped passage set into the programme, as 16-bit samples."""
    time = np.arange(len(programme)) / RATE
    out = programme.copy()
    hot = _within(time, *CLIPPED)
    since = (time[hot] - CLIPPED[0]) % (1 / _POPS_A_SECOND)
    pop = np.where(since < _POP_SECONDS, _POP_LEVEL * np.sin(np.pi * since / _POP_SECONDS), 0.0)
    out[hot] += pop[:, None]
    # Only the driven passage may reach the ceiling.
    out[~hot] = np.clip(out[~hot], -0.8, 0.8)
    out[_within(time, *TONE)] = (_TONE_LEVEL * np.sin(2 * np.pi * 1000 * time[_within(time, *TONE)]))[:, None]
    for silence in SILENCES:
        out[_within(time, *silence)] = 0.0
    return np.rint(np.clip(out * 32768.0, -_CEILING, _CEILING)).astype(np.int16)


def _within(time: NDArray[np.float64], start: float, end: float) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (time >= start - 1e-9) & (time < end - 1e-9)
    return inside


def _programme(rng: np.random.Generator) -> Stereo:
    """Voices in the middle, chords to the sides, air around: never silent, and no two channels alike."""
    count = RATE * SECONDS
    time = np.arange(count) / RATE
    voice = _voice(rng, time)
    chords = np.stack([_chords(rng, time), _chords(rng, time)], axis=1)
    air = sosfilt(butter(2, [200, 6000], "bandpass", fs=RATE, output="sos"), rng.normal(0, 0.05, (count, 2)), axis=0)
    return np.asarray(voice[:, None] / voice.std() + 0.3 * chords / chords.std() + air, dtype=np.float64)


def _voice(rng: np.random.Generator, time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Speech-like: a pulse train of wandering pitch through formants, in syllables, with breath."""
    knots = rng.uniform(95, 150, 160)
    pitch = np.interp(time, np.linspace(0, time[-1], len(knots)), knots)
    phase = np.cumsum(pitch) / RATE
    source = (phase % 1.0) - 0.5 + rng.normal(0, 0.05, len(time))
    shaped = np.zeros_like(source)
    for centre, width, gain in ((550, 120, 1.0), (1500, 180, 0.5), (2600, 250, 0.25)):
        band = butter(2, [centre - width, centre + width], "bandpass", fs=RATE, output="sos")
        shaped += gain * np.asarray(sosfilt(band, source))
    levels = rng.uniform(0.2, 1.0, round(4.5 * SECONDS)) * (rng.random(round(4.5 * SECONDS)) > 0.12)
    envelope = np.interp(time, np.linspace(0, time[-1], len(levels)), levels) ** 1.5
    return np.asarray(shaped * envelope, dtype=np.float64)


def _chords(rng: np.random.Generator, time: NDArray[np.float64]) -> NDArray[np.float64]:
    """A slow bed of chords, two seconds each, a little out of tune."""
    bed = np.zeros_like(time)
    number = (time // 2).astype(np.int64)
    swell = np.sin(np.pi * (time % 2) / 2)
    roots = np.array([110.0, 146.83, 130.81, 98.0])[number % 4]
    for ratio in (1.0, 1.5, 2.0, 2.5198):
        detuned = roots * ratio * (1 + rng.normal(0, 0.002))
        bed += np.sin(2 * np.pi * np.cumsum(detuned) / RATE + rng.uniform(0, 6.28))
    return bed * swell
