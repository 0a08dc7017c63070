"""Active areas where the aspect ratio changes: one finding for each stretch, with its own area, however the rows are cut."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.findings import Phase
from processors.signals.area import BOTTOM, LEFT, RIGHT, TOP
from processors.signals.bars import Bars, BarsRow, BarsRule, Stretch
from tests.picture import HEIGHT, WIDTH, Shots, analyse, flat
from tests.tools import require_tool

Change = Callable[[list[NDArray[Any]]], None]
Found = list[tuple[int, int, tuple[int, int, int, int] | None]]


def bars(high: int, wide: int = 0) -> Change:
    """Black bars above and below, and beside."""

    def change(planes: list[NDArray[Any]]) -> None:
        if high:
            planes[0][:high] = planes[0][-high:] = 16
        if wide:
            planes[0][:, :wide] = planes[0][:, -wide:] = 16

    return change


def area(high: int, wide: int = 0) -> tuple[int, int, int, int]:
    return wide, high, WIDTH - 2 * wide, HEIGHT - 2 * high


def letterboxes(shots: Shots) -> Found:
    return [(f.start_row or 0, f.end_row or 0, f.area) for f in shots.findings("video.letterbox")]


def test_each_aspect_ratio_is_a_finding_with_its_own_area() -> None:
    shots = Shots().moving(60, bars(15)).moving(75, bars(5)).moving(60, bars(15)).moving(60, bars(15, 20)).moving(60)
    assert letterboxes(shots) == [(0, 60, area(15)), (60, 135, area(5)), (135, 195, area(15)), (195, 255, area(15, 20))]


def test_another_ratio_for_a_moment_is_part_of_the_stretch() -> None:
    shots = Shots().moving(60, bars(15)).moving(30, bars(25)).moving(60, bars(15))
    assert letterboxes(shots) == [(0, 150, area(15))]
    shots = Shots().moving(60, bars(15)).moving(30, bars(5)).moving(60, bars(15))
    assert letterboxes(shots) == [(0, 150, area(5))], "the union over its frames"
    assert letterboxes(Shots().moving(60, bars(15)).moving(30, bars(25))) == [(0, 90, area(15))], "and at the end"
    assert letterboxes(Shots().moving(60, bars(15)).moving(30, bars(5))) == [(0, 60, area(15))]


def test_bars_that_open_slowly_are_in_neither_stretch() -> None:
    shots = Shots().moving(60, bars(30))
    for high in range(29, 6, -1):
        shots.moving(1, bars(high))
    assert letterboxes(shots.moving(60, bars(6))) == [(0, 64, area(26)), (79, 143, area(6))]
    shots = Shots().moving(60, bars(30))
    for high in range(29, 0, -1):
        shots.moving(1, bars(high))
    assert letterboxes(shots.moving(60)) == [(0, 64, area(26))], "to the full picture"


def test_dark_frames_and_subtitles_change_no_ratio() -> None:
    def subtitle(planes: list[NDArray[Any]]) -> None:
        bars(20)(planes)
        planes[0][-15:-7, 30:130] = 200

    shots = Shots().moving(60, bars(20)).moving(60, subtitle).still(flat(16), 40).moving(60, bars(20))
    assert letterboxes(shots) == [(0, 220, (0, 20, WIDTH, HEIGHT - 27))]


def row(number: int, high: int, wide: int, speaks: bool = True) -> BarsRow:
    sharp = (TOP | BOTTOM) * bool(high) | (LEFT | RIGHT) * bool(wide)
    return BarsRow(number, 40 * number, 40 * number + 40, (high, 1080 - high, wide, 1920 - wide), speaks, sharp)


def heard(rows: list[BarsRow], cuts: list[int]) -> tuple[list[Stretch], list[tuple[Phase, Stretch]]]:
    """The stretches that are left at the end, and all that was said on the way."""
    rule, open_, said = BarsRule(2000, 1920, 1080), Bars(), []
    for low, high in pairwise([0, *sorted(set(cuts)), len(rows)]):
        open_, more = rule.step(open_, rows[low:high], low)
        said += more
        open_ = Bars.from_json(asdict(open_))
    said += rule.close(open_, stream_ends=True)
    last: dict[int, tuple[Phase, Stretch]] = {s.start: (phase, s) for phase, s in said}
    assert all(phase in (Phase.END, Phase.WITHDRAWN) for phase, _ in last.values())
    return [s for phase, s in last.values() if phase is Phase.END], said


shots = st.lists(
    st.tuples(st.sampled_from([0, 60, 130, 131, 200]), st.sampled_from([0, 0, 240]), st.booleans(), st.integers(1, 90)),
    min_size=1,
    max_size=7,
)


@settings(max_examples=150)
@given(plan=shots, data=st.data())
def test_any_cutting_gives_the_same(plan: list[tuple[int, int, bool, int]], data: st.DataObject) -> None:
    rows: list[BarsRow] = []
    for high, wide, speaks, frames in plan:
        rows += [row(len(rows) + k, high, wide, speaks) for k in range(frames)]
    cuts = data.draw(st.lists(st.integers(1, max(1, len(rows) - 1)), max_size=8))
    plain = ("start", "end", "row", "end_row", "certain", "frames", "edges")
    whole, parts = (
        [{n: asdict(s)[n] for n in plain} for s in heard(rows, c)[0]] for c in ([], [c for c in cuts if c < len(rows)])
    )
    assert whole == parts
    for one, other in pairwise(whole):
        assert one["end"] <= other["start"], "no frame has two active areas"


@pytest.mark.parametrize("high, wide, depth", [(14, 0, 8), (22, 0, 8), (0, 30, 8), (14, 30, 8), (14, 0, 10), (0, 0, 8)])
def test_the_area_of_a_shot_is_cropdetects(high: int, wide: int, depth: int, tmp_path: Path) -> None:
    """The union over a shot's frames, some of them dark, against FFmpeg's on the same raw pictures."""
    unit, rng = 1 << (depth - 8), np.random.default_rng(high + wide)
    found = Shots()
    for k in range(60):
        planes = [p.astype(np.uint16) * unit if depth > 8 else p for p in flat(16)]
        light = 180 if k % 3 else 30
        planes[0][high : HEIGHT - high, wide : WIDTH - wide] = (
            rng.integers(16, 16 + light, (HEIGHT - 2 * high, WIDTH - 2 * wide)) * unit
        )
        found.add(planes, depth=depth)
    raw = tmp_path / "clip.raw"
    raw.write_bytes(b"".join(p.tobytes() for f in found.frames for p in f.planes))
    source = ["-f", "rawvideo", "-pixel_format", "yuv420p" if depth == 8 else "yuv420p10le", "-video_size", f"{WIDTH}x{HEIGHT}"]
    graph = ["-vf", "cropdetect=limit=0.0941176:round=2:skip=0", "-f", "null", "-"]
    said = subprocess.run([require_tool("ffmpeg"), *source, "-i", str(raw), *graph], capture_output=True, text=True, check=True)
    w, h, x, y = (int(v) for v in re.findall(r"crop=(\d+):(\d+):(\d+):(\d+)", said.stderr)[-1])
    bounds = np.concatenate([part.arrays["area"] for part in analyse(found.frames)])
    seen = bounds[bounds[:, 0] >= 0]
    union = seen[:, 0].min(), seen[:, 1].max(), seen[:, 2].min(), seen[:, 3].max()
    assert union == (y, y + h, x, x + w) == (high, HEIGHT - high, wide, WIDTH - wide)
    assert [f.area for f in found.findings("video.letterbox")] == ([(x, y, w, h)] if high or wide else [])
