"""Sound without a dropout that may look like one, and dropouts spliced into sound: by seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from tests.sound import amplitude

Wave = NDArray[np.float64]
RATE = 48000


def speech(rng: np.random.Generator, seconds: float, rate: int = RATE) -> Wave:
    """Words of voiced and hissing sounds that die away, with digital silence between."""
    parts: list[Wave] = []
    while sum(map(len, parts)) < seconds * rate:
        count = round(rng.uniform(0.15, 0.7) * rate)
        pitch = np.cumsum(rng.uniform(90, 220) * (1 + 0.1 * np.sin(np.arange(count) / rate * rng.uniform(5, 20)))) / rate
        pulses = (np.diff(np.floor(pitch), prepend=0) > 0) * 1.0
        voiced = pulses
        for hertz, width in ((rng.uniform(300, 800), 80), (rng.uniform(900, 2400), 120), (2900, 200)):
            r = np.exp(-np.pi * width / rate)
            voiced = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * hertz / rate), r * r], voiced)
        voiced /= np.abs(voiced).max() or 1
        hiss = np.diff(rng.standard_normal(count + 1)) * np.clip(np.sin(np.arange(count) / count * 9), 0, 1) * 0.05
        attack, decay = rng.uniform(0.005, 0.05) * rate, rng.uniform(0.02, 0.08) * rate
        n = np.arange(count)
        envelope = np.minimum(1, n / attack) * np.minimum(1, np.exp(-(n - count + 5 * decay) / decay))
        gate = amplitude(rng.uniform(-75, -55))
        word = amplitude(rng.uniform(-20, -6)) * (voiced + hiss) * envelope
        word[np.convolve(np.abs(word), np.ones(240) / 240, "same") < gate] = 0
        parts += [word, np.zeros(round(rng.uniform(0.03, 0.5) * rate))]
    return np.concatenate(parts)[: round(seconds * rate)]


def music(rng: np.random.Generator, seconds: float, rate: int = RATE) -> Wave:
    """Notes and beats that begin in full at once and die away, cut to digital zero at the end, some over a pad."""
    total = round(seconds * rate)
    wave = np.zeros(total)
    beat = rng.uniform(0.15, 0.5)
    for n in range(int(seconds / beat)):
        at = round(n * beat * rate)
        if rng.random() < 0.2:
            continue
        length = min(total - at, round(beat * rng.uniform(0.5, 1.0) * rate))
        t = np.arange(length) / rate
        decay = np.exp(-t / (length / rate) * rng.uniform(5, 9))
        note = 55 * 2 ** (rng.integers(0, 48) / 12)
        tone = sum(np.sin(2 * np.pi * note * k * t + rng.uniform(0, 6)) / k for k in range(1, 6))
        wave[at : at + length] += decay * (0.15 * tone if rng.random() < 0.7 else 0.3 * rng.standard_normal(length))
    if rng.random() < 0.5:
        t = np.arange(total) / rate
        wave += 0.05 * np.sin(2 * np.pi * 220 * t) * (1 + np.sin(2 * np.pi * 0.3 * t)) + 0.001 * rng.standard_normal(total)
    return wave


def synth(rng: np.random.Generator, seconds: float, rate: int = RATE) -> Wave:
    """Waves of steps and ramps: squares, pulses, stairs, saws and sines, alone and together, hard at both ends."""
    parts: list[Wave] = []
    while sum(map(len, parts)) < seconds * rate:
        t = np.arange(round(rng.uniform(0.6, 2) * rate)) / rate
        wave = sum(_voice(rng, t) for _ in range(rng.integers(1, 4)))
        parts.append(np.asarray(wave) * 0.2)
    return np.concatenate(parts)[: round(seconds * rate)]


def _voice(rng: np.random.Generator, t: Wave) -> Wave:
    hertz = rng.uniform(18, 600)
    phase = (hertz * t) % 1
    shapes: tuple[Callable[[], Wave], ...] = (
        lambda: np.where(phase < rng.uniform(0.05, 0.95), 1.0, -1.0),
        lambda: np.where(phase < rng.uniform(0.05, 0.5), 1.0, 0.0),
        lambda: np.floor(np.abs(phase - 0.5) * rng.integers(4, 33)) / 8 - 1,
        lambda: 2 * phase - 1,
        lambda: np.sin(2 * np.pi * hertz * t),
        lambda: np.clip(rng.uniform(1, 6) * np.sin(2 * np.pi * hertz * t), -1, 1),
    )
    return shapes[rng.integers(len(shapes))]()


def rhythm(rng: np.random.Generator, seconds: float, rate: int = RATE) -> Wave:
    """A chord that is switched on and off in time."""
    t = np.arange(round(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * h * t) for h in rng.uniform(100, 900, 4)) + 0.1 * rng.standard_normal(len(t))
    step = rng.uniform(0.06, 0.5)
    return np.asarray(0.1 * chord * ((t / step) % 1 < rng.uniform(0.3, 0.9)))


def dialling(rng: np.random.Generator, seconds: float, rate: int = RATE) -> Wave:
    """Digits of two tones, 70 ms of tone and 60 ms of pause, keyed hard."""
    t = np.arange(round(seconds * rate)) / rate
    digit = (t / 0.13).astype(int)
    low, high = rng.uniform(697, 941, digit.max() + 1), rng.uniform(1209, 1633, digit.max() + 1)
    tones = np.sin(2 * np.pi * low[digit] * t) + np.sin(2 * np.pi * high[digit] * t)
    return np.asarray(0.2 * tones * (t % 0.13 < 0.07))


def loud(rng: np.random.Generator, seconds: float, rate: int = RATE) -> Wave:
    """A loud master: dense noise and bass against a ceiling."""
    t = np.arange(round(seconds * rate)) / rate
    bass = np.sin(2 * np.pi * rng.uniform(30, 90) * t) * (1 + 0.3 * np.sin(2 * np.pi * 0.7 * t))
    return np.clip(rng.uniform(0.4, 1.5) * bass + rng.uniform(0.02, 0.3) * rng.standard_normal(len(t)), -0.97, 0.97)


CLEAN = {f.__name__: f for f in (speech, music, synth, rhythm, dialling, loud)}
"""Kinds of clean sound, mono, below full scale."""


def stored(wave: Wave, form: str, channels: int = 2) -> NDArray[Any]:
    """Mono sound in so many channels (the second one a little lower), as int16, int32 (24 bits) or float32."""
    wave = np.clip(np.stack([wave * 0.9**c for c in range(channels)], axis=1), -1, 1 - 2**-15)
    if form == "float32":
        return wave.astype(np.float32)
    return np.round(wave * 2**15).astype(np.int16) if form == "int16" else np.round(wave * 2**23).astype(np.int32) * 256


@dataclass(frozen=True, slots=True)
class Splice:
    """A dropout in samples ``[start, end)`` of ``channels``; ``held``: the last sample goes on, else digital zero."""

    start: int
    end: int
    channels: tuple[int, ...]
    held: bool


def splice(samples: NDArray[Any], rate: int, rng: np.random.Generator, count: int) -> tuple[NDArray[Any], list[Splice]]:
    """Up to ``count`` dropouts of 2.1 ms to 0.49 s, 1 s apart or more, where a channel sounds on both sides."""
    broken, spliced = samples.copy(), []
    scale = 1.0 if samples.dtype.kind == "f" else 0.5 ** (8 * samples.dtype.itemsize - 1)
    beside = rate // 20
    taken: list[tuple[int, int]] = []
    for _ in range(20 * count):
        if len(spliced) == count:
            break
        length = round(rate * np.exp(rng.uniform(np.log(0.0021), np.log(0.49))))
        if len(samples) < length + 4 * beside:
            continue
        start = int(rng.integers(beside, len(samples) - length - beside))
        end = start + length
        if any(start < high + rate and end > low - rate for low, high in taken):
            continue
        channels = tuple(range(samples.shape[1])) if rng.random() < 0.6 else (int(rng.integers(samples.shape[1])),)
        sides = samples[start - beside : start][::-1], samples[end : end + beside]
        channels = tuple(c for c in channels if all(_sounds(side[:, c], scale) for side in sides))
        if not channels:
            continue
        held = bool(rng.random() < 0.3)
        for c in channels:
            broken[start:end, c] = broken[start - 1, c] if held else 0
        taken.append((start, end))
        spliced.append(Splice(start, end, channels, held))
    return broken, spliced


def _sounds(codes: NDArray[Any], scale: float) -> bool:
    """Whether sound has a level of −40 dBFS over 50 ms and over the nearest 5 ms, and is no wave made of steps."""
    sound = codes.astype(np.float64) * scale
    level = min(sound.std(), sound[: len(sound) // 10].std())
    return bool(level >= amplitude(-40) and np.mean(codes[1:] != codes[:-1]) > 0.7)
