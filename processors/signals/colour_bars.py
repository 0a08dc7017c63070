"""Colour bars: SMPTE EG 1, SMPTE RP 219 (HD) and EBU, at 75 or 100 %, told by seven colours in their places."""

from __future__ import annotations

import functools
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Model = Literal["gray", "yuv", "rgb"]

_COLOURS = ((1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1))
"""White, yellow, cyan, green, magenta, red and blue: luma falls from each to the next."""

_KR_KB = ((0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593))

_EQUAL = tuple((i + 0.5) / 7 for i in range(7))
_EIGHT = tuple((i + 0.5) / 8 for i in range(7))
_HD = tuple((1 + (i + 0.5) * 6 / 7) / 8 for i in range(7))
_LAYOUTS = (_EQUAL, _EIGHT, _HD)
"""Centres of the seven bars, as shares of the width: all of it; of eight, the last one black; between two grey panels."""

_HEIGHTS = (0.1, 0.3, 0.5)
"""Where all layouts have their bars, as shares of the height."""

_ASIDE = (-0.03, 0.0, 0.03)
"""Each bar is looked at in three places, so far from its centre."""

_TOLERANCE = 14
"""In 8-bit codes: what coding and rounding of matrices may change."""


def is_bars(planes: tuple[NDArray[Any], ...], model: Model, bit_depth: int, *, full_range: bool, area: tuple[int, ...]) -> bool:
    """Whether a picture is colour bars. ``area`` is its active area: rows ``[top, bottom)`` and columns ``[left, right)``.

    Sought in the active area and in the whole picture. Most pictures are refused after seven pixels a layout.
    """
    if model == "gray" or len(planes) != 3:
        return False
    whole = (0, planes[0].shape[0], 0, planes[0].shape[1])
    lead = planes[1] if model == "rgb" else planes[0]
    for place in (whole, area) if area[0] >= 0 and area != whole else (whole,):
        for layout in _LAYOUTS:
            if _falls(lead, place, layout, model) and _matches(planes, place, layout, _expected(model, full_range), bit_depth):
                return True
    return False


def _falls(luma: NDArray[Any], place: tuple[int, ...], layout: tuple[float, ...], model: Model) -> bool:
    """Whether luma falls from bar to bar half-way down the bars (of RGB, whether green is as it must be)."""
    top, bottom, left, right = place
    row = luma[top + int(_HEIGHTS[1] * (bottom - top))]
    if model == "rgb":
        codes = [int(row[left + int(x * (right - left))]) for x in layout]
        return min(codes[:4]) > max(codes[4:])
    last = 1 << 16
    for x in layout:
        code = int(row[left + int(x * (right - left))])
        if code >= last:
            return False
        last = code
    return True


def _matches(
    planes: tuple[NDArray[Any], ...],
    place: tuple[int, ...],
    layout: tuple[float, ...],
    expected: NDArray[np.float64],
    bit_depth: int,
) -> bool:
    top, bottom, left, right = place
    height, width = planes[0].shape
    rows = np.array([top + y * (bottom - top) for y in _HEIGHTS]) / height
    columns = np.array([[left + (x + aside) * (right - left) for aside in _ASIDE] for x in layout]) / width
    codes = np.stack([_pick(plane, rows, columns) for plane in planes], axis=-1) / (1 << (bit_depth - 8))
    near = np.abs(codes[None] - expected[:, None, :, None, :]) <= _TOLERANCE
    return bool(near.all(axis=(1, 2, 3, 4)).any())


def _pick(plane: NDArray[Any], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The samples at shares of height and width: shape (heights, bars, places)."""
    y, x = (rows * plane.shape[0]).astype(int), (columns * plane.shape[1]).astype(int)
    return np.asarray(plane[y[:, None, None], x[None]], np.float64)


@functools.lru_cache(maxsize=8)
def _expected(model: Model, full_range: bool) -> NDArray[np.float64]:
    """Codes of the seven bars, 8 bit, of each amplitude, white and matrix: shape (variants, 7, 3)."""
    found = []
    for amplitude, white, (kr, kb) in product((0.75, 1.0), (0.75, 1.0), _KR_KB):
        rgb = np.array(_COLOURS, np.float64) * amplitude
        rgb[0] = white
        if model == "rgb":
            found.append(rgb * 255)
            continue
        luma = rgb @ np.array([kr, 1 - kr - kb, kb])
        blue, red = (rgb[:, 2] - luma) / (2 - 2 * kb), (rgb[:, 0] - luma) / (2 - 2 * kr)
        spans = (255.0, 255.0, 0.0) if full_range else (219.0, 224.0, 16.0)
        found.append(np.stack([spans[2] + spans[0] * luma, 128 + spans[1] * blue, 128 + spans[1] * red], axis=1))
    return np.array(found)
