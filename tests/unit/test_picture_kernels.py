"""The kernels on native planes against plain numpy, at several depths, odd sizes and padded rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.signals import area
from processors.signals.difference import Signature, relative, sad
from processors.signals.levels import LevelCounter, Levels, is_flat
from processors.signals.light import pq_to_nits, rgb_light, yuv_light

DEPTHS = (8, 10, 12, 16)
SIZES = ((7, 5), (33, 47), (241, 321), (300, 2000))


def padded(values: NDArray[Any], depth: int) -> NDArray[Any]:
    """The values in a plane whose rows are 24 samples longer than the picture, with rubbish in the padding."""
    dtype = np.uint8 if depth == 8 else np.uint16
    memory = np.full((values.shape[0], values.shape[1] + 24), (1 << depth) - 1, dtype)
    memory[:, : values.shape[1]] = values
    return memory[:, : values.shape[1]]


def picture(rng: np.random.Generator, size: tuple[int, int], depth: int) -> NDArray[Any]:
    """Codes over the whole range, its ends among them, with stretches that are all dark, all legal and all bright."""
    top = (1 << depth) - 1
    values = rng.integers(0, top + 1, size)
    third = size[0] // 3
    values[:third] = values[:third] // 12
    values[third : 2 * third] = values[third : 2 * third] // 3 + top // 4
    values.flat[:2] = 0, top
    return padded(values, depth)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("full_range", [False, True])
def test_counts_of_luma_equal_numpys(size: tuple[int, int], depth: int, full_range: bool) -> None:
    plane = picture(np.random.default_rng(depth), size, depth)
    levels = Levels.of(depth, full_range=full_range)
    count = LevelCounter().luma(plane, levels)
    wide = plane.astype(np.int64)
    assert (count.total, count.low, count.high) == (wide.sum(), wide.min(), wide.max())
    assert count.black == (wide <= levels.black).sum()
    outside = (wide < 16 << (depth - 8)) | (wide > 235 << (depth - 8))
    assert count.illegal == (0 if full_range else outside.sum())


@pytest.mark.parametrize("depth", DEPTHS)
def test_counts_of_chroma_equal_numpys(depth: int) -> None:
    plane = picture(np.random.default_rng(1), (121, 161), depth)
    legal = Levels.of(depth, full_range=False).chroma
    assert legal is not None
    assert LevelCounter().illegal(plane, legal) == ((plane < 16 << (depth - 8)) | (plane > 240 << (depth - 8))).sum()


@pytest.mark.parametrize(
    ("depth", "full_range", "black"), [(8, False, 37), (10, False, 151), (12, False, 606), (8, True, 25), (10, True, 102)]
)
def test_the_black_limit_is_blackdetects(depth: int, full_range: bool, black: int) -> None:
    assert Levels.of(depth, full_range=full_range).black == black


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_difference_is_exact_up_to_the_greatest(depth: int) -> None:
    rng = np.random.default_rng(2)
    a = [picture(rng, size, depth) for size in ((301, 2049), (151, 1025), (151, 1025))]
    b = [picture(rng, size, depth) for size in ((301, 2049), (151, 1025), (151, 1025))]
    wanted = sum(int(np.abs(x.astype(np.int64) - y.astype(np.int64)).sum()) for x, y in zip(a, b, strict=True))
    assert sad(a, b) == wanted
    white, dark = ([padded(np.full((1080, 1920), v), depth)] for v in ((1 << depth) - 1, 0))
    assert sad(white, dark) == 1080 * 1920 * ((1 << depth) - 1)


@pytest.mark.parametrize("depth", (8, 10))
@pytest.mark.parametrize("size", ((5, 9), (180, 320), (241, 321)))
def test_signatures_bound_the_difference_from_below(depth: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    chroma = (-(-size[0] // 2), -(-size[1] // 2))
    for strength in (0.0, 0.3, 1.0, 40.0):
        base = [rng.integers(40 << (depth - 8), 200 << (depth - 8), s) for s in (size, chroma, chroma)]
        a = [padded(p, depth) for p in base]
        b = [padded(np.rint(p + rng.normal(strength, 1, p.shape)).clip(0, (1 << depth) - 1), depth) for p in base]
        true = relative(sad(a, b), sum(p.size for p in a), depth)
        assert Signature.of(a, depth).bound(Signature.of(b, depth)) <= true
        assert Signature.of(a, depth).bound(Signature.of(a, depth)) == 0.0


def test_the_bound_of_an_even_change_is_almost_the_difference() -> None:
    a = [np.full((180, 320), 90, np.uint8), np.full((90, 160), 128, np.uint8)]
    b = [np.full((180, 320), 92, np.uint8), np.full((90, 160), 128, np.uint8)]
    true = relative(sad(a, b), sum(p.size for p in a), 8)
    assert Signature.of(a, 8).bound(Signature.of(b, 8)) == pytest.approx(true, rel=0.01)
    assert Signature.of(a, 8).bound(Signature.of(a[:1], 8)) == 1.0


def cropdetect(luma: NDArray[Any], depth: int) -> tuple[int, int, int, int]:
    """Bounds by cropdetect's arithmetic: the whole part of a line's mean against the rounded limit."""
    limit = round(24 / 255 * ((1 << depth) - 1))
    wide = luma.astype(np.int64)
    rows = np.flatnonzero(wide.sum(axis=1) // luma.shape[1] > limit)
    columns = np.flatnonzero(wide.sum(axis=0) // luma.shape[0] > limit)
    if not len(rows) or not len(columns):
        return -1, -1, -1, -1
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "bars", [(0, 0, 0, 0), (30, 30, 0, 0), (0, 0, 40, 41), (9, 20, 3, 0), (100, 90, 100, 110), (5, 0, 0, 0)]
)
def test_the_active_area_is_cropdetects(depth: int, bars: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = bars
    rng = np.random.default_rng(4)
    values = rng.integers(16 << (depth - 8), 120 << (depth - 8), (241, 371))
    for part in (values[:top], values[241 - bottom :], values[:, :left], values[:, 371 - right :]):
        part[...] = 17 << (depth - 8)
    plane = padded(values, depth)
    found = area.active_area(plane, depth, int(plane.max()))
    assert (found.top, found.bottom, found.left, found.right) == cropdetect(plane, depth)
    least = area.smallest_bar(241), area.smallest_bar(371)
    wanted = (area.TOP * (top >= least[0])) | (area.BOTTOM * (bottom >= least[0]))
    wanted |= (area.LEFT * (left >= least[1])) | (area.RIGHT * (right >= least[1]))
    assert found.bars == wanted


def test_a_dark_picture_has_no_active_area_and_a_fading_one_no_bar() -> None:
    dark = np.full((120, 200), 20, np.uint8)
    assert area.active_area(dark, 8, 20) == area.NOTHING
    vignette = np.minimum(np.arange(120), np.arange(120)[::-1])[:, None] + np.full((1, 200), 16)
    found = area.active_area(vignette.astype(np.uint8), 8, int(vignette.max()))
    assert (found.top, found.bottom, found.bars) == (9, 111, 0)


def test_a_thin_bar_is_none() -> None:
    assert [area.smallest_bar(n) for n in (180, 400, 720, 1080, 2160)] == [4, 4, 8, 11, 22]


def test_flat_is_one_colour_with_faint_noise() -> None:
    rng = np.random.default_rng(6)
    grey = (np.full((90, 160), 130, np.uint8), np.full((45, 80), 90, np.uint8), np.full((45, 80), 200, np.uint8))
    noisy = (rng.normal(130, 1.4, (90, 160)).round().astype(np.uint8), *grey[1:])
    bars = (grey[0], np.repeat(np.arange(80, 120, dtype=np.uint8), 2)[None].repeat(45, 0), grey[2])
    assert is_flat(grey, 8, 0)
    assert is_flat(noisy, 8, int(np.ptp(noisy[0])))
    assert not is_flat((rng.normal(130, 4, (90, 160)).round().astype(np.uint8), *grey[1:]), 8, 30)
    assert not is_flat(bars, 8, 0)
    assert not is_flat(grey, 8, 60)
    assert is_flat(tuple(p.astype(np.uint16) << 2 for p in noisy), 10, int(np.ptp(noisy[0])) << 2)


def test_pq_has_its_known_points() -> None:
    codes = (np.array([64, 509, 723, 940]) - 64) / 876
    assert pq_to_nits(codes) == pytest.approx([0.0, 100, 1000, 10000], rel=0.02, abs=1e-9)


@pytest.mark.parametrize(("depth", "full_range"), [(8, False), (10, False), (10, True), (12, False)])
@pytest.mark.parametrize("chroma", [(60, 80), (60, 160), (120, 160), (61, 81)])
def test_light_equals_a_float_reference(depth: int, full_range: bool, chroma: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    size = (121, 161) if chroma == (61, 81) else (120, 160)
    unit, top = 1 << (depth - 8), (1 << depth) - 1
    luma, u, v = rng.integers(16 * unit, 180 * unit, size), *(rng.integers(110 * unit, 146 * unit, chroma) for _ in "uv")
    black, y_span, c_span = (0, top, top) if full_range else (16 * unit, 219 * unit, 224 * unit)
    rows, columns = np.arange(size[0]) // -(-size[0] // chroma[0]), np.arange(size[1]) // -(-size[1] // chroma[1])
    cb, cr = ((p[np.ix_(rows, columns)] - (1 << (depth - 1))) / c_span for p in (u, v))
    y = (luma - black) / y_span
    red, blue = y + 1.4746 * cr, y + 1.8814 * cb
    green = (y - 0.0593 * blue - 0.2627 * red) / 0.678
    nits = pq_to_nits(np.maximum(np.maximum(red, blue), green).clip(0, 1))
    planes = tuple(padded(p, depth) for p in (luma, u, v))
    found = yuv_light(planes, depth, "bt2020nc", full_range=full_range)
    assert found is not None
    # Peaks are exact, of means rounding is made good to first order.
    assert found.peak == pytest.approx(nits.max(), rel=1e-9)
    assert found.mean == pytest.approx(nits.mean(), rel=1e-4)


def test_light_of_rgb_is_its_greatest_component() -> None:
    planes = tuple(np.full((8, 8), code, np.uint16) for code in (100, 600, 300))
    wanted = float(pq_to_nits(np.array([600 / 1023]))[0])
    found = rgb_light(planes, 10)
    assert (found.peak, found.mean) == (pytest.approx(wanted), pytest.approx(wanted))
    assert yuv_light(planes, 10, "ictcp", full_range=False) is None
