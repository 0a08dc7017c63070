"""Thresholds' view of artefacts: one figure a class, larger where the defect is more likely. The network is held against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.signals.artefact_scores import CLASSES
from processors.signals.still_planes import LEAST, STRIP, Floats, StillPlanes

_COMB = 10.0
_STREAK = 22.0
_CALM = 12.0
_DIGIT_HEIGHTS = (6, 40)


def metrics(still: StillPlanes, names: Collection[str] = CLASSES) -> dict[str, float]:
    """The figures of one still by class, as far as they are asked for; NaN where the picture is too small."""
    block = min(still.y.shape) >= LEAST
    picture = still.picture.shape[0] >= STRIP[0] and still.picture.shape[1] >= STRIP[1]
    found = {name: figure(still.y) if block else math.nan for name, figure in _OF_BLOCK.items() if name in names}
    return found | ({"timecode": timecode(still.picture) if picture else math.nan} if "timecode" in names else {})


def macroblocks(y: Floats) -> float:
    """The largest share of a row of 8x8 blocks that stands out along straight edges of whole blocks on all sides."""
    rows, columns = (side // 8 * 8 for side in y.shape)
    y = y[:rows, :columns]
    across, down = _edges(y), _edges(y.T).T
    standing = (across[:, :-1] + across[:, 1:] + down[:-1] + down[1:]) / 4
    return float(np.sort(standing, axis=None)[-4:].mean()) if standing.size >= 4 else 0.0


def _edges(y: Floats) -> Floats:
    """How much each block's left and right edge exceeds what changes beside it, ``(rows/8, columns/8 + 1)``."""
    step = np.abs(np.diff(y, axis=1))
    at = step[:, 7::8]
    beside = np.maximum(step[:, 6:-1:8], step[:, 8::8]) if step.shape[1] > 8 else at[:, :0]
    excess = np.maximum(at[:, : beside.shape[1]] - beside, 0)
    blocks = excess.reshape(-1, 8, excess.shape[1]).min(axis=1)
    edge = np.zeros((blocks.shape[0], 1), np.float32)
    return np.concatenate([edge, blocks, *([edge] if blocks.shape[1] < y.shape[1] // 8 else [])], axis=1)


def dropout(y: Floats) -> float:
    """The longest run of pixels in a row that differ, all one way, from the lines around, which agree with each other."""
    longest = 0
    for thick in (1, 2, 3):
        middle, above, below = y[thick : -thick or None], y[: -2 * thick], y[2 * thick :]
        calm = np.abs(above - below) < _CALM
        for sign in (1, -1):
            odd = calm & (sign * middle - np.maximum(sign * above, sign * below) > _STREAK)
            longest = max(longest, _longest(odd))
    return float(longest)


def _longest(flags: NDArray[np.bool_]) -> int:
    """The longest run of set flags within a row."""
    padded = np.pad(flags, ((0, 0), (1, 1))).astype(np.int8).reshape(-1)
    change = np.diff(padded)
    runs = np.flatnonzero(change < 0) - np.flatnonzero(change > 0)
    return int(runs.max()) if len(runs) else 0


def combing(y: Floats) -> float:
    """The share of pixels that differ, one way, from both lines beside them, while every second line agrees."""
    up, here, down, far = y[:-3], y[1:-2], y[2:-1], y[3:]
    toothed = ((up - here) * (down - here) > _COMB**2) & ((here - down) * (far - down) > _COMB**2)
    toothed &= (np.abs(up - down) < _COMB) & (np.abs(here - far) < _COMB)
    return float(toothed.mean())


def upscaled(y: Floats) -> float:
    """How little of the spectrum lies near the limit: minus the logarithm of the upper band's power over the middle's."""
    rows, columns = y.shape
    window = np.outer(np.hanning(rows), np.hanning(columns))
    power = np.abs(np.fft.rfft2((y - y.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    upper, middle = power[(radius > 0.38) & (radius < 0.5)].mean(), power[(radius > 0.1) & (radius < 0.2)].mean()
    return float(-np.log10((upper + 1e-3) / (middle + 1e-3)))


def compression(y: Floats) -> float:
    """Blockiness with the period of eight: steps at the edges of blocks over steps inside them, both ways."""
    ratios = []
    for plane in (y, y.T):
        step = np.abs(np.diff(plane, axis=1))
        at = step[:, 7::8].mean() if step.shape[1] > 7 else 0.0
        inside = np.delete(step, np.s_[7::8], axis=1).mean()
        ratios.append((at + 0.1) / (inside + 0.1))
    return float(np.mean(ratios))


def timecode(picture: Floats) -> float:
    """The longest chain of equally tall marks in a line, to seven; eight where they stand in pairs, as ``HH:MM:SS:FF`` does."""
    best = 0
    for sign in (1, -1):
        top_hat = cv2.morphologyEx(sign * picture, cv2.MORPH_TOPHAT, np.ones((17, 17), np.uint8))
        marks = (top_hat > 60).astype(np.uint8)
        _, _, stats, centres = cv2.connectedComponentsWithStats(marks, connectivity=8)
        tall = stats[1:, cv2.CC_STAT_HEIGHT]
        fits = (tall >= _DIGIT_HEIGHTS[0]) & (tall <= _DIGIT_HEIGHTS[1]) & (stats[1:, cv2.CC_STAT_WIDTH] <= 1.1 * tall)
        best = max(best, _chain(np.column_stack([centres[1:], tall]).astype(np.float64)[fits]))
    return float(best)


def _chain(marks: NDArray[np.float64]) -> int:
    """The most marks of one height on one line that stand close; rows of ``marks`` are x, y and height."""
    best = 0
    for x, y, height in marks:
        line = marks[(np.abs(marks[:, 1] - y) < 0.15 * height) & (np.abs(marks[:, 2] - height) < 0.2 * height), 0]
        gaps = np.diff(np.sort(line[line >= x])) / height
        close = gaps < 1.9
        length = int(np.argmin(close)) if not close.all() else len(gaps)
        best = max(best, 8 if length >= 7 and _paired(gaps[:7]) else min(length + 1, 7))
    return best


def _paired(gaps: NDArray[np.float64]) -> bool:
    """Whether seven distances are those of four pairs: even ones alike, odd ones alike and larger."""
    within, between = gaps[::2], gaps[1::2]
    alike = float(np.ptp(within)) < 0.4 * float(within.mean()) and float(np.ptp(between)) < 0.4 * float(between.mean())
    return alike and float(between.min()) > 1.15 * float(within.mean())


_OF_BLOCK: dict[str, Callable[[Floats], float]] = {
    "macroblocks": macroblocks,
    "dropout": dropout,
    "combing": combing,
    "upscaled": upscaled,
    "compression": compression,
}
