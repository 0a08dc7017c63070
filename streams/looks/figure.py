"""The timeline and the curves as one Plotly figure: panels above each other on one axis of time."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape as escape_html
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.events import ContentMetadata
from streams.looks.curves import Curve
from streams.looks.timeline import Bar, Lane, Timeline, Weight

WEIGHTS: dict[Weight, tuple[str, str]] = {
    "fail": ("fails a rule", "#d93025"),
    "review": ("is for review", "#c77700"),
    "noted": ("noted", "#4a7fd0"),
}
"""What the legend says, and a colour with a contrast of 3:1 and more on white and on the dark ground."""
GAP_COLOUR = "#a3379b"
SHOT_COLOURS = ("#6b7688", "#98a3b5")
LINE_COLOURS = ("#4a7fd0", "#b3621b", "#23897c", "#a3379b", "#7a6a14", "#6b7688")
RANGES = {"Loudness": (-60.0, 3.0), "True peak": (-60.0, 3.0), "Mean luma": (0.0, 255.0), "Black pixels": (-0.02, 1.02)}
LANE, PANEL, SPACE, HEAD, FOOT = 26, 120, 22, 34, 34
"""Heights in pixels: a lane of bars, a panel of curves, the space between panels, the legend above, the axis below."""
LEFT, RIGHT = 190, 24
"""Margins in pixels, for labels of lanes; fixed, so that the pointer's time can be told from its place."""
ORIGIN = 946_684_800_000
"""Midnight of 2000-01-01 in milliseconds: where time 0 is on the axis, which is one of dates so that it is labelled as
hours, minutes and seconds. Not the epoch: Plotly takes small numbers for years.
"""
SHOWN = ("loudness.short_term", "loudness.true_peak")
"""Of sound, what of the first stream is seen at first; a click on the legend shows the rest."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure's ``traces`` and ``layout`` as Plotly takes them, in JSON's types. Strings in them are escaped.

    Times are milliseconds since the container's start plus ``ORIGIN``.
    """

    traces: list[dict[str, Any]]
    layout: dict[str, Any]


def figure(event: ContentMetadata, time: Timeline, curves: Sequence[Curve]) -> Figure:
    """The figure of an event: a panel of lanes for shots, one for findings and gaps, one for each kind of curve."""
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    lanes = [*time.findings, *time.gaps]
    heights = [LANE * len(part) + 8 for part in (time.shots, lanes) if part] + [PANEL] * len(panels)
    total = sum(heights) + SPACE * max(0, len(heights) - 1)
    domains = _domains(heights, total)
    traces: list[dict[str, Any]] = []
    axes: list[dict[str, Any]] = []
    if time.shots:
        axes.append(_lane_axis(time.shots))
        traces += _shots(time.shots, _ref(axes))
    if lanes:
        axes.append(_lane_axis(lanes))
        traces += _findings(lanes, _ref(axes))
    for panel in panels:
        mine = [curve for curve in curves if curve.panel == panel]
        axes.append(_curve_axis(panel, mine[0].unit))
        traces += _curves(mine, _ref(axes), event, time)
    layout = _layout(time, total)
    for number, (axis, domain) in enumerate(zip(axes, domains, strict=True), start=1):
        layout["yaxis" if number == 1 else f"yaxis{number}"] = {**axis, "domain": domain}
    layout["xaxis"]["anchor"] = _ref(axes) if axes else "y"
    return Figure(traces, layout)


def escape(text: str) -> str:
    """Text for Plotly, which reads some elements and the entities of ``&``, ``<`` and ``>`` in labels, but no others."""
    return escape_html(text, quote=False)


def _ref(axes: Sequence[Any]) -> str:
    return "y" if len(axes) < 2 else f"y{len(axes)}"


def _domains(heights: Sequence[int], total: int) -> list[list[float]]:
    """Where each panel lies, from 0 (bottom) to 1, the first on top."""
    domains, top = [], float(total)
    for height in heights:
        domains.append([max(0.0, (top - height) / total), top / total])
        top -= height + SPACE
    return domains


def milliseconds(seconds: float | NDArray[np.float64]) -> Any:
    """Whole milliseconds, rounded up: so the time of a frame never falls into the one before it."""
    return np.ceil(np.round(np.asarray(seconds) * 1000, 6)).astype(np.int64)


def dates(seconds: float | NDArray[np.float64]) -> Any:
    """Seconds since the container's start as dates on the axis."""
    return milliseconds(seconds) + ORIGIN


def packed(values: NDArray[Any], dtype: str) -> dict[str, str]:
    """An array as Plotly reads it from JSON: little-endian binary in base64. ``dtype`` is ``f4`` or ``f8``."""
    return {"dtype": dtype, "bdata": base64.b64encode(values.astype(f"<{dtype}").tobytes()).decode()}


def _lane_axis(lanes: Sequence[Lane]) -> dict[str, Any]:
    labels = [escape(f"{lane.code} · {lane.stream}") for lane in lanes]
    return {
        "range": [len(lanes) - 0.4, -0.6],
        "tickvals": list(range(len(lanes))),
        "ticktext": labels,
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "automargin": False,
    }


def _curve_axis(panel: str, unit: str) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "title": {"text": f"{escape(panel)}<br>{escape(unit)}", "font": {"size": 11}},
        "fixedrange": True,
        "zeroline": False,
        "nticks": 5,
        "automargin": False,
    }
    return axis | ({"range": list(RANGES[panel])} if panel in RANGES else {"rangemode": "tozero"})


def _bars(bars: Iterable[tuple[int, Bar]], hover: str) -> dict[str, Any]:
    """What bars of one trace have in common; each comes with its lane. The outline keeps the shortest one visible."""
    pairs = list(bars)
    start = dates(np.array([bar.start for _, bar in pairs]))
    end = dates(np.array([bar.end for _, bar in pairs]))
    return {
        "type": "bar",
        "orientation": "h",
        "base": start.tolist(),
        "x": np.maximum(1, end - start).tolist(),
        "y": [lane for lane, _ in pairs],
        "width": 0.7,
        "customdata": [[bar.key, escape(bar.label), escape(bar.text), escape(_judged(bar))] for _, bar in pairs],
        "hovertemplate": hover,
    }


def _judged(bar: Bar) -> str:
    j = bar.judgement
    return f"{j.weight}, {j.severity}: {'; '.join(j.rules)}" if j.rules else "noted: no rule minds it"


def _shots(lanes: Sequence[Lane], yaxis: str) -> Iterator[dict[str, Any]]:
    bars = [(number, bar) for number, lane in enumerate(lanes) for bar in lane.bars]
    yield {
        **_bars(bars, "%{customdata[2]}<br>%{customdata[1]}<extra></extra>"),
        "name": "shots",
        "yaxis": yaxis,
        "showlegend": False,
        "meta": "shots",
        "marker": {"color": [SHOT_COLOURS[i % 2] for i in range(len(bars))], "line": {"width": 0}},
    }


def _findings(lanes: Sequence[Lane], yaxis: str) -> Iterator[dict[str, Any]]:
    """A trace for each weight and one for gaps: each has its colour and its place in the legend."""
    bars = [(number, lane, bar) for number, lane in enumerate(lanes) for bar in lane.bars]
    hover = "%{customdata[2]}<br>%{customdata[1]}<br>%{customdata[3]}<extra></extra>"
    for weight, (words, colour) in WEIGHTS.items():
        mine = [(n, bar) for n, lane, bar in bars if bar.key and bar.judgement.weight == weight]
        if mine:
            marker = {"color": colour, "line": {"width": 2, "color": colour}}
            yield {**_bars(mine, hover), "name": words, "yaxis": yaxis, "meta": "findings", "marker": marker}
    if gaps := [(n, bar) for n, lane, bar in bars if not bar.key]:
        marker = {"color": GAP_COLOUR, "line": {"width": 2, "color": GAP_COLOUR}}
        hover = "%{customdata[2]}<br>%{customdata[1]}<extra></extra>"
        yield {**_bars(gaps, hover), "name": "not analysed", "yaxis": yaxis, "meta": "gaps", "marker": marker}


def _curves(curves: Sequence[Curve], yaxis: str, event: ContentMetadata, time: Timeline) -> Iterator[dict[str, Any]]:
    first = curves[0].stream
    several = len({curve.stream for curve in curves}) > 1 or len({curve.id for curve in curves}) > 1
    for number, curve in enumerate(curves):
        colour = LINE_COLOURS[number % len(LINE_COLOURS)]
        sound = curve.id.startswith("loudness.")
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": escape(f"{curve.title} · {curve.stream}"),
            "meta": curve.id,
            "x": packed(dates(curve.seconds), "f8"),
            "y": packed(curve.values, "f4"),
            "yaxis": yaxis,
            "line": {"color": colour, "width": 1.2, "simplify": False},
            "connectgaps": False,
            "showlegend": several or sound,
            "visible": True if not sound or (curve.id in SHOWN and curve.stream == first) else "legendonly",
            "hovertemplate": f"%{{y:.4~g}} {escape(curve.unit)}<br>%{{x|%H:%M:%S.%L}}",
        }
        if curve.id == "loudness.short_term":
            yield from _integrated(curve.stream, event, time, yaxis, colour, shown=curve.stream == first)


def _integrated(
    stream: str, event: ContentMetadata, time: Timeline, yaxis: str, colour: str, *, shown: bool
) -> Iterator[dict[str, Any]]:
    for m in event.measurements:
        if m.id == "loudness.integrated" and m.stream == stream and m.value is not None:
            yield {
                "type": "scatter",
                "mode": "lines",
                "name": escape(f"integrated {m.value:.1f} LUFS · {stream}"),
                "meta": m.id,
                "x": [int(dates(time.start)), int(dates(time.end))],
                "y": [m.value, m.value],
                "yaxis": yaxis,
                "line": {"color": colour, "width": 1.2, "dash": "dash"},
                "visible": True if shown else "legendonly",
                "hoverinfo": "skip",
            }


def _layout(time: Timeline, height: int) -> dict[str, Any]:
    return {
        "height": height + HEAD + FOOT,
        "margin": {"l": LEFT, "r": RIGHT, "t": HEAD, "b": FOOT},
        "barmode": "overlay",
        "bargap": 0,
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "namelength": -1},
        "dragmode": "zoom",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "font": {"size": 11}},
        "xaxis": {
            "type": "date",
            "range": [int(dates(time.start)), int(dates(time.end))],
            "minallowed": int(dates(time.start)),
            "maxallowed": int(dates(time.end)),
            "tickformat": "%H:%M:%S",
            "tickformatstops": [
                {"dtickrange": [None, 999], "value": "%H:%M:%S.%L"},
                {"dtickrange": [1000, None], "value": "%H:%M:%S"},
            ],
            "showspikes": True,
            "spikemode": "across",
            "spikesnap": "cursor",
            "spikethickness": 1,
            "spikedash": "solid",
            "side": "bottom",
        },
    }
