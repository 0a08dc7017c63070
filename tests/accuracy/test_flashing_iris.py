"""The task flashing-iris against the tool's own expected values, frame by frame, on the clips of its test data."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import pytest

from processors.analyse import analyse
from processors.signals.flash_fold import LUMINANCE, RED
from processors.signals.intervals import Rows
from processors.signals.iris_model import LIMITS, Trace, Windows
from processors.tasks import agent_task
from schemas.events import ContentMetadata
from tests.decoding import chunks_of, outputs, video_jobs

pytestmark = pytest.mark.media

CLIPS = ("iris_2Hz_5s", "iris_3Hz_6s", "iris_gray")
TASK = agent_task("flashing-iris")
ROUNDING = {"iris_gray": 2e-6}
"""The other files of expected values are rounded to whole numbers."""


def expected(media_dir: Path, name: str) -> list[dict[str, float]]:
    with (media_dir / "flashing" / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    # One of the files has a NUL at the end of each line.
    return [{key.rstrip("\0 "): float(value.rstrip("\0 ")) for key, value in row.items() if key != "TimeStamp"} for row in rows]


def whole(media_dir: Path, name: str) -> ContentMetadata:
    wanted = ["flashing-iris", "flashing-bt1702"]
    return analyse(str(media_dir / "flashing" / f"{name}.mp4"), code="test", tasks_wanted=wanted, profiles=["feature-picture"])


def figure(event: ContentMetadata, id: str) -> float | None:
    return next(m.value for m in event.measurements if m.id == id)


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame(name: str, media_dir: Path) -> None:
    (job,) = video_jobs(media_dir / "flashing" / f"{name}.mp4", renditions=("proxy",), after={"proxy": 1})
    runner, windows = TASK.load("cpu"), Windows.of(job.clock)
    parts = [runner(chunk) for chunk in chunks_of(outputs(job), "proxy")]
    truth, close = expected(media_dir, name), ROUNDING.get(name, 1e-3)
    frame = float(1 / Fraction(*(job.clock.frame_rate or (25, 1))))
    trace, red, row, area = Trace(), Trace(), 0, 0.0
    for part in parts:
        a, rows = part.arrays, Rows(part.first_row, part.arrays["pts"], part.arrays["end"])
        for k in range(min(part.rows, len(truth) - row)):
            want, before = truth[row], trace.mean
            now, end = int(rows.start[k]), int(rows.end[k])
            end = end if end > now else now + job.clock.ticks(frame)
            mean = float(a["luminance"][k])
            assert mean == pytest.approx(want["AverageLuminance"], abs=close)
            if before is not None:
                assert area == pytest.approx(want["FlashAreaLuminance"], abs=close)
                change = mean - before if area >= 0.25 else 0.0
                assert change == pytest.approx(want["AverageLuminanceDiff"], abs=close)
            count, _ = trace.see(now, end, mean, float(a["luminance_area"][k]), LIMITS[LUMINANCE], windows)
            reds, _ = red.see(now, end, float(a["red"][k]), float(a["red_area"][k]), LIMITS[RED], windows)
            held = sum(stop - max(start, end - windows.extended) for start, stop in trace.held)
            result = 3 if count > 6 else 2 if held >= windows.held and count >= 4 else 1 if count >= 4 else 0
            assert trace.sum == pytest.approx(want["AverageLuminanceDiffAcc"], abs=close)
            assert (count, reds) == (want["LuminanceTransitions"], want["RedTransitions"])
            assert job.clock.seconds(held) / frame == pytest.approx(want["LuminanceExtendedFailCount"])
            assert result == want["FlashLuminanceFailedFrame"]
            area, row = float(a["luminance_area"][k]), row + 1
    assert row == len(truth) > 20


def test_two_hertz_warn_and_are_no_finding(media_dir: Path) -> None:
    event = whole(media_dir, "iris_2Hz_5s")
    assert event.findings == ()
    assert figure(event, "video.flash.luminance_transitions") == 5  # the tool warns from four on
    assert 0 < (figure(event, "video.flash.luminance_extended") or 0) < 4
    assert event.verdicts[0].outcome != "fail"


def test_three_hertz_fail_with_the_same_frames_as_the_tool(media_dir: Path) -> None:
    event, truth = whole(media_dir, "iris_3Hz_6s"), expected(media_dir, "iris_3Hz_6s")
    failed = [k for k, row in enumerate(truth) if row["FlashLuminanceFailedFrame"] == 3]
    extended = [k for k, row in enumerate(truth) if row["FlashLuminanceFailedFrame"] == 2]
    by = {p.name: p.id for p in event.producers}
    ours = [f for f in event.findings if f.by == by["flashing-iris"]]
    assert [(f.code, f.start_frame, f.end_frame) for f in ours] == [
        (LUMINANCE, failed[0], failed[-1] + 1),
        (LUMINANCE, extended[0], extended[-1] + 1),
    ]
    recommended = [f for f in event.findings if f.by == by["flashing-bt1702"]]
    assert [(f.code, f.start_frame) for f in recommended] == [(LUMINANCE, failed[0])]
    # Both speak of the same frame; neither is lost.
    assert len({f.id for f in event.findings}) == 3
    assert event.verdicts[0].outcome == "fail"
    rule = next(r for r in event.verdicts[0].rules if r.rule == "no-luminance-flash")
    assert set(rule.findings) == {f.id for f in event.findings}


def test_bright_grey_passes(media_dir: Path) -> None:
    """Both states are over 0.8 (160 cd/m²): the darker one is too bright for a flash."""
    event = whole(media_dir, "iris_gray")
    assert event.findings == ()
    assert figure(event, "video.flash.luminance_transitions") == 0
    assert figure(event, "video.flash.luminance_rate") == 0
