"""Both flashing tasks at their limits: rate, area, darkness, red, depth and transfer, holes and changes of geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from processors import assemble, tasks
from processors.findings import FoldEvent, Phase
from processors.signals.display_light import to_nits
from processors.tasks.base import FoldRun, StreamContext, StreamEnd
from schemas.clock import Clock
from schemas.ids import finding_id
from tests import flashes
from tests.flashes import BT1702, IRIS, fields, figure, folded, found, greys, signals, square_wave, white_codes, within

LUMINANCE, RED = "video.flash.luminance", "video.flash.red"
PATTERN = "video.flash.pattern"
BOTH = pytest.mark.parametrize("task", [BT1702, IRIS])
BLACK, WHITE = 16, 235


def codes(drafts: Any) -> list[str]:
    return [draft.code for draft in drafts]


@BOTH
@pytest.mark.parametrize("rate", [24000 / 1001, 25, 50])
@pytest.mark.parametrize(("hertz", "fails"), [(2.9, False), (3.0, False), (3.1, True), (6.0, True)])
def test_more_than_three_flashes_in_a_second(task: str, rate: float, hertz: float, fails: bool) -> None:
    planes = greys(square_wave(round(4 * rate), hertz, BLACK, WHITE, rate))
    pts = [round(90000 * k / rate) for k in range(len(planes[0]))]
    drafts, outcome = folded(task, signals(task, planes, pts=pts))
    # iris counts four to six transitions in every second for four seconds as a failure too: these clips are too short for it.
    assert codes(drafts) == [LUMINANCE] * fails
    name, least = ("rate", 3.5) if task == BT1702 else ("transitions", 7)
    assert (figure(outcome, f"{LUMINANCE}_{name}") >= least) is fails
    assert figure(outcome, f"{RED}_{name}") == 0


@BOTH
def test_a_finding_begins_with_the_frame_that_crosses_the_limit(task: str) -> None:
    planes = greys([BLACK] * 25 + [WHITE, BLACK] * 4 + [BLACK] * 42)
    (draft,) = found(task, planes)
    assert (draft.start_row, draft.end_row) == (31, 51)
    assert (draft.start, draft.end) == (31 * flashes.TICKS, 51 * flashes.TICKS)
    # Eight changes within eight frames, the first of which has left the second with frame 50, the next with 51.
    assert draft.value == (4.0 if task == BT1702 else 8.0)
    assert draft.unit == ("flashes/s" if task == BT1702 else "transitions/s")


@BOTH
def test_pauses_of_more_than_a_second_part_findings(task: str) -> None:
    burst = [WHITE, BLACK] * 4
    drafts = found(task, greys([BLACK] * 5 + burst + [BLACK] * 60 + burst + [BLACK] * 5))
    assert codes(drafts) == [LUMINANCE] * 2


@pytest.mark.parametrize("shape", ["left", "middle", "stripes"])
@pytest.mark.parametrize(("share", "fails"), [(0.24, False), (0.26, True)])
@pytest.mark.parametrize("task", [BT1702, IRIS])
def test_area(task: str, shape: str, share: float, fails: bool) -> None:
    still = greys([BLACK] * 50)
    moving = greys(square_wave(50, 5, BLACK, WHITE))
    if shape == "left":
        planes = within(moving, still, slice(None), slice(0, 2 * round(160 * share)))
    elif shape == "middle":
        # Off the grid of cells on every side.
        height = 2 * round(90 * share**0.5)
        width = 2 * round(320 * 180 * share / height / 2)
        planes = within(moving, still, slice(34, 34 + height), slice(68, 68 + width))
    else:
        planes = still
        for k in range(2):
            planes = within(moving, planes, slice(90 * k, 90 * k + 2 * round(45 * share)), slice(None))
        assert abs(np.mean(planes[0] == WHITE) / np.mean(moving[0] == WHITE) - share) < 0.012
    assert codes(found(task, planes)) == [LUMINANCE] * fails


@pytest.mark.parametrize(("low", "high", "fails"), [(100, 118, False), (100, 123, True), (157, 180, True), (163, 195, False)])
def test_change_and_dark_state_of_bt1702(low: float, high: float, fails: bool) -> None:
    planes = greys(square_wave(50, 5, white_codes(low), white_codes(high)))
    assert codes(found(BT1702, planes)) == [LUMINANCE] * fails


def srgb_code(relative: float) -> int:
    return round(16 + 219 * (1.055 * relative ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize(
    ("low", "high", "fails"), [(0.3, 0.39, False), (0.3, 0.41, True), (0.79, 0.95, True), (0.81, 0.95, False)]
)
def test_change_and_dark_state_of_iris(low: float, high: float, fails: bool) -> None:
    planes = greys(square_wave(50, 5, srgb_code(low), srgb_code(high)))
    assert codes(found(IRIS, planes)) == [LUMINANCE] * fails


def test_a_change_may_take_several_frames() -> None:
    up = [16, 70, 110, 140, 160]
    ramps = [16] * 3 + (up + up[::-1]) * 8
    drafts, outcome = folded(BT1702, signals(BT1702, greys(ramps), pts=[1800 * k for k in range(len(ramps))]))
    assert codes(drafts) == [LUMINANCE]
    assert figure(outcome, f"{LUMINANCE}_rate") == 5.0  # a period is ten frames of 1/50 s: ten changes in a second
    one_way = greys(list(range(16, 235, 4)))
    assert figure(folded(BT1702, signals(BT1702, one_way))[1], f"{LUMINANCE}_rate") == 0.5


def test_flashes_that_alternate_between_places_count_as_the_pictures() -> None:
    """Each half flashes at 2.5 Hz, the picture at 5 Hz."""
    dark = greys([BLACK] * 50)
    turns = [k % 10 for k in range(50)]
    left = within(greys([WHITE if t in (0, 1) else BLACK for t in turns]), dark, slice(None), slice(0, 160))
    both = within(greys([WHITE if t in (5, 6) else BLACK for t in turns]), left, slice(None), slice(160, 320))
    assert found(BT1702, left) == []
    assert codes(found(BT1702, both)) == [LUMINANCE]


def test_a_checkerboard_that_turns_over_flashes_everywhere_though_its_mean_stays() -> None:
    board = np.indices((18, 32)).sum(axis=0) % 2 * (WHITE - BLACK) + BLACK
    luma = np.stack([np.kron(board if k // 3 % 2 else BLACK + WHITE - board, np.ones((10, 10))) for k in range(50)])
    planes = (luma.astype(np.uint8), *greys([BLACK] * 50)[1:])
    assert codes(found(BT1702, planes)) == [PATTERN, LUMINANCE]  # sixteen pairs along each line, which change places
    assert found(IRIS, planes) == []


def test_a_flicker_reaches_bright_and_dark_parts_one_after_the_other() -> None:
    """A picture of 22 to 100 cd/m² under light that swings at 4 Hz: no frame of 1/120 s changes a quarter of it."""
    light = (1 - np.cos(2 * np.pi * 4 * np.arange(240) / 120)) / 2
    nits = (20 / np.linspace(0.2, 0.9, 320))[None, None, :] * light[:, None, None] * np.ones((1, 180, 1))
    luma = np.rint(16 + 219 * (nits / 200) ** (1 / 2.4)).astype(np.uint8)
    arrays = signals(BT1702, (luma, *greys([BLACK] * 240)[1:]), pts=[750 * k for k in range(240)])
    drafts, outcome = folded(BT1702, arrays)
    assert codes(drafts) == [LUMINANCE]
    assert figure(outcome, f"{LUMINANCE}_rate") == 4.0
    run = FoldRun.begin(tasks.agent_task(BT1702).fold, StreamContext("v0", "video", flashes.CLOCK))
    run.step(arrays[0])
    assert run.state["luminance_in_place"] == 0


def test_a_small_fast_strobe_is_not_added_up() -> None:
    """A sixth of the screen that flashes within the time in which the picture as a whole may change."""
    still = greys([BLACK] * 60)
    planes = within(greys(square_wave(60, 9.34, BLACK, WHITE)), still, slice(None), slice(0, 52))
    assert found(BT1702, planes) == []


def test_a_whip_pan_is_no_flash() -> None:
    """Every cell changes several times a second, but never more than a quarter of them one way."""
    rng = np.random.default_rng(2)
    blocks = np.kron(rng.choice([60, 110, 160, 200], (6, 80)), np.ones((30, 30)))
    luma = np.stack([blocks[:, 20 * k : 20 * k + 320] for k in range(75)]).astype(np.uint8)
    arrays = signals(BT1702, (luma, *greys([BLACK] * 75)[1:]))
    assert arrays[0].arrays["rise"].mean() / 255 > 0.1
    assert folded(BT1702, arrays)[0] == []


def test_what_moves_is_no_flash() -> None:
    rng = np.random.default_rng(1)
    texture = rng.integers(20, 230, (180, 1200)).astype(np.uint8)
    luma = np.stack([texture[:, 12 * k : 12 * k + 320] for k in range(60)])
    planes = (luma, *greys([BLACK] * 60)[1:])
    for task in (BT1702, IRIS):
        assert found(task, planes) == []


@BOTH
def test_red(task: str) -> None:
    red, green = flashes.RED, (81, 100, 60)
    reds = fields(square_wave(50, 5, (81, 128, 128), red))
    drafts = found(task, reds)
    assert RED in codes(drafts)
    drafts = found(task, fields(square_wave(50, 5, (81, 128, 128), green)))
    assert RED not in codes(drafts)
    slow = folded(task, signals(task, fields(square_wave(75, 2.5, (81, 128, 128), red))))[0]
    assert RED not in codes(slow)


@BOTH
def test_red_still_counts_when_it_is_gone(task: str) -> None:
    planes = fields([(81, 128, 128), flashes.RED] * 4 + [(81, 128, 128)] * 8)
    drafts, outcome = folded(task, signals(task, planes))
    assert RED in codes(drafts)
    assert folded(task, signals(task, planes, [8, 9])) == (drafts, outcome)


@BOTH
def test_the_noise_of_black_is_no_red(task: str) -> None:
    rng = np.random.default_rng(3)
    noise = [
        np.clip(np.rint(rng.normal(m, 1.5, (60, *s))), 0, 255) for m, s in ((17, (90, 160)), (128, (45, 80)), (130, (45, 80)))
    ]
    planes = tuple(plane.astype(np.uint8) for plane in noise)
    drafts, outcome = folded(task, signals(task, (planes[0], planes[1], planes[2])))
    assert drafts == []
    assert figure(outcome, f"{RED}_{'rate' if task == BT1702 else 'transitions'}") == 0


def pq_code(nits: float) -> int:
    table = to_nits(np.arange(1024) / 1023, "smpte2084")
    return int(np.argmin(abs(table - nits)) * 876 / 1023 + 64.5)


@pytest.mark.parametrize(("low", "high", "fails"), [(100, 117, False), (100, 123, True), (400, 440, False), (400, 465, True)])
def test_pq_in_ten_bits(low: float, high: float, fails: bool) -> None:
    """In HDR a bright dark state does not excuse: there a Michelson contrast of 1/17 counts (50 cd/m² at 400)."""
    values = [(code, 512, 512) for code in square_wave(50, 5, pq_code(low), pq_code(high))]
    planes = fields(values, dtype=np.uint16)
    drafts = found(BT1702, planes, bit_depth=10, transfer="smpte2084", matrix="bt2020nc")
    assert codes(drafts) == [LUMINANCE] * fails


@BOTH
@pytest.mark.parametrize(
    "header", [{"bit_depth": 10}, {"bit_depth": 16}, {"colour_range": "full"}, {"transfer": "arib-std-b67"}]
)
def test_depth_range_and_hlg(task: str, header: dict[str, Any]) -> None:
    depth = header.get("bit_depth", 8)
    black, white = (0, 255) if "colour_range" in header else (16 << depth - 8, 235 << depth - 8)
    values = [(code, 128 << depth - 8, 128 << depth - 8) for code in square_wave(50, 5, black, white)]
    planes = fields(values, dtype=np.uint8 if depth == 8 else np.uint16)
    assert codes(found(task, planes, **header)) == [LUMINANCE]
    if task == BT1702:
        nits = signals(task, planes, **header)[0].arrays["nits"]
        assert nits.min() == 0
        assert nits.max() == (1000 if "transfer" in header else 200)


def test_light_of_sdr() -> None:
    nits = [20, 100, 160]
    planes = greys([white_codes(n) for n in nits])
    measured = signals(BT1702, planes)[0].arrays["nits"].astype(float)[:, 9, 16]
    assert measured == pytest.approx(nits, abs=1.2)


@BOTH
@pytest.mark.parametrize("size", [(2, 2), (2, 320), (54, 320), (178, 6), (66, 94)])
def test_odd_sizes(task: str, size: tuple[int, int]) -> None:
    assert codes(found(task, greys(square_wave(40, 5, BLACK, WHITE), size))) == [LUMINANCE]


@BOTH
def test_lost_rows_and_new_geometry_start_again(task: str) -> None:
    """Four changes before and four after: seven in a second, if anything reached across."""
    before, after = [BLACK] * 5 + [WHITE, BLACK] * 2, [WHITE, BLACK] * 2 + [BLACK] * 5
    whole = greys(before + after)
    assert codes(found(task, whole)) == [LUMINANCE]
    lost = [*signals(task, greys(before)), *signals(task, greys(after), first=len(before) + 1)]
    assert folded(task, lost)[0] == []
    other = [*signals(task, greys(before)), *signals(task, greys(after, (90, 160)), first=len(before))]
    assert folded(task, other)[0] == []
    same = [*signals(task, greys(before)), *signals(task, greys(after), first=len(before))]
    assert folded(task, same)[0] == []
    linked = [*signals(task, greys([*before, WHITE]), last_linked=True), *signals(task, greys(after), first=len(before))]
    assert codes(folded(task, linked)[0]) == [LUMINANCE]


@BOTH
def test_an_interval_ends_before_a_hole(task: str) -> None:
    burst = greys([BLACK] * 5 + [WHITE, BLACK] * 6)
    parts = [*signals(task, burst), *signals(task, burst, first=40)]
    drafts, _ = folded(task, parts)
    assert [(d.start_row, d.end_row) for d in drafts] == [(11, 17), (51, 57)]
    assert drafts[0].end == 17 * flashes.TICKS


@BOTH
def test_a_second_is_presentation_time(task: str) -> None:
    """Seven changes in eight frames that last longer and longer: within a second, or not."""
    planes = greys([BLACK] + [WHITE, BLACK] * 3 + [WHITE])
    quick, slow = ([90 * ms for ms in np.cumsum([0, *gaps])] for gaps in ([200, *[166] * 6], [200, *[167] * 6]))
    assert codes(found(task, planes, pts=quick)) == [LUMINANCE]
    assert found(task, planes, pts=slow) == []


def test_iris_fails_four_to_six_transitions_held_for_four_seconds() -> None:
    planes = greys(square_wave(160, 2.5, BLACK, WHITE), (18, 32))
    (draft,), outcome = folded(IRIS, signals(IRIS, planes))
    assert draft.value == 5.0 and "4 of 5 s" in draft.text
    assert figure(outcome, f"{LUMINANCE}_extended") >= 4.0
    short = greys(square_wave(100, 2.5, BLACK, WHITE), (18, 32))
    drafts, outcome = folded(IRIS, signals(IRIS, short))
    assert drafts == [] and figure(outcome, f"{LUMINANCE}_transitions") == 5.0
    assert folded(BT1702, signals(BT1702, planes))[0] == []


@BOTH
def test_a_finding_is_told_as_it_grows(task: str) -> None:
    planes = greys(square_wave(75, 6, BLACK, WHITE) + [BLACK] * 60)
    heard: list[FoldEvent] = []
    folded(task, signals(task, planes, range(10, 130, 10)), heard=heard.append)
    phases = [event.phase for event in heard]
    assert phases[0] is Phase.NEW and phases[-1] is Phase.END
    assert set(phases[1:-1]) == {Phase.UPDATE}
    assert len({event.finding.start for event in heard}) == 1


@BOTH
def test_nothing_seen_is_said(task: str) -> None:
    fold = tasks.agent_task(task).fold
    context = StreamContext("v0", "video", Clock(tick=(1, 25)))
    outcome = fold.finish(context, fold.start(context), {}, StreamEnd(0, 0))
    assert [(m.value, m.reason) for m in outcome.measurements] == [(None, "no frame was seen")] * len(outcome.measurements)


def test_the_models_speak_beside_each_other() -> None:
    assert not tasks.task(BT1702).spec.second_opinion
    assert tasks.task(IRIS).spec.second_opinion
    assert tasks.task(IRIS).spec.findings == (LUMINANCE, RED)
    assert tasks.task(BT1702).spec.findings == (LUMINANCE, RED, PATTERN)
    assert finding_id("a", "v0", LUMINANCE, 5) != finding_id("a", "v0", LUMINANCE, 5, opinion=IRIS)
    assert assemble.opinion(BT1702) is None


@BOTH
def test_the_state_stays_small(task: str) -> None:
    fold = tasks.agent_task(task).fold
    planes = greys(square_wave(240, 12, BLACK, WHITE, 60))
    run = FoldRun.begin(fold, StreamContext("v0", "video", flashes.CLOCK))
    for part in signals(task, planes, range(12, 240, 12), pts=[1500 * k for k in range(240)]):
        run.step(part)
    assert flashes.restored(run.state)[1] < 64_000
