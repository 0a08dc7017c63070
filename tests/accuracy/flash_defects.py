"""Seeded flashing, pasted over excerpts of real clips: from 3.2 Hz, 26 % of the picture and 22 cd/m² on."""

from __future__ import annotations

import numpy as np

from processors.renditions.scale import PlaneScaler, fit
from tests.accuracy.defects import Plant, Seeded, frames_of, place_for
from tests.accuracy.excerpts import Excerpt, Planes
from tests.flashes import Planes as Proxies
from tests.flashes import white_codes

RATE = 25.0


def _flashing(
    excerpt: Excerpt, rng: np.random.Generator, low: tuple[int, int, int], high: tuple[int, int, int], near: str
) -> Seeded:
    """Two colours in turn, in 8-bit codes, in a rectangle."""
    hertz, share = float(rng.choice([3.2, 4.0, 6.0, 8.0])), float(rng.choice([0.265, 0.3, 0.45, 0.9]))
    start, end = place_for(rng, 60)
    height, width = excerpt.frames[0][0].shape
    down = min(1.0, max(share**0.5, rng.uniform(share, 1.0)))
    rows, columns = int(np.ceil(height * down)), int(np.ceil(width * share / down))
    top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
    pictures = frames_of(excerpt)
    for k in range(start, end):
        picture = excerpt.picture(k)
        lit = int((k - start) / RATE * 2 * hertz + 1e-9) % 2 == 1
        for plane, code in zip(picture, high if lit else low, strict=True):
            y, x = plane.shape[0] / height, plane.shape[1] / width
            place = slice(round(top * y), round((top + rows) * y)), slice(round(left * x), round((left + columns) * x))
            plane[place] = code * excerpt.unit
        pictures[k] = picture
    return Seeded(pictures, start, end, f"{hertz} Hz, {share:.1%} of the picture, {near}")


def luminance(excerpt: Excerpt, rng: np.random.Generator) -> Seeded | None:
    """Grey that changes by 23 cd/m² or more from a dark state of at most 150."""
    if "hdr" in excerpt.name:
        return None  # codes are light there by another curve
    dark, change = float(rng.choice([0.5, 40.0, 100.0, 145.0])), float(rng.choice([23.0, 30.0, 50.0]))
    low, high = white_codes(dark), white_codes(dark + change)
    return _flashing(excerpt, rng, (low, 128, 128), (high, 128, 128), f"{dark} to {dark + change} cd/m²")


def red(excerpt: Excerpt, rng: np.random.Generator) -> Seeded | None:
    """Saturated red and black, or grey."""
    if "hdr" in excerpt.name:
        return None
    return _flashing(excerpt, rng, (int(rng.choice([16, 60])), 128, 128), (63, 102, 240), "red")


def proxies(pictures: list[Planes], depth: int) -> Proxies:
    """The pictures as the proxy rendition has them: 8 bit alone."""
    height, width = pictures[0][0].shape
    size = fit(width, height, 320)
    found = []
    for number in range(3):
        target = size if number == 0 else (size[0] // 2, size[1] // 2)
        scaler = PlaneScaler(pictures[0][number].shape[::-1], target, depth)
        found.append(np.stack([np.asarray(scaler(np.ascontiguousarray(picture[number]))).copy() for picture in pictures]))
    return found[0], found[1], found[2]


FLASHING: dict[str, Plant] = {"video.flash.luminance": luminance, "video.flash.red": red}
