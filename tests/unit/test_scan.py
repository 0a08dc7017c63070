"""The scan task: what it finds in field material, in repeated frames, and what it does not find in progressive pictures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest

from processors.decode.frame import NativeFrame
from processors.signals.scan_analyser import ScanAnalyser
from processors.signals.scan_lines import LineReader
from processors.tasks import decode_task
from processors.tasks.scan import TASK
from schemas.clock import Clock
from schemas.plan import FieldOrder
from tests import picture
from tests.fields import (
    Luma,
    World,
    analyse,
    folded,
    found_in,
    interlaced,
    natives,
    progressive,
    pulled_down,
    repeating,
)

WIDTH, HEIGHT, FRAMES = 256, 144, 80
RATE, FILM, NTSC = Fraction(25), Fraction(24), Fraction(30000, 1001)
SCENE = World(WIDTH, HEIGHT, seed=3).scene()
Found = list[tuple[str, int | None, int | None]]


def clock(rate: Fraction) -> Clock:
    return Clock(tick=(1, 1000), frame_rate=(rate.numerator, rate.denominator), vfr=False, origin_pts=0)


def spans(frames: Iterator[Luma], rate: Fraction = RATE, order: FieldOrder | None = None) -> Found:
    return [(f.code, f.start_row, f.end_row) for f in found_in(frames, clock=clock(rate), field_order=order)]


def texts(frames: Iterator[Luma], rate: Fraction = RATE) -> list[str]:
    return [f.text for f in found_in(frames, clock=clock(rate))]


def test_it_is_registered() -> None:
    assert decode_task("scan") is TASK


def idet(before: Luma, now: Luma, after: Luma) -> tuple[float, float, float]:
    """FFmpeg's alpha[0], alpha[1] and delta over all lines, as means a sample."""
    p, c, n = (f.astype(np.int64) for f in (before, now, after))
    beside = c[1:-3] + c[3:-1]
    rows = np.arange(2, len(c) - 2)
    ahead, behind, own = (np.abs(beside - 2 * f[2:-2]).mean(1) for f in (n, p, c))
    even, odd = rows % 2 == 0, rows % 2 == 1
    first = behind[even].mean() + ahead[odd].mean()
    second = behind[odd].mean() + ahead[even].mean()
    return first / 2, second / 2, own.mean()


@pytest.mark.parametrize("order", [True, False])
@pytest.mark.parametrize("size", [(320, 180), (720, 576)])
def test_sampled_lines_give_idets_sums(size: tuple[int, int], order: bool) -> None:
    frames = list(interlaced(World(*size, seed=5).scene(), RATE, 8, top_first=order))
    arrays = analyse(natives(frames))[0].arrays
    for k in range(1, 7):
        first, second, own = idet(*frames[k - 1 : k + 2])
        ours = (arrays["behind_even"][k - 1] + arrays["ahead_odd"][k]) / 2
        theirs = (arrays["behind_odd"][k - 1] + arrays["ahead_even"][k]) / 2
        assert ours / theirs == pytest.approx(first / second, rel=0.04)
        assert arrays["own"][k] == pytest.approx(own, rel=0.06)


def test_depths_give_the_same_codes() -> None:
    frames = list(interlaced(SCENE, RATE, 4))
    want = analyse(natives(frames))[0].arrays
    for depth in (10, 12, 16):
        wide = [(f.astype(np.uint16) << (depth - 8)) for f in frames]
        got = analyse([picture.native([f], k, depth=depth) for k, f in enumerate(wide)])[0].arrays
        for name in ("own", "ahead_even", "behind_odd", "top", "bottom"):
            np.testing.assert_allclose(got[name], want[name], rtol=1e-12, err_msg=f"{name} at {depth} bit")


@pytest.mark.parametrize("top_first", [True, False])
def test_interlaced_is_found_with_its_order(top_first: bool) -> None:
    name = "top" if top_first else "bottom"
    found = found_in(interlaced(SCENE, RATE, FRAMES, top_first=top_first))
    assert [(f.code, f.start_row, f.end_row) for f in found] == [("video.interlaced", 1, FRAMES - 1)]
    assert f"{name} field first" in found[0].text


def test_field_order_is_held_against_what_is_declared() -> None:
    frames = list(interlaced(SCENE, RATE, FRAMES))
    for order in ("top first", "top coded first", None):
        assert [code for code, _, _ in spans(iter(frames), order=order)] == ["video.interlaced"]
    for order in ("progressive", "bottom first", "bottom coded first"):
        assert {code for code, _, _ in spans(iter(frames), order=order)} == {"video.interlaced", "video.field_order"}


def test_a_change_of_field_order_is_found() -> None:
    frames = itertools.chain(interlaced(SCENE, RATE, 60), interlaced(SCENE, RATE, 60, top_first=False))
    found = [(f.code, f.start_row, f.text) for f in found_in(frames)]
    changes = [(start, text) for code, start, text in found if code == "video.field_order"]
    assert [text for _, text in changes] == ["Changes from top field first to bottom field first"]
    assert changes[0][0] == pytest.approx(60, abs=1)


def test_an_interlaced_stretch_ends_where_progressive_pictures_begin() -> None:
    parts = progressive(SCENE, RATE, 40), interlaced(SCENE, RATE, 50), progressive(SCENE, RATE, 40)
    [(code, start, end)] = spans(itertools.chain(*parts))
    assert code == "video.interlaced"
    assert start == pytest.approx(40, abs=1)
    assert end == pytest.approx(90, abs=1)


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize(("cadence", "name"), [((2, 3), "2:3 pulldown"), ((2, 3, 3, 2), "2:3:3:2 pulldown")])
def test_pulldown_is_found(cadence: tuple[int, ...], name: str, top_first: bool) -> None:
    [found] = found_in(pulled_down(SCENE, FILM, cadence, FRAMES, top_first=top_first), clock=clock(NTSC))
    assert found.code == "video.telecine"
    assert found.text.startswith(f"{name}, {'top' if top_first else 'bottom'} field first, 23.976 pictures a second in 29.97")
    assert found.start_row is not None
    assert found.start_row <= 12


def test_a_broken_cadence_is_named() -> None:
    film = list(pulled_down(SCENE, FILM, (2, 3), 160))
    [found] = found_in(iter(film[:63] + film[65:140]), clock=clock(NTSC))
    assert found.text.endswith("the cadence breaks 1 time")
    assert (found.start_row or 0) <= 12
    assert (found.end_row or 0) >= 132


def test_fields_of_one_picture_in_two_frames_are_2_2_pulldown() -> None:
    [found] = found_in(pulled_down(SCENE, RATE, (1, *[2] * FRAMES), FRAMES))
    assert found.code == "video.telecine"
    assert found.text.startswith("2:2 pulldown, fields of one picture in two frames, top field first")


def test_progressive_pictures_that_call_themselves_interlaced_are_2_2_pulldown() -> None:
    frames = natives(progressive(SCENE, RATE, FRAMES), interlaced=True)
    [found] = folded(analyse(frames))[0]
    assert (found.code, found.start_row, found.end_row) == ("video.telecine", 1, FRAMES - 1)


@pytest.mark.parametrize(
    ("pattern", "rate", "code", "text"),
    [
        ("NNNND", Fraction(30), "video.duplicate_frames", "Frames repeat, every 5th frame, 24 pictures a second in 30"),
        ("NNNNND", Fraction(30), "video.duplicate_frames", "Frames repeat, every 6th frame, 25 pictures a second in 30"),
        ("NDNDD", Fraction(60), "video.telecine", "2:3 pulldown by whole frames, 24 pictures a second in 60"),
        ("ND", Fraction(50), "video.telecine", "2:2 pulldown by whole frames, 25 pictures a second in 50"),
        ("ND", Fraction(25), "video.duplicate_frames", "Frames repeat, in the cadence 2:2, 12.5 pictures a second in 25"),
    ],
)
def test_repeated_frames_are_found_with_their_cadence(pattern: str, rate: Fraction, code: str, text: str) -> None:
    [found] = found_in(repeating(SCENE, Fraction(25), FRAMES, pattern), clock=clock(rate))
    assert found.code == code
    assert found.text.startswith(text)


def test_one_frame_a_second_shown_again_is_found() -> None:
    found = found_in(repeating(SCENE, Fraction(25), 180, "N" * 24 + "D"))
    assert {f.code for f in found} == {"video.duplicate_frames"}
    assert sum(f.value or 0 for f in found) == 7


def test_single_repeats_in_moving_pictures_are_found() -> None:
    pattern = "N" * 37 + "D" + "N" * 50 + "DD" + "N" * 60
    found = found_in(repeating(SCENE, RATE, len(pattern), pattern))
    assert [(f.start_row, f.end_row, f.value) for f in found] == [(37, 38, 1.0), (88, 90, 2.0)]


def test_shares_are_measured() -> None:
    _, outcome = folded(analyse(natives(interlaced(SCENE, RATE, FRAMES))))
    values = {m.id: m.value for m in outcome.measurements}
    assert values == {"video.interlaced_ratio": 1.0, "video.duplicate_ratio": 0.0, "video.cadence_breaks": 0.0}
    _, outcome = folded(analyse(natives([SCENE(0.0)] * 40)))
    unknown = next(m for m in outcome.measurements if m.id == "video.interlaced_ratio")
    assert (unknown.value, unknown.reliable) == (None, False)
    assert unknown.reason


def stripes(period: int, speed: float) -> Callable[[int], Luma]:
    def luma(k: int) -> Luma:
        y = (np.arange(HEIGHT) + speed * k) % period
        return np.repeat(np.where(y < period / 2, 60, 190).astype(np.uint8)[:, None], WIDTH, axis=1)

    return luma


def titles(k: int) -> Luma:
    page = np.full((HEIGHT + 300, WIDTH), 16, np.uint8)
    for line in range(20):
        cv2.putText(
            page, f"A name of the crew {line}", (20, 30 + 20 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 220, 1, cv2.LINE_AA
        )
    return page[k : k + HEIGHT]


def grain(k: int) -> Luma:
    return np.random.default_rng(k).normal(120, 8, (HEIGHT, WIDTH)).clip(16, 235).astype(np.uint8)


def slides(k: int) -> Luma:
    return World(WIDTH, HEIGHT, seed=k // 15).scene()(0.0)


FAST = World(320, 180, speed=300).scene()
PROGRESSIVE: dict[str, Callable[[int], Luma]] = {
    **{
        f"stripes of {period} lines, {speed} a frame": stripes(period, speed)
        for period in (2, 3, 4, 8)
        for speed in (0, 1, 2, 3)
        if (period, speed) != (8, 2)
    },
    "titles": titles,
    "grain": grain,
    "still": lambda k: SCENE(0.0),
    "still with grain": lambda k: np.clip(SCENE(0.0).astype(int) + grain(k) - 120, 0, 255).astype(np.uint8),
    "slides": slides,
    "fast": lambda k: FAST(k / 25),
    "fade": lambda k: (SCENE(k / 25) * (1 - k / 80)).astype(np.uint8),
    "cuts": lambda k: World(WIDTH, HEIGHT, seed=20 + k // 7).scene()(k / 25),
}


@pytest.mark.parametrize("name", PROGRESSIVE)
def test_progressive_pictures_give_nothing(name: str) -> None:
    draw = PROGRESSIVE[name]
    assert texts(draw(k) for k in range(70)) == []


def test_a_pattern_in_step_with_the_lines_looks_like_fields_as_it_does_to_idet() -> None:
    """Edges that move two lines a frame on a grid of eight lines are what fields of one line each would show."""
    draw = stripes(8, 2)
    first, second, own = idet(draw(3), draw(4), draw(5))
    assert second > 1.04 * first
    assert first == own
    assert "Interlaced, bottom field first" in texts(draw(k) for k in range(70))[0]


def test_what_cannot_be_compared_is_unknown() -> None:
    """A lost frame, another size, and pictures of too few lines."""
    frames = natives(progressive(SCENE, RATE, 6))
    lost = [*frames[:2], *frames[3:]]
    arrays = analyse_loose(lost)
    assert np.isnan(arrays["top"]).tolist() == [False, True, False, False, True]
    small = picture.native([SCENE(0.0)[:72, :128]], 2)
    assert np.isnan(analyse_loose([*frames[:2], small, *frames[3:]])["own"]).tolist() == [False] * 6
    assert np.isnan(analyse_loose([*frames[:2], small, *frames[3:]])["top"]).tolist() == [False, True, True, False, False, True]
    assert LineReader().read(picture.native([SCENE(0.0)[:40]], 0)) is None


def analyse_loose(frames: list[NativeFrame]) -> dict[str, np.ndarray]:
    analyser = ScanAnalyser()
    for frame in frames:
        analyser.feed(frame, owned=True)
    assert analyser.ready() == len(frames) - 1
    analyser.close()
    return analyser.take(len(frames))[0]
