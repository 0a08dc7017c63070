"""The timeline in a terminal: shots and findings as strips, a ruler of time, and the loudness curve, all on one axis."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from plotille import Canvas
from rich.console import Group, RenderableType
from rich.text import Text

from streams.looks.curves import Curve
from streams.looks.timeline import Bar, Lane, Timeline, Weight

STYLE: dict[Weight, str] = {"fail": "red", "review": "yellow", "noted": "blue"}
MARK: dict[Weight, tuple[str, str]] = {"fail": ("━", "●"), "review": ("─", "○"), "noted": ("┄", "·")}
"""What is drawn for a finding: over its columns, and where it is shorter than one."""
SHOT, OTHER_SHOT, SEVERAL = "█", "░", "▚"
LABEL_MOST = 27
LANES_MOST = 24
CURVE_ROWS = 8
CURVES_MOST = 4
QUIETEST, STEP = -60.0, 10.0
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000)
"""Seconds between marks of the ruler."""


def draw(time: Timeline, curves: Sequence[Curve], width: int) -> RenderableType:
    """Strips of shots and findings and, of the first streams of sound, short-term loudness; ``width`` columns wide.

    Without colour it says the same: marks differ in shape as well.
    """
    lanes = [*time.findings, *time.gaps]
    shown = lanes[:LANES_MOST]
    loud = [c for c in curves if c.id == "loudness.short_term"] or [c for c in curves if c.id == "loudness.momentary"]
    labels = [_label(lane) for lane in (*time.shots, *shown)]
    margin = min(LABEL_MOST, max(map(len, [*labels, "loudness a0"]))) + 1
    columns = max(10, width - margin)
    axis = _Axis(time.start, time.end, columns)
    lines: list[RenderableType] = [_title(time, shown, columns)]
    lines += [_row(_label(lane), _shots(lane.bars, axis), margin) for lane in time.shots]
    lines += [_row(_label(lane), _marks(lane.bars, axis), margin) for lane in shown]
    if len(lanes) > len(shown):
        lines.append(Text(f"{len(lanes) - len(shown)} more kinds of findings are not drawn", style="dim"))
    lines.append(_row("", Text(_ruler(axis), style="dim"), margin))
    for curve in loud[:CURVES_MOST]:
        lines += _curve(curve, axis, margin)
    return Group(*lines)


class _Axis:
    """Seconds to columns."""

    def __init__(self, start: float, end: float, columns: int) -> None:
        self.start, self.end, self.columns = start, end, columns
        self.step = (end - start) / columns

    def column(self, seconds: float) -> int:
        return min(self.columns - 1, max(0, math.floor((seconds - self.start) / self.step)))

    def middles(self) -> Iterator[float]:
        return (self.start + (i + 0.5) * self.step for i in range(self.columns))


def clock_time(seconds: float) -> str:
    """``h:mm:ss``, or ``m:ss`` below an hour."""
    whole = round(abs(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    text = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return f"-{text}" if seconds <= -0.5 else text


def _title(time: Timeline, lanes: Sequence[Lane], columns: int) -> Text:
    text = Text.assemble(("Timeline", "bold"), (f"  {(time.end - time.start) / columns:.3g} s a column", "dim"))
    weights = {bar.judgement.weight for lane in lanes for bar in lane.bars}
    for weight in (w for w in STYLE if w in weights):
        text.append(f"   {MARK[weight][0]}{MARK[weight][1]} ", STYLE[weight]).append(weight, "dim")
    return text


def _label(lane: Lane) -> str:
    return lane.code if lane.code == "shots" else f"{lane.stream} {lane.code}"


def _row(label: str, strip: Text, margin: int) -> Text:
    short = label if len(label) < margin else label[: margin - 2] + "…"
    return Text(f"{short:<{margin}}").append_text(strip)


def _shots(bars: Sequence[Bar], axis: _Axis) -> Text:
    """A block per shot, in turn full and light; where several begin in one column, a mark that says so."""
    begins = [0] * axis.columns
    for bar in bars:
        begins[axis.column(bar.start)] += 1
    cells, at = [], 0
    for column, middle in enumerate(axis.middles()):
        while at + 1 < len(bars) and bars[at + 1].start <= middle:
            at += 1
        inside = bool(bars) and bars[at].start <= middle < bars[at].end
        cells.append(SEVERAL if begins[column] > 1 else (OTHER_SHOT if at % 2 else SHOT) if inside else " ")
    return Text("".join(cells), style="cyan")


def _marks(bars: Iterable[Bar], axis: _Axis) -> Text:
    """A line over each finding. Where several meet in one column, the worst is what is seen."""
    cells: list[tuple[int, str, str]] = [(len(STYLE), " ", "")] * axis.columns
    for bar in bars:
        first, last = axis.column(bar.start), axis.column(math.nextafter(bar.end, -math.inf))
        weight = bar.judgement.weight
        rank = list(STYLE).index(weight)
        mark = MARK[weight][0 if bar.end - bar.start >= axis.step else 1]
        for column in range(first, max(first, last) + 1):
            cells[column] = min(cells[column], (rank, mark, STYLE[weight]))
    return Text.assemble(*((mark, style) for _, mark, style in cells))


def _ruler(axis: _Axis) -> str:
    """Marks with their times, as many as have room."""
    room = len(clock_time(axis.end)) + 4
    step = next((s for s in STEPS if s / axis.step >= room), STEPS[-1] * math.ceil(room * axis.step / STEPS[-1]))
    line = [" "] * axis.columns
    for number in range(math.ceil(axis.start / step), math.floor(axis.end / step) + 1):
        text = f"╵{clock_time(number * step)}"
        column = axis.column(number * step)
        if column + len(text) <= axis.columns:
            line[column : column + len(text)] = text
    return "".join(line)


def _curve(curve: Curve, axis: _Axis, margin: int) -> Iterator[Text]:
    """Braille dots, two a column and four a row, from ``QUIETEST`` up to the next ``STEP`` above the loudest."""
    known = curve.values[~np.isnan(curve.values)]
    top = max(QUIETEST + STEP, math.ceil(float(known.max()) / STEP) * STEP) if len(known) else 0.0
    canvas = Canvas(axis.columns, CURVE_ROWS, axis.start, QUIETEST, axis.end, top)
    across = np.minimum(curve.seconds, canvas.xmax_inside)
    up = np.clip(curve.values, QUIETEST, canvas.ymax_inside)
    points = zip(across.tolist(), up.tolist(), strict=True)
    for (a, low), (b, high) in itertools.pairwise(points):
        if not math.isnan(low) and not math.isnan(high):
            canvas.line(a, low, b, high)
    yield Text.assemble((f"Loudness {curve.stream}", "bold"), (f"  {curve.title}, {curve.unit}", "dim"))
    rows = canvas.plot().splitlines()
    for number, dots in enumerate(rows):
        level = top if number == 0 else QUIETEST if number == len(rows) - 1 else None
        label = "" if level is None else f"{level:.0f} "
        yield Text(f"{label:>{margin}}").append(dots, "green")
