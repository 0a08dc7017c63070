"""Seeded defects of picture, spliced into excerpts of real clips: many of them only just past the limit of the definition.

Each function takes an excerpt and a generator and gives the frames with the defect and where it is, or ``None`` where the
excerpt does not lend itself to it (a flash that the picture hides, a bar beside a dark edge): that is decided here from the
pixels, by the definition, and not by asking what is to be tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.accuracy.excerpts import FRAMES, Excerpt, Planes

SECONDS_2 = 50
"""Frames at 25 a second."""


@dataclass(frozen=True, slots=True, repr=False)
class Seeded:
    """Frames with a defect in ``[start, end)``; ``near`` says what about it is close to the limit."""

    pictures: list[Planes]
    start: int
    end: int
    near: str


Plant = Callable[[Excerpt, np.random.Generator], Seeded | None]


def place_for(rng: np.random.Generator, length: int) -> tuple[int, int]:
    start = int(rng.integers(5, FRAMES - length - 5))
    return start, start + length


def frames_of(excerpt: Excerpt) -> list[Planes]:
    return [list(planes) for planes in excerpt.frames]


def _plain(excerpt: Excerpt, luma: int, u: int = 128, v: int = 128) -> Planes:
    """One colour, in 8-bit codes."""
    codes = zip(excerpt.frames[0], (luma, u, v), strict=True)
    return [np.full(plane.shape, code * excerpt.unit, plane.dtype) for plane, code in codes]


def _add(plane: NDArray[Any], noise: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    return np.asarray((plane.astype(np.int32) + noise).clip(low, high), plane.dtype)


def black(excerpt: Excerpt, rng: np.random.Generator) -> Seeded:
    """Luma up to 10 % of the range, over 98 % of the picture or more, for 2 s or a few frames more."""
    start, end = place_for(rng, SECONDS_2 + int(rng.integers(0, 3)))
    limit = int(16 * excerpt.unit + 0.1 * 219 * excerpt.unit)
    level = int(rng.choice([16 * excerpt.unit, limit - 6 * excerpt.unit, limit - 1, limit]))
    share = float(rng.choice([0.0, 0.01, 0.019]))
    pictures = frames_of(excerpt)
    for k in range(start, end):
        picture = _plain(excerpt, 16)
        noise = rng.integers(-3, 4, picture[0].shape) * excerpt.unit
        picture[0] = _add(np.full_like(picture[0], level), np.minimum(noise, limit - level), 0, limit)
        bright = round(picture[0].size * share)
        picture[0].reshape(-1)[:bright] = 180 * excerpt.unit
        pictures[k] = picture
    return Seeded(pictures, start, end, f"{(end - start) / 25:.2f} s, luma up to {level}, {share:.1%} bright")


def freeze(excerpt: Excerpt, rng: np.random.Generator) -> Seeded | None:
    """A picture that stays for 2 s or a few frames more, under noise of up to 0.95 of what a freeze may have."""
    start, end = place_for(rng, SECONDS_2 + int(rng.integers(0, 3)))
    share = float(rng.choice([0.0, 0.1, 0.22, 0.243]))  # of samples that are off by one 8-bit code: 0.256 is the limit
    pictures = frames_of(excerpt)
    first = pictures[start]
    if _difference(excerpt, pictures[start - 1], first) < 0.0011:
        return None  # the clip itself hardly moves there: a run that begins earlier has another first frame
    steps = [(rng.random(plane.shape) < share * 0.98).astype(np.int32) * excerpt.unit for plane in first]
    for k in range(start + 1, end):
        turn, sign = int(rng.integers(0, 1 << 20)), int(rng.choice([-1, 1]))
        pictures[k] = [
            _add(plane, sign * np.roll(step, turn), 0, 255 * excerpt.unit) for plane, step in zip(first, steps, strict=True)
        ]
    return Seeded(pictures, start, end, f"{(end - start) / 25:.2f} s, noise {share / 256:.5f}")


def flash_frame(excerpt: Excerpt, rng: np.random.Generator) -> Seeded | None:
    """One to three frames of one colour that differ from both neighbours by 2 % of full scale more than these move."""
    start, end = place_for(rng, int(rng.integers(1, 4)))
    pictures = frames_of(excerpt)
    luma, u, v = int(rng.integers(16, 236)), int(rng.integers(90, 166)), int(rng.integers(90, 166))
    deviation = float(rng.choice([0.0, 0.8, 1.6]))
    for k in range(start, end):
        pictures[k] = [
            _add(plane, np.rint(rng.normal(0, deviation * excerpt.unit, plane.shape)), 0, 255 * excerpt.unit)
            for plane in _plain(excerpt, luma, u, v)
        ]
    far, into = (_difference(excerpt, pictures[start + k - 2], pictures[start + k - 1]) for k in (0, 1))
    out, beyond = (_difference(excerpt, pictures[end + k - 1], pictures[end + k]) for k in (0, 1))
    edges = min(into, abs(into - far)), min(out, abs(out - beyond))
    return Seeded(pictures, start, end, f"{end - start} frames, edge {min(edges):.4f}") if min(edges) >= 0.0201 else None


def letterbox(excerpt: Excerpt, rng: np.random.Generator) -> Seeded | None:
    """Bars of 1 % of the picture or more, on two opposite sides or all, where the picture beside them is bright enough."""
    start, end = place_for(rng, SECONDS_2 + int(rng.integers(0, 3)))
    height, width = excerpt.frames[0][0].shape
    axes = [(True, False), (False, True), (True, True)][rng.integers(3)]
    bars = [max(4, -(-length // 100)) + int(rng.choice([0, 1, length // 25, length // 9])) if on else 0
            for on, length in zip(axes, (height, width), strict=True)]  # fmt: skip
    level = int(rng.choice([16, 18, 22]))
    pictures = frames_of(excerpt)
    for k in range(start, end):
        picture = _plain(excerpt, level)
        for plane, inside in zip(picture, pictures[k], strict=True):
            y, x = (round(bar * side / whole) for bar, side, whole in zip(bars, plane.shape, (height, width), strict=True))
            place = slice(y, plane.shape[0] - y), slice(x, plane.shape[1] - x)
            plane[place] = inside[place]
        pictures[k] = picture
        for axis, bar in enumerate(bars):
            means = picture[0].mean(axis=1 - axis) / excerpt.unit
            lines = (means, means[::-1])
            if bar and not all(side[bar] >= 25.5 and side[bar + 2] - side[bar - 2] >= 8.5 for side in lines):
                return None
    return Seeded(pictures, start, end, f"{(end - start) / 25:.2f} s, bars of {bars[0]} and {bars[1]} pixels at {level}")


def out_of_range(excerpt: Excerpt, rng: np.random.Generator) -> Seeded | None:
    """More than 1 % of all samples outside the legal range, in luma or chroma, in five frames or more."""
    if "video.out_of_range" in excerpt.codes:
        return None
    start, end = place_for(rng, int(rng.choice([5, 6, 12, 25])))
    share, chroma = float(rng.choice([0.0102, 0.011, 0.02, 0.05])), bool(rng.random() < 0.4)
    level = excerpt.unit * int(rng.choice([15, 241]) if chroma else rng.choice([15, 236]))
    level += excerpt.unit - 1 if level < 100 * excerpt.unit else 0
    pictures = frames_of(excerpt)
    count = int(sum(plane.size for plane in excerpt.frames[0]) * share) + 1
    for k in range(start, end):
        picture = excerpt.picture(k)
        left = count
        for plane in picture[1:] if chroma else picture[:1]:
            part = min(left, plane.size)
            plane.reshape(-1)[-part:] = level
            left -= part
            if not left:
                break
        pictures[k] = picture
    return Seeded(pictures, start, end, f"{end - start} frames, {share:.2%} of samples at {level}")


def bars(excerpt: Excerpt, rng: np.random.Generator) -> Seeded:
    """Colour bars of three layouts and two amplitudes, for 1 s or a few frames more, under faint noise."""
    start, end = place_for(rng, 25 + int(rng.integers(0, 3)))
    pictures = frames_of(excerpt)
    deviation = float(rng.choice([0.0, 1.0, 2.5]))
    shown = colour_bars(excerpt, str(rng.choice(["smpte", "hd", "ebu"])), float(rng.choice([0.75, 1.0])))
    for k in range(start, end):
        noise = np.rint(rng.normal(0, deviation * excerpt.unit, shown[0].shape))
        pictures[k] = [_add(shown[0], noise, 0, 255 * excerpt.unit), *shown[1:]]
    return Seeded(pictures, start, end, f"{(end - start) / 25:.2f} s, noise {deviation}")


def slate(excerpt: Excerpt, rng: np.random.Generator) -> Seeded:
    """A slate of 1 s or more, up to 2 s after bars."""
    length, pause = 25 + int(rng.integers(0, 10)), int(rng.choice([0, 5, 20, 24]))
    first = int(rng.integers(2, 8))
    start = first + 12 + pause
    pictures = frames_of(excerpt)
    shown = colour_bars(excerpt, "smpte", 0.75)
    for k in range(first, first + 12):
        pictures[k] = list(shown)
    card = _plain(excerpt, int(rng.choice([16, 40, 70])))
    height, width = card[0].shape
    text = np.zeros((height, width), np.uint8)
    for line in range(int(rng.integers(4, 8))):
        words = "".join(rng.choice(list("ABCDEHKLMNPRSTUVXYZ0123456789 :"), 24))
        cv2.putText(
            text,
            words,
            (width // 12, height // 6 + line * height // 9),
            cv2.FONT_HERSHEY_DUPLEX,
            width / 900,
            255,
            1 + width // 500,
            cv2.LINE_AA,
        )
    shares = text.astype(np.float64) / 255
    card[0] = np.rint(card[0] * (1 - shares) + 220 * excerpt.unit * shares).astype(card[0].dtype)
    for k in range(start, start + length):
        pictures[k] = list(card)
    return Seeded(pictures, start, start + length, f"{length / 25:.2f} s, {pause / 25:.2f} s after the bars")


def colour_bars(excerpt: Excerpt, layout: str, amplitude: float) -> Planes:
    """SMPTE EG 1, RP 219 or EBU bars in their main parts, as BT.709 limited-range codes of the excerpt's size and depth."""
    height, width = excerpt.frames[0][0].shape
    rgb = np.zeros((height, width, 3))
    if layout == "hd":
        rgb[...] = 0.4
    parts = 8 if layout == "ebu" else 7
    edges = [round((1 + i * 6 / 7) * width / 8) if layout == "hd" else round(i * width / parts) for i in range(8)]
    foot = {"hd": height * 7 // 12, "ebu": height, "smpte": height * 2 // 3}[layout]
    rgb[:, edges[-1] :], rgb[foot:] = (0.4 if layout == "hd" else 0.0), 0.0
    for number, (left, right) in enumerate(pairwise(edges)):
        rgb[:foot, left:right] = np.array(_BARS[number]) * amplitude
    luma = rgb @ np.array([0.2126, 0.7152, 0.0722])
    chroma = [(rgb[..., c] - luma) / (2 - 2 * k) for c, k in ((2, 0.0722), (0, 0.2126))]
    planes = [16 + 219 * luma, *(128 + 224 * c for c in chroma)]
    found = []
    for plane, like in zip(planes, excerpt.frames[0], strict=True):
        small = cv2.resize(plane, like.shape[::-1], interpolation=cv2.INTER_NEAREST)
        found.append(np.rint(small * excerpt.unit).astype(like.dtype))
    return found


_BARS = ((1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1))


def _difference(excerpt: Excerpt, a: Planes, b: Planes) -> float:
    """Mean absolute difference over all samples, as a share of full scale."""
    total = sum(int(np.abs(x.astype(np.int32) - y).sum()) for x, y in zip(a, b, strict=True))
    return total / sum(plane.size for plane in a) / (256 * excerpt.unit)


PICTURE: dict[str, Plant] = {
    "video.black": black,
    "video.freeze": freeze,
    "video.flash_frame": flash_frame,
    "video.letterbox": letterbox,
    "video.out_of_range": out_of_range,
    "video.bars": bars,
    "video.slate": slate,
}
"""The defects that the native picture task finds, by finding code."""
