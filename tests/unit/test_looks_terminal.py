"""The timeline as data, and drawn in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console

from schemas.events import ContentMetadata, Gap
from streams.looks import terminal
from streams.looks.curves import Curve
from streams.looks.printable import printable
from streams.looks.timeline import Judgement, judgements, name_of, pictured, timeline
from tests.looks import covered, finding, made, shot, verdict


def drawn(event: ContentMetadata, curves: Sequence[Curve] = (), width: int = 80, *, colour: bool = False) -> list[str]:
    out = StringIO()
    console = Console(file=out, width=width, markup=False, force_terminal=colour, color_system="truecolor" if colour else None)
    console.print(terminal.draw(timeline(event), curves, width))
    return out.getvalue().splitlines()


def loudness(values: Sequence[float] | NDArray[np.float64], seconds: float = 10.0) -> Curve:
    times = np.linspace(0, seconds, len(values))
    return Curve("loudness.short_term", "a0", "short-term", "LUFS", "Loudness", times, np.array(values, float))


def test_the_worst_rule_that_minds_a_finding_judges_it() -> None:
    findings = [finding(f"f{i}", i, i + 1) for i in range(4)]
    rules = (
        ("review", "minor", ["f0", "f1"]),
        ("fail", "major", ["f1"]),
        ("review", "blocker", ["f1"]),
        ("pass", "blocker", ["f2"]),
        ("not_evaluated", "blocker", ["f3"]),
    )
    judged = judgements(made(findings=findings, verdicts=[verdict(*rules[:3]), verdict(*rules[3:], profile="other")]))
    assert judged["f0"] == Judgement("review", "minor", ("house: rule0",))
    assert judged["f1"] == Judgement("fail", "blocker", ("house: rule0", "house: rule1", "house: rule2"))
    assert judged["f2"] == judged["f3"] == Judgement()


def test_lanes_are_by_stream_and_code_and_gaps_without_times_are_whole() -> None:
    findings = [
        finding("f1", 50, 60, "video.freeze"),
        finding("f2", 5, 6),
        finding("f3", 0, 9),
        finding("f4", 1, 2, "audio.mute", stream="a0"),
    ]
    gaps = [
        Gap(stream="v0", clock="v0", start=None, end=None, task="shots", reason="it failed"),
        Gap(stream="a0", clock="a0", start=48_000, end=96_000, reason="lost"),
    ]
    time = timeline(made(cuts=[100], findings=findings, gaps=gaps))
    assert [(lane.stream, lane.code, [bar.key for bar in lane.bars]) for lane in time.findings] == [
        ("v0", "video.black", ["f3", "f2"]),
        ("v0", "video.freeze", ["f1"]),
        ("a0", "audio.mute", ["f4"]),
    ]
    assert [(lane.stream, lane.bars[0].start, lane.bars[0].end) for lane in time.gaps] == [("a0", 1.0, 2.0), ("v0", 0.0, 10.0)]
    assert time.gaps[1].bars[0].text == "shots: it failed"
    assert [(bar.key, bar.label) for bar in time.shots[0].bars] == [
        ("1", "10:00:00:00 – 10:00:04:00"),
        ("2", "10:00:04:00 – 10:00:10:00"),
    ]
    assert (time.start, time.end) == (0.0, 10.0)


def test_the_axis_goes_to_the_end_of_the_longest_stream() -> None:
    event = made(250)
    assert timeline(event.model_copy(update={"technical": event.technical.model_copy(update={"duration": None})})).end == 10.0
    longer = event.coverage.model_copy(update={"streams": {"a0": covered(12 * 48_000)}})
    assert timeline(event.model_copy(update={"coverage": longer})).end == 12.0


def test_pictures_are_spread_evenly() -> None:
    shots = [shot(i, i + 1) for i in range(100)]
    assert pictured(shots[:7], 10) == list(range(7))
    assert pictured(shots, 5) == [0, 25, 50, 74, 99]
    assert pictured(shots, 1) == [0] and pictured([], 5) == []


def test_shots_alternate_and_marks_stand_where_findings_are() -> None:
    findings = [finding("f1", 125, 250), finding("f2", 60, 61, "video.flash_frame"), finding("f3", 0, 100, "video.freeze")]
    event = made(cuts=[50, 125], findings=findings, verdicts=[verdict(("fail", "major", ["f1"]), ("review", "minor", ["f2"]))])
    lines = drawn(event)
    margin = len("v0 video.flash_frame ")
    strips = {line[:margin].strip(): line[margin:].rstrip() for line in lines}
    columns = 80 - margin
    assert strips["shots"] == "█" * 12 + "░" * 17 + "█" * (columns - 29)
    assert strips["v0 video.black"] == " " * 29 + "━" * (columns - 29)
    assert strips["v0 video.flash_frame"] == " " * int(60 / 250 * columns) + "○"
    assert strips["v0 video.freeze"] == "┄" * 24
    ruler = strips[""]
    assert ruler.startswith("╵0:00") and ruler.index("╵0:04") == int(4 / 10 * columns)
    assert "fail" in lines[0] and "review" in lines[0] and "noted" in lines[0]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_long_asset_fits_every_width(width: int) -> None:
    rng = np.random.default_rng(3)
    frames = 2 * 3600 * 25
    cuts = sorted(rng.choice(np.arange(1, frames), 3000, replace=False).tolist())
    starts = rng.integers(0, frames - 9, 4000).tolist()
    findings = [finding(f"f{i}", at, at + 2, f"video.kind{i % 40}") for i, at in enumerate(starts)]
    lines = drawn(made(frames, cuts=cuts, findings=findings), [loudness(rng.random(400) * -60, 7200.0)], width)
    assert all(cell_len(line) <= width for line in lines)
    assert len(lines) < 50
    assert any("16 more kinds of findings are not drawn" in line for line in lines)
    assert terminal.SEVERAL in lines[1]
    assert any("╵1:00:00" in line for line in lines)


def test_the_curve_has_its_level_at_its_time() -> None:
    lines = drawn(made(), [loudness([-60] * 100 + [-23] * 100)])
    rows = [line for line in lines if any("\u2801" <= c <= "\u28ff" for c in line)]
    loud, quiet = rows[0], rows[-1]
    margin = len("loudness a0 ")
    half = margin + (80 - margin) // 2
    blank = {" ", "\u2800"}
    assert set(loud[half + 2 :]) - blank and not set(loud[margin : half - 2]) - blank
    assert set(quiet[margin : half - 2]) - blank and not set(quiet[half + 2 :]) - blank
    assert any(line.lstrip().startswith("-20") for line in lines) and quiet.lstrip().startswith("-60")


def test_a_hole_in_the_curve_is_not_drawn_over() -> None:
    values = np.full(200, -30.0)
    values[80:120] = np.nan
    rows = drawn(made(), [loudness(values)])
    (line,) = [row for row in rows if any("\u2801" <= c <= "\u28ff" for c in row)]
    margin = len("loudness a0 ")
    middle = line[margin + 29 : margin + 39]
    assert set(middle) == {"\u2800"} and "\u2800" not in line[margin + 2 : margin + 25]


def test_silence_and_nothing_at_all_are_drawn_as_they_are() -> None:
    assert any(line.lstrip().startswith("-50") for line in drawn(made(), [loudness([-100.0] * 50)]))
    lines = drawn(made())
    assert lines[0].startswith("Timeline") and len(lines) == 2


def test_colour_only_where_there_is_a_terminal() -> None:
    event = made(cuts=[50], findings=[finding("f1", 0, 9)])
    assert not any("\x1b" in line for line in drawn(event, [loudness([-20.0] * 9)]))
    assert any("\x1b[34m" in line for line in drawn(event, colour=True))


def test_what_a_file_says_cannot_drive_the_terminal() -> None:
    event = made(uri="file:///x\x1b]0;owned\x07", findings=[finding("f1", 0, 9, text="a\x1b[2J\u202ehidden\nline \\u001b ä")])
    safe = printable(event)
    assert safe.asset.uri == "file:///x\ufffd]0;owned\ufffd"
    assert safe.findings[0].text == "a\ufffd[2J\ufffdhidden\ufffdline \\u001b ä"
    assert printable(made(cuts=[5])) == made(cuts=[5])


def test_names() -> None:
    assert name_of(made(uri="s3://in/a b/film.mov")) == "film.mov"
    assert name_of(made(uri="https://h/film.mov?x=/y")) == "film.mov"
