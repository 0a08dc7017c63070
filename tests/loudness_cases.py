"""The signals of EBU Tech 3341 and 3342 (v2023) that can be synthesised, at any sample rate, with what a meter must read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, oaconvolve

from tests.sound import LAYOUTS, tone

Samples = NDArray[np.float32]
Parts = Sequence[tuple[float, float | None]]

LU = 0.1
RANGE_LU = 1.0
PEAK_ABOVE, PEAK_BELOW = 0.2, 0.4
SURROUND = {"FL": -28.0, "FR": -28.0, "FC": -24.0, "LFE": -10.0, "SL": -30.0, "SR": -30.0, "BL": -30.0, "BR": -30.0}
"""Case 6 (dBFS by channel), and as much in channels that it has not."""


@dataclass(frozen=True, slots=True)
class Case:
    """A signal of a case (``make`` of a sample rate) and what its figures, by measurement id, must be."""

    id: str
    seconds: float
    make: Callable[[int], Samples]
    expected: Mapping[str, float]
    below: float = LU
    above: float = LU
    names: tuple[str, ...] = LAYOUTS[2]

    def __str__(self) -> str:
        return self.id


def every_case() -> tuple[Case, ...]:
    """All of them: 1–6 and 9–19 of Tech 3341, 20–23 as described, 1–4 of Tech 3342, and 7.1 beside case 6."""
    return (*_gates(), *_surround(), *_windows(), *_true_peaks(), *_decimated(), *_ranges())


def _toned(id: str, parts: Parts, figures: Mapping[str, float], tolerance: float = LU) -> Case:
    expected = {f"loudness.{name}": value for name, value in figures.items()}
    return Case(id, sum(s for s, _ in parts), lambda rate: tone(rate, parts), expected, tolerance, tolerance)


def _gates() -> Iterator[Case]:
    for case, level in (("1", -23.0), ("2", -33.0)):
        yield _toned(case, [(20, level)], dict.fromkeys(("integrated", "max_momentary", "max_short_term"), level))
    yield _toned("3", [(10, -36), (60, -23), (10, -36)], {"integrated": -23})
    yield _toned("4", [(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)], {"integrated": -23})
    yield _toned("5", [(20, -26), (20.1, -20), (20, -26)], {"integrated": -23})


def _surround() -> Iterator[Case]:
    for case, names in {
        "6": ("FL", "FR", "FC", "SL", "SR"),
        "6-back": ("FL", "FR", "FC", "BL", "BR"),
        "6-with-lfe": ("FL", "FR", "FC", "LFE", "SL", "SR"),
        "6-with-lfe-back": ("FL", "FR", "FC", "LFE", "BL", "BR"),
        "6-as-7.1": LAYOUTS[8],
    }.items():
        wide = {"SL", "SR"} if "SL" in names else {"BL", "BR"}
        powers = [(0 if n == "LFE" else 1.41 if n in wide else 1) * 10 ** (SURROUND[n] / 10) / 2 for n in names]
        expected = 10 * math.log10(sum(powers))
        yield Case(case, 20, lambda rate, names=names: _channels(rate, names), {"loudness.integrated": expected}, names=names)


def _channels(rate: int, names: Sequence[str]) -> Samples:
    return np.concatenate([tone(rate, [(20, SURROUND[name])], channels=1) for name in names], axis=1)


def _windows() -> Iterator[Case]:
    yield _toned("9", [(1.34, -20), (1.66, -30)] * 5, {"max_short_term": -23})
    yield _toned("12", [(0.18, -20), (0.22, -30)] * 25, {"max_momentary": -23})
    for i in range(20):
        yield _toned(f"10/{i}", [(i * 0.15, None), (3, -23), (1, None)], {"max_short_term": -23})
        yield _toned(f"11/{i}", [(i * 0.15, None), (3, -38 + i), (3 - i * 0.15, None)], {"max_short_term": -38 + i})
        yield _toned(f"13/{i}", [(i * 0.02, None), (0.4, -23), (1, None)], {"max_momentary": -23})
        yield _toned(f"14/{i}", [(i * 0.02, None), (0.4, -38 + i), (0.4 - i * 0.02, None)], {"max_momentary": -38 + i})


def _peak(id: str, make: Callable[[int], Samples], expected: float) -> Case:
    return Case(id, 1, make, {"loudness.true_peak": expected}, PEAK_BELOW, PEAK_ABOVE)


def _true_peaks() -> Iterator[Case]:
    for case, divisor, degrees, height, expected in (
        ("15", 4, 0.0, 0.50, -6.0),
        ("16", 4, 45.0, 0.50, -6.0),
        ("17", 6, 60.0, 0.50, -6.0),
        ("18", 8, 67.5, 0.50, -6.0),
        ("19", 4, 45.0, 1.41, 3.0),
    ):
        yield _peak(case, lambda rate, of=(divisor, degrees, height): _faded(rate, *of), expected)


def _faded(rate: int, divisor: int, degrees: float, height: float) -> Samples:
    n = np.arange(rate)
    fade = np.minimum(1, np.minimum(n, n[::-1]) / (0.01 * rate))
    wave = height * fade * np.sin(2 * np.pi * n / divisor + np.radians(degrees))
    return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


def _decimated() -> Iterator[Case]:
    """Cases 20–23: a burst at four times the rate, within 20 kHz, of which every fourth sample is left, at four offsets."""
    for offset in range(4):
        yield _peak(f"{20 + offset}", lambda rate, offset=offset: _every_fourth(rate, offset), 0.0)


def _every_fourth(rate: int, offset: int) -> Samples:
    n = np.arange(rate)
    wave = 0.5 * np.sin(2 * np.pi * n / 24)
    period = slice(rate // 2 // 24 * 24, rate // 2 // 24 * 24 + 16)
    wave[period] = np.sin(2 * np.pi * n[:16] / 16)
    wave = oaconvolve(wave, firwin(511, min(20_000, 0.45 * rate), fs=4 * rate), mode="same")
    wave *= np.minimum(1, np.minimum(n, n[::-1]) / (0.01 * rate)) / np.abs(wave).max()
    return np.repeat(wave[offset::4, None], 2, axis=1).astype(np.float32)


def _ranges() -> Iterator[Case]:
    for case, levels, expected in (
        ("1", [-20, -30], 10),
        ("2", [-20, -15], 5),
        ("3", [-40, -20], 20),
        ("4", [-50, -35, -20, -35, -50], 15),
    ):
        yield _toned(f"3342-{case}", [(20, level) for level in levels], {"range": expected}, RANGE_LU)
