"""Bars, slate, titles and credits: what is drawn with rulers and letters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from processors.sample.scenes import HEIGHT, WIDTH, Colour, Picture, Plane

BLACK: Colour = (16, 128, 128)
_SLATE: Colour = (70, 128, 128)
_CREDITS: Colour = (52, 138, 122)
_WHITE = 225
_FONT = cv2.FONT_HERSHEY_DUPLEX

_BAR_EDGES = (0, 182, 366, 548, 732, 914, 1098, 1280)
_BARS = ((1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1))
_CASTELLATIONS = ((0, 0, 1), (0, 0, 0), (1, 0, 1), (0, 0, 0), (0, 1, 1), (0, 0, 0), (1, 1, 1))
_MINUS_I: Colour = (57, 156, 97)
_PLUS_Q: Colour = (44, 171, 147)
_FOOT = ((0, 228, _MINUS_I), (228, 456, (235, 128, 128)), (456, 684, _PLUS_Q), (684, 1280, BLACK))
_PLUGE = (960, 1040, (24, 128, 128))
"""The patch 4 % over black; the one under black is left out, since a file with it has illegal levels."""


def code(red: float, green: float, blue: float) -> Colour:
    """8-bit limited-range BT.709 code values of R'G'B' in 0–1."""
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (
        round(16 + 219 * luma),
        round(128 + 224 * (blue - luma) / 1.8556),
        round(128 + 224 * (red - luma) / 1.5748),
    )


def bars() -> Picture:
    """75 % colour bars after SMPTE EG 1, without a patch under black."""
    picture = Picture.plain(BLACK)
    for number, (left, right) in enumerate(pairwise(_BAR_EDGES)):
        red, green, blue = _BARS[number]
        _fill(picture, code(0.75 * red, 0.75 * green, 0.75 * blue), left, right, 0, 480)
        red, green, blue = _CASTELLATIONS[number]
        _fill(picture, code(0.75 * red, 0.75 * green, 0.75 * blue), left, right, 480, 540)
    for left, right, colour in _FOOT:
        _fill(picture, colour, left, right, 540, HEIGHT)
    left, right, colour = _PLUGE
    _fill(picture, colour, left, right, 540, HEIGHT)
    return picture


def slate(lines: Sequence[str]) -> Picture:
    """A title card, lines of text from the top."""
    picture = Picture.plain(_SLATE)
    cv2.rectangle(picture.y, (60, 60), (WIDTH - 60, HEIGHT - 60), _WHITE, 3)
    for number, line in enumerate(lines):
        write(picture.y, line, 120, 170 + 90 * number, 1.6)
    return picture


def roll(lines: Sequence[str], number: int, frames: int) -> Picture:
    """Rolling credits: the picture of that number of a roll that takes ``frames``."""
    picture = Picture.plain(_CREDITS)
    pitch = 80
    travel = HEIGHT + pitch * len(lines)
    top = HEIGHT - round(travel * number / frames)
    for place, line in enumerate(lines):
        y = top + pitch * (place + 1)
        if -pitch < y < HEIGHT + pitch:
            (width, _), _ = cv2.getTextSize(line, _FONT, 1.4, 2)
            write(picture.y, line, (WIDTH - width) // 2, y, 1.4)
    return picture


def burn(picture: Picture, text: str) -> Picture:
    """Text burnt into the lower third, white on a dark box."""
    y = picture.y.copy()
    (width, height), _ = cv2.getTextSize(text, _FONT, 1.5, 3)
    cv2.rectangle(y, (80, 600 - height - 24), (120 + width, 624), 30, -1)
    write(y, text, 100, 600, 1.5)
    return Picture(y, picture.u, picture.v)


def letterbox(picture: Picture, bar: int) -> Picture:
    """Black over the top and bottom ``bar`` lines (an even number)."""
    masked = picture.map(np.copy)
    for plane, value, lines in zip(masked.planes, BLACK, (bar, bar // 2, bar // 2), strict=True):
        plane[:lines] = value
        plane[-lines:] = value
    return masked


def write(plane: Plane, text: str, x: int, y: int, size: float) -> None:
    """Draw one line of text, its foot at ``y``."""
    cv2.putText(plane, text, (x, y), _FONT, size, _WHITE, 3, cv2.LINE_AA)


def _fill(picture: Picture, colour: Colour, left: int, right: int, top: int, bottom: int) -> None:
    for plane, value, divide in zip(picture.planes, colour, (1, 2, 2), strict=True):
        plane[top // divide : bottom // divide, left // divide : right // divide] = value
