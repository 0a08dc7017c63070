"""Each finding of the native picture task, and what must not be one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.picture import HEIGHT, WIDTH, Shots, analyse, flat, folded

Planes = list[NDArray[Any]]


def test_black_is_from_its_first_frame_to_the_first_that_is_not() -> None:
    shots = Shots().moving(10).still(flat(20), 60).moving(5).still(flat(20), 49).moving(5).still(flat(16), 50)
    assert shots.spans("video.black") == [(10, 70), (129, 179)]
    assert shots.spans("video.freeze") == [], "black that stands still is black"
    assert [f.value for f in shots.findings("video.black")] == [2.4, 2.0]


def test_black_needs_98_percent() -> None:
    almost = flat(16)
    almost[0].reshape(-1)[: HEIGHT * WIDTH // 50] = 200
    over = [p.copy() for p in almost]
    over[0].reshape(-1)[: HEIGHT * WIDTH // 50 + 1] = 200
    assert Shots().still(almost, 60).spans("video.black") == [(0, 60)]
    assert Shots().still(over, 60).spans("video.black") == []


def test_a_freeze_is_against_its_first_frame() -> None:
    shots = Shots().moving(10)
    for k in range(60):  # each frame differs little from the last, but they drift: 0.0004 a frame
        picture = flat(100)
        picture[0][...] = np.floor(100 + 0.15 * k + np.linspace(0, 1, HEIGHT * WIDTH, endpoint=False)).reshape(HEIGHT, WIDTH)
        shots.add(picture)
    assert shots.spans("video.freeze") == []
    shots.still(shots.picture(), 50).moving(3)
    assert shots.spans("video.freeze") == [(70, 120)]


def test_the_threshold_of_a_freeze_is_inclusive() -> None:
    samples = HEIGHT * WIDTH * 3 // 2
    limit = int(0.001 * 256 * samples)
    at, above = flat(100), flat(100)
    at[0].reshape(-1)[:limit] += 1
    above[0].reshape(-1)[: limit + 1] += 1
    assert Shots().still(flat(100), 1).still(at, 60).spans("video.freeze") == [(0, 61)]
    assert Shots().still(flat(100), 1).still(above, 60).spans("video.freeze") == [(1, 61)]


def test_grain_is_no_freeze() -> None:
    rng = np.random.default_rng(9)
    shots, base = Shots(), flat(110)
    for _ in range(75):
        shots.add([(p + rng.normal(0, 1, p.shape)).round().astype(np.uint8) for p in base])
    assert shots.spans("video.freeze") == []


def test_one_long_frame_is_a_freeze() -> None:
    shots = Shots()
    for pts, duration in ((0, 3000), (3000, 40), (3040, 2500)):
        shots.add(shots.picture(), pts=pts, duration=duration)
    found = [f for f in folded(analyse(shots.frames))[0] if f.code == "video.freeze"]
    assert [(f.start, f.end) for f in found] == [(0, 3000), (3040, 5540)]


def test_slow_drift_ends_a_long_freeze() -> None:
    shots = Shots()
    base = np.full((HEIGHT, WIDTH), 100.0) + (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 7919 % 1000) / 1000
    for k in range(300):  # two minutes at 2.5 frames a second; 0.0008 a minute stays below the limit between two references
        luma = np.floor(base + 0.4 * k / 150).astype(np.uint8)
        shots.add([luma, *flat(0)[1:]], pts=400 * k, duration=400)
    found = [f for f in folded(analyse(shots.frames))[0] if f.code == "video.freeze"]
    assert len(found) == 2
    assert found[0].start == 0 and found[0].end == found[1].start and found[1].end == 120_000
    still = Shots()
    for k in range(300):
        still.add(flat(100), pts=400 * k, duration=400)
    assert [(f.start, f.end) for f in folded(analyse(still.frames))[0] if f.code == "video.freeze"] == [(0, 120_000)]


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("code", [16, 126, 235])
def test_a_flash_frame(frames: int, code: int) -> None:
    shots = Shots().moving(10)
    picture = shots.picture()
    shots.still(picture, 10).still(flat(code), frames).still(picture, 10)
    assert shots.spans("video.flash_frame") == [(20, 20 + frames)]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_flash_frame_between_plain_pictures(frames: int) -> None:
    shots = Shots().moving(5).still(flat(26), 10).still(flat(164), frames).still(flat(26), 10)
    assert shots.spans("video.flash_frame") == [(15, 15 + frames)]
    later = Shots().still(flat(26), 10).still(flat(164), frames)
    assert later.still(later.picture(), 10).spans("video.flash_frame") == [(10, 10 + frames)]


def test_a_plain_picture_that_stays_is_no_flash_frame() -> None:
    assert Shots().still(flat(26), 10).still(flat(164), 4).still(flat(26), 10).spans("video.flash_frame") == []
    steps = Shots().moving(5)
    for code in range(30, 90, 2):  # a plain fade: no step is abrupt
        steps.still(flat(code), 1)
    assert steps.moving(5).spans("video.flash_frame") == []


def test_what_is_no_flash_frame() -> None:
    picture = Shots().picture()

    def faded(share: float) -> Planes:
        return [np.rint(128 + (p.astype(float) - 128) * share).astype(np.uint8) for p in picture]

    dip = Shots().still(picture, 10)
    for share in (0.8, 0.6, 0.4, 0.2, 0.0, 0.2, 0.4, 0.6, 0.8):
        dip.add(faded(share))
    assert dip.still(picture, 10).spans("video.flash_frame") == []
    assert Shots().still(picture, 10).still(flat(16), 4).still(picture, 10).spans("video.flash_frame") == []
    assert Shots().still(flat(16), 2).still(picture, 10).still(flat(16), 2).spans("video.flash_frame") == []


def bar(lines: int, code: int = 16) -> Callable[[Planes], None]:
    def change(planes: Planes) -> None:
        planes[0][:lines] = planes[0][HEIGHT - lines :] = code

    return change


def test_letterbox_for_all_of_the_asset() -> None:
    shots = Shots().still(flat(16), 30).moving(100, bar(15)).still(flat(16), 30)
    (found,) = shots.findings("video.letterbox")
    assert (found.start_row, found.end_row, found.area) == (0, 160, (0, 15, WIDTH, HEIGHT - 30))
    assert found.value == 0.25 and found.text.startswith("Letterbox: active picture 160x90 at 0,15")
    assert folded(analyse(shots.frames))[1].facts == {"active_area": {"x": 0, "y": 15, "w": WIDTH, "h": HEIGHT - 30}}


def test_letterbox_for_a_part() -> None:
    shots = Shots().moving(40).moving(60, bar(15)).moving(30).moving(49, bar(20)).moving(10)
    assert shots.spans("video.letterbox") == [(40, 100)]
    assert folded(analyse(shots.frames))[1].facts["active_area"]["h"] == HEIGHT


def test_letterbox_turns_into_pillarbox() -> None:
    def pillars(planes: Planes) -> None:
        planes[0][:, :20] = planes[0][:, -20:] = 16

    shots = Shots().moving(60, bar(15)).moving(60, pillars)
    assert shots.spans("video.letterbox") == [(0, 60), (60, 120)]
    assert [f.text.split(":")[0] for f in shots.findings("video.letterbox")] == ["Letterbox", "Pillarbox"]


def test_dark_scenes_are_no_letterbox() -> None:
    def night(planes: Planes) -> None:
        planes[0][...] = np.minimum(16 + np.arange(HEIGHT) // 3, 50)[:, None]
        planes[0][HEIGHT - 20 :] = 16

    def one_side(planes: Planes) -> None:
        planes[0][:30] = 16

    assert Shots().moving(100, night).spans("video.letterbox") == []
    assert Shots().moving(100, one_side).spans("video.letterbox") == []


def test_illegal_levels_in_enough_frames() -> None:
    def loud(planes: Planes) -> None:
        planes[0][:4] = 250

    shots = Shots().moving(10).moving(6, loud).moving(20).moving(4, loud).moving(40).moving(4, loud).moving(50)
    assert shots.spans("video.out_of_range") == [(10, 40)], "pauses of up to a second are passed over"
    assert shots.findings("video.out_of_range")[0].value == pytest.approx(4 / HEIGHT / 1.5)
    outcome = folded(analyse(shots.frames))[1]
    (ratio,) = (m for m in outcome.measurements if m.id == "video.out_of_range_ratio")
    assert ratio.value == pytest.approx(14 / 134 * 4 / HEIGHT / 1.5)


def test_a_change_of_size_ends_what_cannot_go_on() -> None:
    shots = Shots().moving(60, bar(15)).still(flat(16), 30)
    small = [p[: p.shape[0] // 2].copy() for p in flat(16)]
    for _ in range(30):
        shots.add(small)
    assert shots.spans("video.black") == [(60, 120)], "black is black at any size"
    assert shots.spans("video.letterbox") == [(0, 60)]
    assert folded(analyse(shots.frames))[1].facts == {}


def test_lost_rows_end_every_interval() -> None:
    shots = Shots().still(flat(16), 120).still(flat(180), 120)
    parts = analyse(shots.frames, chunk=lambda: 20)
    findings, _ = folded(parts[:2] + parts[3:8] + parts[9:])
    assert [(f.code, f.start_row, f.end_row) for f in findings] == [
        ("video.black", 60, 120),
        ("video.freeze", 180, 240),
    ]
