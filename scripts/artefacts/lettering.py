"""Burnt-in timecode, and what looks like it and is none: titles, dates, telephone numbers, prices."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from processors.signals.still_planes import Floats

Draw = Callable[[str, int], Floats]
"""From a text and a height in pixels to a mask of it, 0 to 1."""

HERSHEY = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
_SEGMENTS = {
    "0": "abcdef", "1": "bc", "2": "abdeg", "3": "abcdg", "4": "bcfg", "5": "acdfg", "6": "acdefg", "7": "abc", "8": "abcdefg",
    "9": "abcdfg",
}  # fmt: skip
_LINES = {
    "a": ((0, 0), (1, 0)), "b": ((1, 0), (1, 1)), "c": ((1, 1), (1, 2)), "d": ((0, 2), (1, 2)), "e": ((0, 1), (0, 2)),
    "f": ((0, 0), (0, 1)), "g": ((0, 1), (1, 1)),
}  # fmt: skip
_OVER = 4
_WORDS = [
    "THE",
    "QUIET",
    "HARBOUR",
    "DIRECTED",
    "BY",
    "NOBODY",
    "NEXT",
    "WEEK",
    "NEWS",
    "LIVE",
    "Somewhere",
    "in",
    "the",
    "north",
    "please",
    "call",
    "again",
    "GOAL",
    "Tonight",
]


def drawers(rng: np.random.Generator) -> Draw:
    """A typeface by chance: stroked, outlined, or of seven segments."""
    kind = rng.random()
    if kind < 0.2:
        return _seven_segments
    if kind < 0.6:
        font, weight = int(rng.choice(HERSHEY)), float(rng.uniform(0.08, 0.16))
        return lambda text, height: _hershey(text, height, font, weight)
    face, weight = str(rng.choice(["sans", "serif"])), int(rng.choice([400, 600, 800]))
    return lambda text, height: _outlined(text, height, face, weight)


def _hershey(text: str, height: int, font: int, weight: float) -> Floats:
    tall = height * _OVER
    thick = max(1, round(tall * weight))
    scale = cv2.getFontScaleFromHeight(font, tall, thick)
    (width, up), down = cv2.getTextSize(text, font, scale, thick)
    mask = np.zeros((up + down + 2 * thick, width + 2 * thick), np.uint8)
    cv2.putText(mask, text, (thick, up + thick), font, scale, 255, thick, cv2.LINE_AA)
    return _seen(mask)


def _outlined(text: str, height: int, face: str, weight: int) -> Floats:
    size = round(height * _OVER * 1.4)
    font = cv2.FontFace(face)
    mask = np.zeros((2 * size, size * len(text)), np.uint8)
    cv2.putText(mask, text, (size // 4, int(1.5 * size)), 255, font, size, weight)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return _hershey(text, height, cv2.FONT_HERSHEY_DUPLEX, 0.1)
    return _seen(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _seven_segments(text: str, height: int) -> Floats:
    tall = height * _OVER
    wide, thick = tall // 2, max(2, tall // 9)
    mask = np.zeros((tall + 2 * thick, (wide + 3 * thick) * len(text) + 2 * thick), np.uint8)
    x = 2 * thick
    for letter in text:
        for segment in _SEGMENTS.get(letter, ""):
            ends = [(x + a * wide, thick + b * tall // 2) for a, b in _LINES[segment]]
            cv2.line(mask, ends[0], ends[1], 255, thick)
        if letter in ":;":
            for y in (tall // 3, 2 * tall // 3):
                cv2.circle(mask, (x + thick, y + thick), max(1, thick * 2 // 3), 255, -1)
        x += wide + 3 * thick if letter in _SEGMENTS else 3 * thick
    return _seen(mask[:, : x + thick])


def _seen(mask: np.ndarray) -> Floats:
    height, width = (max(1, side // _OVER) for side in mask.shape)
    small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def timecode_text(rng: np.random.Generator) -> str:
    """``HH:MM:SS:FF``, with ``;`` before the frames where frames are dropped."""
    hours = int(rng.choice([0, 1, 10, int(rng.integers(0, 24))]))
    mark = ";" if rng.random() < 0.2 else ":"
    return f"{hours:02d}:{rng.integers(0, 60):02d}:{rng.integers(0, 60):02d}{mark}{rng.integers(0, 25):02d}"


def other_text(rng: np.random.Generator) -> str:
    """Text that is no timecode, half of it with digits."""
    digits = "".join(str(d) for d in rng.integers(0, 10, 11))
    words = " ".join(rng.choice(_WORDS, int(rng.integers(1, 4))))
    forms = (
        words, words, words.upper(), f"{digits[:2]}:{digits[2:4]}", f"{digits[:2]}.{digits[2:4]}.{digits[4:8]}", digits[:4],
        f"{digits[:4]} {digits[4:7]} {digits[7:]}", digits, f"{digits[0]} - {digits[1]}",
        f"${digits[:3]},{digits[3:6]}.{digits[6:8]}",
        f"{words[:5]} {digits[:3]}", f"{digits[:4]}X{digits[4:7]}", f"{digits[:3]}-{digits[3:6]}-{digits[6:10]}",
    )  # fmt: skip
    return str(rng.choice(forms))


def burn(
    rng: np.random.Generator, luma: Floats, text: str, draw: Draw, height: int, at: tuple[int, int] | None = None
) -> Floats:
    """Text over a picture's luma in one of the usual styles: plain, outlined, or on a box. ``at`` is its left and top."""
    mask = draw(text, height)
    tall, wide = mask.shape
    if at is None:
        slack = round(0.3 * wide)
        x = int(rng.integers(min(-slack, luma.shape[1] - wide), max(luma.shape[1] - wide + slack, 1)))
        y = int(rng.integers(0, max(1, luma.shape[0] - tall)))
    else:
        x, y = at
    pad = int(rng.integers(1, 6))
    over = np.zeros((luma.shape[0] + 2 * tall + 24, luma.shape[1] + 2 * wide + 24), np.float32)
    ox, oy = wide + 12, tall + 12
    over[oy + y : oy + y + tall, ox + x : ox + x + wide] = mask
    made = luma.copy()
    style = rng.random()
    if style < 0.45:
        box = (slice(max(0, y - pad), max(0, y + tall + pad)), slice(max(0, x - pad), max(0, x + wide + pad)))
        opacity = np.float32(rng.choice([1.0, rng.uniform(0.5, 0.9)]))
        dark = np.float32(rng.uniform(16, 50))
        made[box] += opacity * (dark - made[box])
    elif style < 0.75:
        edge = cv2.GaussianBlur(cv2.dilate(over, np.ones((3, 3), np.uint8)), (0, 0), 0.5)
        edge = edge[oy : oy + luma.shape[0], ox : ox + luma.shape[1]]
        made += edge * (np.float32(16) - made)
    inner = over[oy : oy + luma.shape[0], ox : ox + luma.shape[1]]
    value = np.float32(rng.uniform(170, 235)) if style < 0.9 else np.float32(rng.uniform(16, 60))
    made += inner * (value - made)
    return made
