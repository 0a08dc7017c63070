"""Defects that are put into pictures: what a bad tape, a bad decoder and a bad deinterlacer leave."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.signals.still_planes import PATCH, Floats
from scripts.artefacts.pictures import Plane, Planes

KERNELS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
_BLOCK = 16
_SEAM = 10.0


def copy(planes: Planes) -> Planes:
    """Planes of its own."""
    y, u, v = planes
    return y.copy(), u.copy(), v.copy()


def macroblocks(rng: np.random.Generator, planes: Planes, other: Planes) -> Planes:
    """Runs of macroblocks that are lost: taken from elsewhere or another picture, flat, grey, green, or garbage."""
    made = copy(planes)
    height, width = planes[0].shape
    phase = (int(rng.integers(0, 2)) * 8, int(rng.integers(0, 2)) * 8)
    columns, rows = (width - phase[0]) // _BLOCK, (height - phase[1]) // _BLOCK
    first = int(rng.integers(0, rows))
    kind = rng.choice(["moved", "other", "flat", "grey", "green", "garbage", "smear"])
    shift = rng.integers(-40, 41, 2)
    stray = 0.15 if rng.random() < 0.5 else 0.0
    lines = range(first, min(rows, first + int(rng.choice([1, 1, 2, 3, 6]))))
    start = int(rng.integers(0, columns))
    for row in lines:
        end = columns if rng.random() < 0.5 else int(rng.integers(start + 1, columns + 1))
        for column in range(start, end):
            x, y = phase[0] + column * _BLOCK, phase[1] + row * _BLOCK
            wrong = "garbage" if rng.random() < stray else kind
            _lose(rng, made, planes, other, x, y, str(wrong), shift)
        start = 0 if rng.random() < 0.7 else int(rng.integers(0, columns))
    return made


def _lose(
    rng: np.random.Generator, made: Planes, planes: Planes, other: Planes, x: int, y: int, kind: str, shift: NDArray[np.int64]
) -> None:
    jump = rng.integers(-4, 5, 2) if rng.random() < 0.3 else np.zeros(2, int)
    noise = _garbage(rng)
    for number, divide in enumerate((1, 2, 2)):
        size = _BLOCK // divide
        x0, y0 = x // divide, y // divide
        target = made[number][y0 : y0 + size, x0 : x0 + size]
        if kind in ("moved", "other"):
            source = planes[number] if kind == "moved" else other[number]
            sx = int(np.clip(x0 + (shift[0] + jump[0]) // divide, 0, source.shape[1] - size))
            sy = int(np.clip(y0 + (shift[1] + jump[1]) // divide, 0, source.shape[0] - size))
            target[:] = source[sy : sy + size, sx : sx + size][: target.shape[0], : target.shape[1]]
        elif kind == "flat":
            target[:] = int(target.mean())
        elif kind == "grey":
            target[:] = 128
        elif kind == "green":
            target[:] = 16 if number else 60
        elif kind == "smear":
            target[:] = made[number][max(0, y0 - 1), x0 : x0 + size][None]
        elif number == 0:
            target[:] = np.clip(target.astype(np.float32) + noise, 16, 235).astype(np.uint8)
        elif rng.random() < 0.5:
            target[:] = np.clip(target.astype(int) + int(rng.normal(0, 40)), 16, 240)


def _garbage(rng: np.random.Generator) -> Floats:
    """A block of wrong coefficients: four 8x8 transforms with a few large numbers."""
    block = np.zeros((_BLOCK, _BLOCK), np.float32)
    for y in (0, 8):
        for x in (0, 8):
            coefficients = np.zeros((8, 8), np.float32)
            for _ in range(int(rng.integers(1, 5))):
                u, v = (rng.integers(0, 8, 2) * rng.random(2)).astype(int)
                coefficients[v, u] = rng.normal(0, 260)
            block[y : y + 8, x : x + 8] = cv2.idct(coefficients)
    return block


def dropouts(rng: np.random.Generator, planes: Planes) -> Planes:
    """Streaks of lost tape signal: one to three lines, white or black, with a hard start and a tail; or lines of noise."""
    made = copy(planes)
    y, height, width = made[0], *planes[0].shape
    for _ in range(int(rng.choice([1, 2, 4, 9]))):
        row, thick = int(rng.integers(1, height - 4)), int(rng.choice([1, 1, 2, 3]))
        length = int(rng.uniform(24, min(width, 320)))
        left = int(rng.integers(-length // 3, width - length // 2))
        x0, x1 = max(left, 0), min(left + length, width)
        reach = np.arange(x0 - left, x1 - left, dtype=np.float32) / length
        strength = np.where(rng.random() < 0.5, 1.0, np.exp(-2.5 * reach)) * rng.uniform(0.6, 1.0)
        if rng.random() < 0.25:
            strength = strength * (rng.random(x1 - x0) < 0.75)
        level = 235 if rng.random() < 0.7 else 16
        for line in range(thick):
            part = y[row + line, x0:x1].astype(np.float32)
            value = level + rng.normal(0, 12, x1 - x0)
            y[row + line, x0:x1] = np.clip(part + strength * (value - part), 16, 235)
    if rng.random() < 0.2:
        row, thick = int(rng.integers(0, height - 8)), int(rng.integers(2, 8))
        noise = cv2.GaussianBlur(rng.normal(0, 90, (thick, width)).astype(np.float32), (7, 1), 1.5)
        y[row : row + thick] = np.clip(y[row : row + thick] + noise, 16, 235).astype(np.uint8)
    return made


def combing(rng: np.random.Generator, first: Planes, second: Planes) -> Planes:
    """Two fields of different times in one picture: as they are, half blended, or scaled in height afterwards."""
    parity = int(rng.integers(0, 2))
    kind = rng.random()
    woven = []
    for a, b in zip(first, second, strict=True):
        plane = a.copy()
        plane[parity::2] = b[parity::2]
        if 0.35 < kind < 0.6:
            blend = (a.astype(np.uint16) + b) // 2
            share = 0.6 + 0.2 * (kind - 0.35) / 0.25
            plane = np.rint(share * plane + (1 - share) * blend).astype(np.uint8)
        woven.append(plane)
    if kind >= 0.6:
        factor = float(rng.uniform(1.1, 1.9))
        woven = [_stretch(plane, factor) for plane in woven]
    return woven[0], woven[1], woven[2]


def _stretch(plane: Plane, factor: float) -> Plane:
    """Taller by a factor, and the middle of that at the size it had."""
    height, width = plane.shape
    tall = cv2.resize(plane, (width, round(height * factor)), interpolation=cv2.INTER_CUBIC)
    top = (tall.shape[0] - height) // 2
    return np.asarray(tall[top : top + height], np.uint8)


def enlarge(planes: Planes, width: int, height: int, kernel: int) -> Planes:
    """To a larger size, each plane by itself."""
    sizes = ((width, height), (width // 2, height // 2), (width // 2, height // 2))
    y, u, v = (np.asarray(cv2.resize(p, s, interpolation=kernel), np.uint8) for p, s in zip(planes, sizes, strict=True))
    return y, u, v


def changed(before: Planes, after: Planes) -> float:
    """The share of 16x16 blocks whose luma differs by more than ten codes in the mean."""
    difference = np.abs(before[0].astype(np.int16) - after[0]).astype(np.float32)
    blocks = cv2.resize(
        difference, (difference.shape[1] // _BLOCK, difference.shape[0] // _BLOCK), interpolation=cv2.INTER_AREA
    )
    return float((blocks > 10).mean())


def seams(before: Planes, after: Planes) -> int:
    """How many edges of 8x8 blocks have become seams, in the patch of 128x128 (or all of what is smaller) that has most.

    A seam is a step at the edge that exceeds the steps one pixel to either side of it by more than ten codes, in the mean of
    the edge's eight pixels, and by ten more than it did before. Edges of things that stand elsewhere, and other moments of
    the picture without a border, are none: damage that leaves no seam is not what anybody could see in a still.
    """
    across = _standing(after[0]) - np.maximum(_standing(before[0]), 0) > _SEAM
    down = (_standing(after[0].T) - np.maximum(_standing(before[0].T), 0) > _SEAM).T
    rows, columns = (side // 8 for side in before[0].shape)
    count = np.zeros((rows, columns), np.int64)
    count[:, 1:] += across[:, : columns - 1]
    count[1:] += down[: rows - 1]
    window = (min(rows, PATCH // 8), min(columns, PATCH // 8))
    return int(np.lib.stride_tricks.sliding_window_view(count, window).sum(axis=(2, 3)).max())


def _standing(y: Plane) -> Floats:
    """How much the step at each upright edge of a block exceeds those beside it, ``(rows/8, columns/8 - 1)``."""
    rows, columns = (side // 8 * 8 for side in y.shape)
    step = np.abs(np.diff(y[:rows, :columns].astype(np.float32), axis=1))
    excess = step[:, 7::8] - np.maximum(step[:, 6:-1:8], step[:, 8::8])
    return np.asarray(excess.reshape(rows // 8, 8, -1).mean(axis=1), np.float32)
