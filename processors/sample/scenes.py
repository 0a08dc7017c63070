"""Moving scenes for the sample: procedural views with texture, movement and grain, drawn straight in limited-range Y'CbCr."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 1280, 720

Plane = NDArray[np.uint8]
Colour = tuple[int, int, int]
"""Y, Cb, Cr in 8-bit limited-range code values."""


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """One 4:2:0 picture: ``y`` is ``(720, 1280)``, ``u`` and ``v`` half of that each way."""

    y: Plane
    u: Plane
    v: Plane

    @classmethod
    def plain(cls, colour: Colour) -> Picture:
        """One colour all over."""
        y, u, v = colour
        half = (HEIGHT // 2, WIDTH // 2)
        return cls(np.full((HEIGHT, WIDTH), y, np.uint8), np.full(half, u, np.uint8), np.full(half, v, np.uint8))

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        """Y, U, V."""
        return self.y, self.u, self.v

    def map(self, change: Callable[[Plane], Plane]) -> Picture:
        """The same change to each plane."""
        return Picture(*(change(plane) for plane in self.planes))

    def mix(self, other: Picture, share: float) -> Picture:
        """A dissolve: ``share`` of the other picture, 0 to 1."""
        pairs = zip(self.planes, other.planes, strict=True)
        return Picture(*(_u8(cv2.addWeighted(a, 1 - share, b, share, 0)) for a, b in pairs))


@dataclass(frozen=True)
class Look:
    """How a view looks and moves. Speeds are pixels a frame; ``turn`` is degrees, ``zoom`` a factor, a frame."""

    dark: Colour
    light: Colour
    speed: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    turn: float = 0.0
    scale: int = 4
    detail: float = 0.6
    horizon: float | None = None
    columns: bool = False
    lights: int = 0
    figures: int = 0


@dataclass(frozen=True)
class Scene:
    """A camera moving over a large texture, with figures or lights of their own. A picture depends on its number alone."""

    seed: int
    look: Look

    @functools.cached_property
    def _backdrop(self) -> tuple[Plane, Plane, Plane]:
        rng = np.random.default_rng(self.seed)
        look = self.look
        w, h = WIDTH * 5 // 4, HEIGHT * 5 // 4
        texture = fractal(rng, w, h, look.scale, 7, look.detail)
        tint = fractal(rng, w // 2, h // 2, max(2, look.scale // 2), 3, 0.5)
        if look.columns:
            texture *= 0.45 + 0.55 * fractal(rng, w, 4, 24, 3, 0.7)[:1]
        if look.horizon is not None:
            line = (np.linspace(0, 1, h, dtype=np.float32) < look.horizon)[:, None]
            sky = np.linspace(0.95, 0.6, h, dtype=np.float32)[:, None] + 0.15 * (texture - 0.5)
            texture = np.where(line, sky, texture * 0.7).astype(np.float32)
            tint = np.where(line[::2][: h // 2], 0.95, tint * 0.6).astype(np.float32)
        return (
            _between(texture, look.dark[0], look.light[0]),
            _between(tint, look.dark[1], look.light[1]),
            _between(tint, look.dark[2], look.light[2]),
        )

    @functools.cached_property
    def _sprites(self) -> list[tuple[Colour, NDArray[np.float64]]]:
        """Colour, and x, y, vx, vy, width, height, swing."""
        rng = np.random.default_rng(self.seed + 1000)
        made: list[tuple[Colour, NDArray[np.float64]]] = []
        for number in range(self.look.lights + self.look.figures):
            lamp = number < self.look.lights
            size = rng.uniform((8, 8), (40, 40)) if lamp else rng.uniform((30, 90), (70, 190))
            luma = rng.integers(150, 220) if lamp else rng.integers(40, 190)
            colour = (int(luma), int(rng.integers(80, 176)), int(rng.integers(80, 176)))
            place = rng.uniform((0, HEIGHT * 0.2, -5, -1), (WIDTH, HEIGHT * 0.9, 5, 1))
            made.append((colour, np.concatenate([place, [size[0], size[0] if lamp else size[1], rng.uniform(0, 6.28)]])))
        return made

    def draw(self, number: int) -> Picture:
        """The scene's picture of that number."""
        y, u, v = self._backdrop
        matrix = self._camera(number)
        half = matrix.copy()
        half[:, 2] /= 2
        picture = Picture(
            _warp(y, matrix, (WIDTH, HEIGHT)),
            _warp(u, half, (WIDTH // 2, HEIGHT // 2)),
            _warp(v, half, (WIDTH // 2, HEIGHT // 2)),
        )
        for colour, sprite in self._sprites:
            _place(picture, colour, sprite, number)
        return Picture(_grain(picture.y, self.seed, number), picture.u, picture.v)

    def _camera(self, number: int) -> NDArray[np.float64]:
        """From the picture's coordinates to the backdrop's."""
        look = self.look
        size, angle = look.zoom**-number, math.radians(look.turn * number)
        cos, sin = size * math.cos(angle), size * math.sin(angle)
        cx, cy = WIDTH / 2, HEIGHT / 2
        bx = WIDTH * 5 / 8 + look.speed[0] * number
        by = HEIGHT * 5 / 8 + look.speed[1] * number
        return np.array([[cos, -sin, bx - cos * cx + sin * cy], [sin, cos, by - sin * cx - cos * cy]])


def fractal(rng: np.random.Generator, width: int, height: int, scale: int, octaves: int, rough: float) -> NDArray[np.float32]:
    """Value noise in 0–1: ``octaves`` random grids, each finer by two and fainter by ``rough``."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        columns = scale << octave
        grid = rng.random((max(2, columns * height // width) + 1, columns + 1), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(rough**octave)
    low, high = float(total.min()), float(total.max())
    return ((total - low) / (high - low)).astype(np.float32)


def _between(share: NDArray[np.float32], low: int, high: int) -> Plane:
    return np.rint(low + share * (high - low)).astype(np.uint8)


def _warp(plane: Plane, matrix: NDArray[np.float64], size: tuple[int, int]) -> Plane:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return _u8(cv2.warpAffine(plane, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT))


def _place(picture: Picture, colour: Colour, sprite: NDArray[np.float64], number: int) -> None:
    """Draw one figure or light into the picture's planes."""
    x, y, vx, vy, w, h, phase = sprite
    cx = (x + vx * number) % (WIDTH + 2 * w) - w
    cy = y + vy * number + 6 * math.sin(phase + number / 5)
    for plane, value, divide in zip(picture.planes, colour, (1, 2, 2), strict=True):
        # Four fractional bits: figures move by less than a pixel.
        centre = (round(cx * 16 / divide), round(cy * 16 / divide))
        axes = (round(w * 16 / divide), round(h * 16 / divide))
        cv2.ellipse(plane, centre, axes, 0.0, 0.0, 360.0, value, -1, cv2.LINE_AA, 4)


def _grain(plane: Plane, seed: int, number: int) -> Plane:
    """Film grain of about one and a half code values, another one for each picture."""
    more, less = _noise()
    shift = (number * 7919 + seed * 104729) % (more.size - plane.size)
    part = slice(shift, shift + plane.size)
    grown = cv2.add(plane, more[part].reshape(plane.shape))
    return _u8(cv2.subtract(grown, less[part].reshape(plane.shape)))


@functools.lru_cache(maxsize=1)
def _noise() -> tuple[Plane, Plane]:
    """What grain adds and what it takes away, longer than a picture so that each may begin elsewhere in it."""
    values = np.rint(np.random.default_rng(0).normal(0, 1.5, WIDTH * HEIGHT + (1 << 18)))
    return np.maximum(values, 0).astype(np.uint8), np.maximum(-values, 0).astype(np.uint8)


def _u8(array: object) -> Plane:
    return np.asarray(array, dtype=np.uint8)
