"""Colour bars and cards: what is one, in which layouts and codings, and what looks like one and is none."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from processors.signals.cards import is_card
from processors.signals.colour_bars import is_bars
from tests.picture import Shots, native

HEIGHT, WIDTH = 360, 640
Rgb = NDArray[np.float64]
"""0…1, of shape (height, width, 3)."""

COLOURS = [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1)]


def painted(layout: str, amplitude: float = 0.75) -> Rgb:
    """Colour bars of SMPTE EG 1, RP 219 or EBU, in their main parts."""
    picture = np.zeros((HEIGHT, WIDTH, 3))
    if layout == "hd":
        picture[...] = 0.4
        edges, foot = [round((1 + i * 6 / 7) * WIDTH / 8) for i in range(8)], HEIGHT * 7 // 12
    else:
        parts = 8 if layout == "ebu" else 7
        edges = [round(i * WIDTH / parts) for i in range(8)]
        foot = HEIGHT if layout == "ebu" else HEIGHT * 2 // 3
    picture[:, edges[-1] :] = 0.4 if layout == "hd" else 0
    picture[foot:] = 0.0
    for colour, left, right in zip(COLOURS, edges[:-1], edges[1:], strict=True):
        picture[:foot, left:right] = np.array(colour) * amplitude
    picture[foot:, WIDTH // 6 : WIDTH // 3] = 1.0
    return picture


def coded(rgb: Rgb, *, depth: int = 8, full: bool = False, kr: float = 0.2126, kb: float = 0.0722) -> tuple[NDArray[Any], ...]:
    luma = rgb @ np.array([kr, 1 - kr - kb, kb])
    chroma = [(rgb[..., c] - luma)[::2, ::2] / (2 - 2 * k) for c, k in ((2, kb), (0, kr))]
    unit, top = 1 << (depth - 8), (1 << depth) - 1
    low, y_span, c_span = (0, top, top) if full else (16 * unit, 219 * unit, 224 * unit)
    dtype = np.uint8 if depth == 8 else np.uint16
    planes = [low + y_span * luma, *(128 * unit + c_span * c for c in chroma)]
    return tuple(np.rint(p).clip(0, top).astype(dtype) for p in planes)


WHOLE = (0, HEIGHT, 0, WIDTH)


@pytest.mark.parametrize("layout", ["smpte", "hd", "ebu"])
@pytest.mark.parametrize("amplitude", [0.75, 1.0])
@pytest.mark.parametrize(
    "coding", [{}, {"depth": 10}, {"full": True}, {"kr": 0.299, "kb": 0.114}], ids=["709", "10 bit", "full range", "601"]
)
def test_bars_are_known(layout: str, amplitude: float, coding: dict[str, Any]) -> None:
    planes = coded(painted(layout, amplitude), **coding)
    noise = np.random.default_rng(1).normal(0, 2, planes[0].shape).round().astype(int)
    noisy = (
        np.clip(planes[0].astype(int) + noise, 0, 255 << (coding.get("depth", 8) - 8)).astype(planes[0].dtype),
        *planes[1:],
    )
    for seen in (planes, noisy):
        assert is_bars(seen, "yuv", coding.get("depth", 8), full_range=coding.get("full", False), area=WHOLE)


def test_bars_in_pillars_and_in_rgb_are_known() -> None:
    inner = cv2.resize(painted("smpte"), (480, HEIGHT), interpolation=cv2.INTER_NEAREST)
    picture = np.zeros((HEIGHT, WIDTH, 3))
    picture[:, 80:560] = inner
    assert is_bars(coded(picture), "yuv", 8, full_range=False, area=(0, HEIGHT, 80, 560))
    rgb = np.rint(painted("ebu") * 255).astype(np.uint8)
    assert is_bars(tuple(rgb[..., i] for i in range(3)), "rgb", 8, full_range=True, area=WHOLE)


def test_what_is_no_bars() -> None:
    grey = painted("smpte").mean(axis=2, keepdims=True).repeat(3, axis=2)
    swapped = painted("smpte")[..., ::-1]
    noise = np.random.default_rng(2).random((HEIGHT, WIDTH, 3))
    for picture in (grey, swapped, noise, np.zeros((HEIGHT, WIDTH, 3)), np.linspace(1, 0, WIDTH)[None, :, None] * np.ones(3)):
        rgb = np.broadcast_to(picture, (HEIGHT, WIDTH, 3))
        assert not is_bars(coded(rgb), "yuv", 8, full_range=False, area=WHOLE)
    assert not is_bars((np.zeros((90, 160), np.uint8),), "gray", 8, full_range=False, area=(-1, -1, -1, -1))


def lettered(ground: float, ink: float, lines: int = 4) -> Rgb:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for k in range(lines):
        place = (60, 80 + 70 * k)
        cv2.putText(mask, "THE QUIET HARBOUR", place, cv2.FONT_HERSHEY_DUPLEX, 1.2, 255, 2, cv2.LINE_AA)
    return (ground + (ink - ground) * (mask / 255.0))[..., None].repeat(3, axis=2)


@pytest.mark.parametrize(("ground", "ink"), [(0.0, 0.9), (0.25, 0.95), (0.9, 0.05), (0.5, 1.0)])
@pytest.mark.parametrize("depth", [8, 10])
def test_text_on_a_plain_ground_is_a_card(ground: float, ink: float, depth: int) -> None:
    assert is_card(coded(lettered(ground, ink), depth=depth), depth)


def test_what_is_no_card() -> None:
    rng = np.random.default_rng(3)
    disc = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(disc, (400, 120), 50, 255, -1, cv2.LINE_AA)
    moon = (0.03 + 0.87 * (disc / 255.0))[..., None].repeat(3, axis=2)
    scene = np.repeat(cv2.GaussianBlur(rng.random((HEIGHT, WIDTH)), (0, 0), 6)[..., None], 3, axis=2)
    over_scene = np.where(lettered(0.0, 0.9) > 0.5, 0.9, np.clip((scene - 0.5) * 6 + 0.5, 0, 1))
    for picture in (moon, np.full((HEIGHT, WIDTH, 3), 0.4), over_scene, rng.random((HEIGHT, WIDTH, 3)), painted("smpte")):
        assert not is_card(coded(picture), 8)


def test_bars_then_slate_are_named_and_a_later_title_is_no_freeze() -> None:
    shots, rng = Shots(), np.random.default_rng(4)

    def show(frames: int, picture: Rgb | None) -> None:
        for _ in range(frames):
            rgb = rng.random((HEIGHT, WIDTH, 3)) if picture is None else picture
            shots.frames.append(native(coded(rgb), len(shots.frames)))

    show(60, painted("smpte"))
    show(20, np.zeros((HEIGHT, WIDTH, 3)))
    show(55, lettered(0.25, 0.9))
    show(60, None)
    show(75, lettered(0.0, 0.9))
    show(10, None)
    assert shots.spans("video.bars") == [(0, 60)]
    assert shots.spans("video.slate") == [(80, 135)]
    assert shots.spans("video.freeze") == []
