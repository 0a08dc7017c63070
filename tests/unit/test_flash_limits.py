"""ITU-R BT.1702-3 at its limits: rate, area and dark state just below and just above; and regular patterns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.signals.flash_stripes import _nits, stripes
from tests.flashes import BT1702, Planes, figure, folded, found, greys, signals, square_wave, within

LUMINANCE, PATTERN = "video.flash.luminance", "video.flash.pattern"
BLACK, WHITE, GREY = 16, 235, 120


def codes(drafts: Any) -> list[str]:
    return [draft.code for draft in drafts]


@pytest.mark.parametrize("rate", [24000 / 1001, 25, 30000 / 1001, 50, 60000 / 1001])
@pytest.mark.parametrize(("hertz", "fails"), [(2.9, False), (3.0, False), (3.1, True)])
def test_rate(rate: float, hertz: float, fails: bool) -> None:
    """Three flashes in a second are acceptable, a fourth is not: within any second, which at 3 Hz holds six changes."""
    planes = greys(square_wave(round(6 * rate), hertz, BLACK, WHITE, rate), (36, 64))
    drafts = found(BT1702, planes, pts=[round(90000 * k / rate) for k in range(len(planes[0]))])
    assert set(codes(drafts)) == ({LUMINANCE} if fails else set())  # with times in whole frames not in every second


@pytest.mark.parametrize("place", ["left", "top", "corner"])
@pytest.mark.parametrize(("share", "fails"), [(0.24, False), (0.26, True)])
@pytest.mark.parametrize(("low", "high"), [(BLACK, WHITE), (GREY, GREY + 25)])
def test_area(low: int, high: int, share: float, fails: bool, place: str) -> None:
    still, moving = greys([low] * 30), greys(square_wave(30, 5, low, high))
    wide = {"left": share, "top": 1.0, "corner": 0.65}[place]
    rows, columns = slice(0, 2 * round(90 * share / wide)), slice(0, 2 * round(160 * wide))
    assert codes(found(BT1702, within(moving, still, rows, columns))) == [LUMINANCE] * fails


@pytest.mark.parametrize("depth", [8, 10])
def test_dark_state(depth: int) -> None:
    """The codes on both sides of 160 cd/m², with changes of more than 20 cd/m² up from them."""
    unit = 1 << (depth - 8)
    nits = 200 * ((np.arange(256 * unit) - 16 * unit) / (219 * unit)).clip(0, 1) ** 2.4
    above = int(np.flatnonzero(nits >= 160)[0])
    assert nits[above - 1] < 160 <= nits[above] and nits[above] - nits[above - 1] < 2 / unit**0.9
    for low, fails in ((above - 1, True), (above, False)):
        high = int(np.flatnonzero(nits >= nits[low] + 20)[0])
        half = np.full((50, 18, 32), 128 * unit, np.uint16)
        luma = np.repeat(square_wave(50, 5, low, high), 36 * 64).reshape(50, 36, 64).astype(np.uint16)
        planes: Any = (luma, half, half) if depth > 8 else tuple(p.astype(np.uint8) for p in (luma, half, half))
        assert codes(found(BT1702, planes, bit_depth=depth)) == [LUMINANCE] * fails


def grating(period: float, angle: float = 0.0, low: int = BLACK, high: int = WHITE, phase: float = 0.01) -> NDArray[np.uint8]:
    """Square stripes of the proxy's size; ``phase`` in periods."""
    y, x = np.mgrid[0:180, 0:320]
    turns = (x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))) / period + phase
    return np.where(turns % 1 < 0.5, high, low).astype(np.uint8)


def clip(pictures: list[NDArray[np.uint8]]) -> Planes:
    half = np.full((len(pictures), 90, 160), 128, np.uint8)
    return np.stack(pictures), half, half


def part(picture: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """The left part of a picture on grey."""
    shown = np.full_like(picture, GREY)
    shown[:, : round(320 * share)] = picture[:, : round(320 * share)]
    return shown


@pytest.mark.parametrize("angle", [0, 15, 45, 70, 90])
@pytest.mark.parametrize("period", [4, 8, 16, 24])
def test_stripes_of_any_orientation(period: float, angle: float) -> None:
    assert stripes(grating(period, angle), _nits(8, False, None), hdr=False).share > 0.9


@pytest.mark.parametrize(("pairs", "seen"), [(4, False), (5, False), (6, True), (8, True)])
def test_more_than_five_pairs(pairs: int, seen: bool) -> None:
    picture = np.full((180, 320), GREY, np.uint8)
    picture[:, 40 : 40 + 16 * pairs] = grating(16)[:, : 16 * pairs]
    assert bool(stripes(picture, _nits(8, False, None), hdr=False).share) is seen


def test_what_is_no_pattern() -> None:
    rng = np.random.default_rng(4)
    nits = _nits(8, False, None)
    noise = rng.integers(16, 235, (180, 320)).astype(np.uint8)
    blocks = np.kron(rng.integers(16, 235, (30, 54)), np.ones((6, 6)))[:180, :320].astype(np.uint8)
    uneven = np.tile(np.repeat(np.arange(60) % 2, rng.integers(2, 14, 60))[:320] * 219 + 16, (180, 1)).astype(np.uint8)
    for picture in (noise, blocks, uneven, grating(16, low=218), grating(16, high=70), grating(64)):  # the last has five pairs
        assert stripes(picture, nits, hdr=False).share <= 0.25


@pytest.mark.parametrize(("share", "fails"), [(0.37, False), (0.43, True)])
def test_a_still_pattern(share: float, fails: bool) -> None:
    planes = clip([part(grating(8), share)] * 20)
    drafts, outcome = folded(BT1702, signals(BT1702, planes))
    assert codes(drafts) == [PATTERN] * fails
    assert figure(outcome, f"{PATTERN}_area") == pytest.approx(share, abs=0.025)
    if fails:
        assert (drafts[0].start_row, drafts[0].end_row, drafts[0].unit) == (12, 20, "ratio")
    assert found(BT1702, clip([part(grating(8), share)] * 12 + [np.full((180, 320), GREY, np.uint8)] * 8)) == []


@pytest.mark.parametrize(("share", "fails"), [(0.22, False), (0.28, True)])
def test_a_pattern_that_reverses(share: float, fails: bool) -> None:
    """Stripes of 25 cd/m² that change places five times a second, one half each way: no flash of more than a quarter."""
    turns = [part(grating(8, low=GREY, high=GREY + 30, phase=0.01 + 0.5 * (k // 5 % 2)), share) for k in range(40)]
    drafts = found(BT1702, clip(turns))
    assert [d.code for d in drafts if d.code == PATTERN] == [PATTERN] * fails


def test_smooth_flow_is_exempt() -> None:
    flowing = [grating(16, phase=0.01 + k / 8) for k in range(50)]
    assert PATTERN not in codes(found(BT1702, clip(flowing)))


@settings(max_examples=6)
@given(
    parts=st.lists(st.tuples(st.sampled_from(["still", "turn", "flow", "none"]), st.integers(1, 14)), min_size=1, max_size=3),
    cuts=st.lists(st.integers(1, 40), max_size=6),
)
def test_any_cutting_gives_the_same(parts: list[tuple[str, int]], cuts: list[int]) -> None:
    pictures = []
    for kind, frames in parts:
        for k in range(frames):
            phase = 0.01 + {"still": 0, "turn": 0.5 * (k // 2 % 2), "flow": k / 8, "none": 0}[kind]
            pictures.append(np.full((180, 320), GREY, np.uint8) if kind == "none" else part(grating(8, phase=phase), 0.6))
    planes = clip(pictures)
    whole, cut = signals(BT1702, planes), signals(BT1702, planes, [c for c in cuts if c < len(pictures)])
    for name in ("stripes", "reversed"):
        np.testing.assert_array_equal(np.concatenate([p.arrays[name] for p in cut]), whole[0].arrays[name])
    assert folded(BT1702, cut) == folded(BT1702, whole)
