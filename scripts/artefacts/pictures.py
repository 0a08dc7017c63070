"""Moving pictures by seed, to train on: overlapping leaves with texture, gratings and letters, seen through a lens, with grain.

Leaves that occlude each other ("dead leaves") have the edges, sizes and spectra that photographs have, without being any.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.sample.scenes import fractal
from processors.signals.still_planes import Floats

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
"""Y, U, V in 8-bit limited-range codes, 4:2:0."""

_MARGIN = 48
_OVER = 2
"""Drawn so many times larger than seen, so that edges are not jagged."""
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWYabcdefghiklmnoprstuvwy0123456789 .,:-!?&"


@dataclass(frozen=True, slots=True)
class Lens:
    """What stands between the scene and the codes: blur in pixels, sharpening, grain in code values and its own blur."""

    blur: float
    sharpen: float
    grain: float
    grain_blur: float


def lens(rng: np.random.Generator, *, plain: bool = False) -> Lens:
    """By chance; a soft lens always leaves grain, since a soft picture without any is no different from an enlarged one.

    ``plain`` keeps to what is sharp.
    """
    soft = not plain and rng.random() < 0.3
    blur = rng.uniform(0.9, 2.5) if soft else rng.uniform(0.0, 0.75)
    grain = rng.uniform(1.0, 4.0) if soft else rng.choice([0.0, rng.uniform(0.3, 4.5)], p=[0.35, 0.65])
    return Lens(
        blur=float(blur),
        sharpen=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.3 else 0.0,
        grain=float(grain),
        grain_blur=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.4 else 0.0,
    )


def moving(rng: np.random.Generator, width: int, height: int, count: int, seen: Lens) -> list[Planes]:
    """``count`` pictures of one scene: a pan, and up to three things that move on their own. Sizes are even."""
    canvas = _canvas(rng, width + 2 * _MARGIN, height + 2 * _MARGIN, seen)
    if rng.random() < 0.15:  # night, fog, a plain wall
        canvas[0][:] = rng.uniform(16, 120) + (canvas[0] - 16) * rng.uniform(0.03, 0.4)
    things = [_thing(rng, canvas) for _ in range(int(rng.integers(0, 4)))]
    still = rng.random() < 0.2
    pan = np.zeros(2) if still else rng.normal(0, 3.5, 2)
    if rng.random() < 0.6:
        pan = np.rint(pan)  # whole pixels stay as sharp as they are
    pictures = []
    for number in range(count):
        offset = np.clip(_MARGIN + pan * (number - count / 2), 2, 2 * _MARGIN - 2)
        planes = [
            _window(plane, offset / divide, width // divide, height // divide)
            for plane, divide in zip(canvas, (1, 2, 2), strict=True)
        ]
        for thing in things:
            thing.place(planes, number)
        planes[0] = planes[0] + _grain(rng, height, width, seen)
        pictures.append(to_codes(planes))
    return pictures


def to_codes(planes: list[Floats]) -> Planes:
    """Rounded to legal codes."""
    y, u, v = planes
    return (
        np.clip(np.rint(y), 16, 235).astype(np.uint8),
        np.clip(np.rint(u), 16, 240).astype(np.uint8),
        np.clip(np.rint(v), 16, 240).astype(np.uint8),
    )


@dataclass(frozen=True, slots=True)
class _Thing:
    """A piece of the scene that goes its own way: planes, soft mask, start and speed in pixels."""

    planes: tuple[Floats, Floats, Floats]
    mask: Floats
    start: NDArray[np.float64]
    speed: NDArray[np.float64]

    def place(self, planes: list[Floats], number: int) -> None:
        at = np.rint(self.start + self.speed * number).astype(int) // 2 * 2
        for plane, piece, divide in zip(planes, self.planes, (1, 2, 2), strict=True):
            mask = self.mask if divide == 1 else cv2.resize(self.mask, piece.shape[::-1], interpolation=cv2.INTER_AREA)
            x, y = at // divide
            x0, y0, x1, y1 = (
                max(x, 0),
                max(y, 0),
                min(x + piece.shape[1], plane.shape[1]),
                min(y + piece.shape[0], plane.shape[0]),
            )
            if x1 > x0 and y1 > y0:
                inner = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
                plane[y0:y1, x0:x1] += mask[inner] * (piece[inner] - plane[y0:y1, x0:x1])


def _thing(rng: np.random.Generator, canvas: tuple[Floats, Floats, Floats]) -> _Thing:
    height, width = canvas[0].shape
    w, h = (int(s) // 4 * 4 for s in rng.uniform(24, min(width, height) * 0.5, 2))
    x, y = int(rng.integers(0, width - w)) // 2 * 2, int(rng.integers(0, height - h)) // 2 * 2
    shift = rng.uniform(-70, 70)
    planes = [p[y // d : (y + h) // d, x // d : (x + w) // d].copy() for p, d in zip(canvas, (1, 2, 2), strict=True)]
    planes[0] = np.clip(planes[0] + np.float32(shift), 16, 235)
    mask = np.zeros((h * _OVER, w * _OVER), np.uint8)
    if rng.random() < 0.5:
        cv2.ellipse(mask, (w, h), (w - 2, h - 2), 0, 0, 360, 255, -1)
    else:
        mask[2:-2, 2:-2] = 255
    soft = np.asarray(cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)
    start = rng.uniform((-w / 2, -h / 2), (width - 2 * _MARGIN - w / 2, height - 2 * _MARGIN - h / 2))
    return _Thing((planes[0], planes[1], planes[2]), soft, start, rng.normal(0, 5, 2))


def _canvas(rng: np.random.Generator, width: int, height: int, seen: Lens) -> tuple[Floats, Floats, Floats]:
    """The whole scene through the lens, without grain."""
    leaf, kinds = _leaves(rng, width * _OVER, height * _OVER)
    luma = _shade(rng, leaf, kinds)
    blurred = _through(luma, seen.blur * _OVER)
    if seen.blur > 0.8 and rng.random() < 0.5:  # the rest of the leaves are in focus
        sharp = _through(luma, 0.5 * _OVER)
        blurred = np.where((rng.random(kinds) < 0.5)[leaf], sharp, blurred)
    y = np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    if seen.sharpen:
        y = np.asarray(y + np.float32(seen.sharpen) * (y - cv2.GaussianBlur(y, (0, 0), 1.0)), np.float32)
    if rng.random() < 0.2:
        _write(rng, y)
    small = leaf[_OVER :: 2 * _OVER, _OVER :: 2 * _OVER]
    spread = rng.choice([4.0, 14.0, 30.0])
    tint = 128 + rng.normal(0, 8, 2)
    chroma = [_through(rng.normal(t, spread, kinds).astype(np.float32)[small], 0.7) for t in tint]
    return y, chroma[0][: height // 2, : width // 2], chroma[1][: height // 2, : width // 2]


def _leaves(rng: np.random.Generator, width: int, height: int) -> tuple[Plane, int]:
    """Which leaf is on top at each place. Radii follow the power law of photographs."""
    kinds = int(rng.integers(3, 220))
    label = np.zeros((height, width), np.uint8)
    least, most = 6.0, min(width, height) * 0.45
    radii = np.sort((least**-1.2 + rng.random(kinds) * (most**-1.2 - least**-1.2)) ** (-1 / 1.2))[::-1]
    for number, radius in enumerate(radii[1:], start=1):
        x, y = rng.uniform(0, (width, height))
        if rng.random() < 0.4:
            axes = (int(radius), max(2, int(radius * rng.uniform(0.2, 1))))
            cv2.ellipse(label, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, number, -1)
        else:
            corners = int(rng.integers(3, 6))
            turn = 0.0 if rng.random() < 0.4 else rng.uniform(0, 6.3)
            angles = turn + math.pi / 4 + np.arange(corners) * 2 * math.pi / corners
            reach = radius * rng.uniform(0.5, 1.0, 2)
            points = np.stack([x + reach[0] * np.cos(angles), y + reach[1] * np.sin(angles)], axis=1)
            cv2.fillPoly(label, [points.astype(np.int32)], number)
    return label, kinds


def _shade(rng: np.random.Generator, leaf: Plane, kinds: int) -> Floats:
    height, width = leaf.shape
    low, high = sorted(rng.uniform(16, 235, 2))
    if high - low < 50:
        low, high = 30.0, 200.0
    base = rng.uniform(low, high, kinds).astype(np.float32)
    luma = base[leaf]
    busy = float(rng.choice([15.0, 40.0, 90.0]))
    for rough in (0.5, 0.8):
        gain = (rng.gamma(1.0, busy, kinds) * (rng.random(kinds) < 0.7)).astype(np.float32)
        octaves = 8 if rough > 0.6 else 6
        luma += gain[leaf] * (fractal(rng, width, height, int(rng.integers(2, 8)), octaves, rough) - np.float32(0.5))
    for _ in range(int(rng.integers(0, 3))):
        luma += _grating(rng, leaf, kinds)
    if rng.random() < 0.3:
        ramp = np.linspace(-1, 1, width, dtype=np.float32)[None] * np.float32(rng.normal(0, 25))
        luma += ramp + np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(rng.normal(0, 25))
    return luma


def _grating(rng: np.random.Generator, leaf: Plane, kinds: int) -> Floats:
    """Stripes on a few leaves: blinds, bricks, fences, lines of three pixels and more."""
    height, width = leaf.shape
    angle = rng.choice([0.0, math.pi / 2, rng.uniform(0, math.pi)])
    period = rng.uniform(3.0, 24.0) * _OVER
    across = np.arange(width, dtype=np.float32)[None] * np.float32(math.cos(angle) * 2 * math.pi / period)
    down = np.arange(height, dtype=np.float32)[:, None] * np.float32(math.sin(angle) * 2 * math.pi / period)
    wave = np.sin(across + down + np.float32(rng.uniform(0, 6.3)))
    if rng.random() < 0.5:
        wave = np.sign(wave)
    chosen = (rng.random(kinds) < 0.15).astype(np.float32) * np.float32(rng.uniform(4, 45))
    return (chosen[leaf] * wave).astype(np.float32)


def _write(rng: np.random.Generator, y: Floats) -> None:
    """Some lines of letters: titles, signs, credits."""
    size = float(rng.uniform(0.4, 1.8))
    value = np.float32(rng.uniform(16, 235))
    mask = np.zeros(y.shape, np.uint8)
    x, foot = int(rng.uniform(-40, y.shape[1] * 0.7)), int(rng.uniform(20, y.shape[0] * 0.6))
    font = int(rng.choice(_FONTS))
    for line in range(int(rng.integers(1, 5))):
        text = "".join(rng.choice(list(_LETTERS), int(rng.integers(4, 20))))
        cv2.putText(mask, text, (x, foot + int(line * 34 * size)), font, size, 255, max(1, round(size * 1.5)), cv2.LINE_AA)
    y += mask.astype(np.float32) / 255 * (value - y)


def _through(plane: Floats, sigma: float) -> Floats:
    return plane if sigma < 0.1 else np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _window(plane: Floats, offset: NDArray[np.float64], width: int, height: int) -> Floats:
    """The part of a plane from a place between pixels on."""
    if np.all(offset == np.rint(offset)):
        x, y = offset.astype(int)
        return plane[y : y + height, x : x + width].copy()
    matrix = np.array([[1, 0, offset[0]], [0, 1, offset[1]]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT), np.float32)


def _grain(rng: np.random.Generator, height: int, width: int, seen: Lens) -> Floats:
    if not seen.grain:
        return np.zeros((height, width), np.float32)
    noise = rng.standard_normal((height, width), np.float32)
    if seen.grain_blur:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), seen.grain_blur), np.float32)
        noise /= noise.std()
    return noise * np.float32(seen.grain)
