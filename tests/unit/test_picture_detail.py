"""Blockiness, blur, noise, banding and gamut on pictures of which the answer is known, and what the fold makes of them."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from processors.signals.distribution import FINE, FINER, Distribution
from processors.signals.gamut import excursion
from processors.signals.picture_detail import banding, blockiness, edge_width, noise
from tests.detail import SECOND, folded, photograph, signals

SEEDS = pytest.mark.parametrize("seed", range(4))


def jpeg(picture: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    _, data = cv2.imencode(".jpg", np.rint(picture).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)


@SEEDS
def test_blocks_show_the_more_the_harder_a_picture_is_compressed(seed: int) -> None:
    ladder = [blockiness(jpeg(photograph(seed), quality)).ratio for quality in (95, 80, 60, 40, 20)]
    assert ladder == sorted(ladder)
    assert ladder[0] < 1.5 < 2 < ladder[2]
    assert blockiness(np.rint(photograph(seed))).ratio < 1.3


@SEEDS
def test_the_grid_of_blocks_is_found_wherever_it_lies(seed: int) -> None:
    blocky = jpeg(photograph(seed), 30)
    for across, down in ((0, 0), (3, 5), (7, 1)):
        found = blockiness(np.ascontiguousarray(blocky[down:, across:]))
        assert (found.across, found.down) == (-across % 8, -down % 8)


def test_what_has_no_gradient_has_no_blocks() -> None:
    assert blockiness(np.full((64, 64), 80, np.float32)).ratio == 1.0
    assert math.isnan(blockiness(np.zeros((16, 64), np.float32)).ratio)
    mosaic = np.kron(np.random.default_rng(1).integers(16, 235, (16, 16)), np.ones((8, 8))).astype(np.float32)
    assert blockiness(mosaic)[1:] == (0, 0)
    assert blockiness(mosaic).ratio > 50


@SEEDS
def test_edges_widen_with_blur(seed: int) -> None:
    ladder = [edge_width(np.rint(cv2.GaussianBlur(photograph(seed), (0, 0), s))) for s in (0.5, 1.0, 2.0, 4.0)]
    assert ladder == sorted(ladder)
    assert ladder[0] < 2.5 and ladder[-1] > 3 * ladder[0]


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_the_width_of_one_edge_is_its_height_over_its_steepest_step(sigma: float) -> None:
    across = np.arange(256)
    step = np.array([math.erf((x - 127.5) / sigma / math.sqrt(2)) for x in across])
    picture = np.tile((120 + 60 * step).astype(np.float32), (256, 1))
    steepest = math.erf(0.5 / sigma / math.sqrt(2))
    assert edge_width(picture) == pytest.approx(1 / steepest, rel=0.01)


def test_without_edges_there_is_no_sharpness() -> None:
    assert math.isnan(edge_width(np.full((64, 64), 100, np.float32)))


@SEEDS
@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0, 8.0])
def test_noise_is_measured_within_a_tenth(seed: int, sigma: float) -> None:
    picture = np.clip(photograph(seed), 60, 200)
    noisy = np.rint(picture + np.random.default_rng(seed).normal(0, sigma, picture.shape)).astype(np.float32)
    assert noise(noisy) == pytest.approx(sigma, rel=0.1)


def test_noise_of_black_is_cut_off_and_not_measured() -> None:
    grain = np.clip(np.random.default_rng(1).normal(14, 2, (128, 128)), 16, 235).astype(np.float32)
    assert math.isnan(noise(grain))
    assert math.isnan(noise(np.full((16, 16), 100, np.float32)))
    assert noise(np.full((128, 128), 100, np.float32)) == 0.0


def test_banding_is_a_coarse_ramp_and_no_dithered_one() -> None:
    ramp = np.tile(np.linspace(60, 90, 512), (512, 1))
    rng = np.random.default_rng(3)
    assert banding(np.rint(ramp).astype(np.float32)) > 0.95
    assert banding(np.rint(ramp.T).astype(np.float32)) > 0.95
    assert banding(np.rint(ramp + rng.uniform(-0.5, 0.5, ramp.shape)).astype(np.float32)) < 0.1
    assert banding((np.rint(4 * ramp) / 4).astype(np.float32)) == 0, "10-bit steps are too small to see"
    assert banding(np.kron(rng.permutation(64).reshape(8, 8) * 3, np.ones((64, 64))).astype(np.float32)) == 0


def reference_excursion(planes: list[NDArray[Any]], depth: int, kr: float, kb: float) -> float:
    """EBU R 103 pixel by pixel: ITU-R BT.709/601/2020's equations as they stand, in float64."""
    unit, (height, width) = 1 << (depth - 8), planes[0].shape
    down, across = (-(-a // b) for a, b in zip(planes[0].shape, planes[1].shape, strict=True))
    rows, columns = np.mgrid[0:height, 0:width]
    y = (planes[0].astype(float) - 16 * unit) / (219 * unit)
    cb, cr = ((p.astype(float)[rows // down, columns // across] - 128 * unit) / (224 * unit) for p in planes[1:])
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    codes = [np.rint(16 * unit + 219 * unit * c) for c in (red, green, blue, y)]
    out = np.logical_or.reduce([(c < 5 * unit) | (c > 246 * unit) for c in codes])
    return float(out.mean())


@pytest.mark.parametrize("matrix", [("bt709", 0.2126, 0.0722), ("smpte170m", 0.299, 0.114), ("bt2020nc", 0.2627, 0.0593)])
@pytest.mark.parametrize("chroma", [(32, 48), (64, 48), (64, 96)])
@pytest.mark.parametrize("depth", [8, 10, 12])
def test_gamut_equals_the_equations(depth: int, chroma: tuple[int, int], matrix: tuple[str, float, float]) -> None:
    rng, dtype = np.random.default_rng(depth), np.uint8 if depth == 8 else np.uint16
    unit = 1 << (depth - 8)
    planes = [rng.integers(4 * unit, 250 * unit, (64, 96)).astype(dtype)]
    planes += [rng.integers(90 * unit, 170 * unit, chroma).astype(dtype) for _ in range(2)]
    wanted = reference_excursion(planes, depth, *matrix[1:])
    assert 0.05 < wanted < 0.95
    assert excursion(tuple(planes), depth, matrix[0], None) == pytest.approx(wanted, abs=1e-3)


def test_gamut_at_its_limits() -> None:
    for code, out in ((4, 1.0), (5, 0.0), (246, 0.0), (247, 1.0)):
        assert excursion((np.full((8, 8), code, np.uint8),), 8, None, None) == out
    legal = (np.full((8, 8), 20, np.uint8), np.full((4, 4), 235, np.uint8), np.full((4, 4), 128, np.uint8))
    assert excursion(legal, 8, "bt709", None) == 1.0, "dark and very blue: legal Y'CbCr, and no legal colour"
    assert excursion(legal, 8, "ictcp", None) is None


def block(share: float, seed: int = 0) -> list[NDArray[Any]]:
    """A block of which this share is out of range."""
    luma = np.rint(np.clip(photograph(seed, 64), 40, 200)).astype(np.uint8)
    luma.ravel()[: round(share * luma.size)] = 252
    return [luma, *[np.full((32, 32), 128, np.uint8)] * 2]


def test_two_stills_out_of_range_are_a_finding_and_one_is_none() -> None:
    shares = [0.0, 0.02, 0.0, 0.0, 0.02, 0.3, 0.011, 0.0, 0.009, 0.0]
    findings, outcome = folded("detail", signals([block(s) for s in shares]), 10 * SECOND)
    (found,) = findings
    assert (found.code, found.start, found.end) == ("video.gamut", 4 * SECOND - 500, 7 * SECOND - 500)
    assert found.value == pytest.approx(0.3, abs=1e-3)
    values = {m.id: m.value for m in outcome.measurements}
    assert values["video.gamut_ratio"] == 0.0
    assert values["video.gamut_ratio_p95"] == pytest.approx(0.3, abs=1 / FINER)


def test_to_the_last_still_and_across_a_lost_one() -> None:
    parts = signals([block(0.1)] * 6, [1, 2, 3, 4, 5])
    findings, _ = folded("detail", parts, 5_980)
    assert [(f.start, f.end) for f in findings] == [(-500, 5 * SECOND - 500 + 40)]
    findings, _ = folded("detail", [*parts[:2], *parts[4:]], 5_980)
    assert [(f.start, f.end) for f in findings] == [(-500, SECOND - 500 + 40), (4 * SECOND - 500, 5 * SECOND - 500 + 40)]


@pytest.mark.parametrize(("names", "more"), [("yuv", {"colour_range": "full"}), ("rgb", {"colour_range": "full"})])
def test_full_range_has_no_gamut_but_all_else(names: str, more: dict[str, Any]) -> None:
    planes = [block(0.1)[0]] * 3 if names == "rgb" else block(0.1)
    (part,) = signals([planes] * 2, names=names, **more)
    assert np.isnan(part.arrays["gamut_ratio"]).all()
    _, outcome = folded("detail", [part], 2 * SECOND)
    figures = {m.id: (m.value, m.reason) for m in outcome.measurements}
    assert figures["video.gamut_ratio"] == (None, "no limited-range picture")
    assert figures["video.blockiness"][0] is not None


def test_ten_bits_measure_as_eight() -> None:
    eight = block(0.0)
    (a,), (b,) = signals([eight]), signals([[p.astype(np.uint16) * 4 for p in eight]], bit_depth=10)
    for name in ("blockiness", "blur", "noise", "banding", "gamut_ratio"):
        np.testing.assert_array_equal(a.arrays[name], b.arrays[name])


def test_percentiles_are_of_rounded_values_in_any_order() -> None:
    values = np.random.default_rng(5).gamma(2, 10, 1001)
    whole = Distribution().add(values)
    parts = Distribution()
    for part in np.array_split(np.append(values[::-1], math.nan), 17):
        parts = parts.add(part)
    np.testing.assert_array_equal(whole.levels, parts.levels)
    np.testing.assert_array_equal(whole.counts, parts.counts)
    for percent in (1, 50, 95, 100):
        wanted = np.sort(values)[math.ceil(percent / 100 * 1001) - 1]
        assert whole.percentile(percent) == pytest.approx(wanted, abs=0.5 / FINE)
    assert Distribution().percentile(50) is None
