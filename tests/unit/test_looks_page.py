"""The page: everything of the event is in it, nothing of the event can act, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from schemas.events import Gap
from schemas.plan import AssetRef, Correlation
from streams.looks.curves import COLUMNS, Curve, Curves
from streams.looks.figure import ORIGIN, figure
from streams.looks.page import data, page
from streams.looks.thumbnails import Thumbnails
from streams.looks.timeline import timeline
from tests.looks import HOSTILE, finding, made, unprocessable, verdict


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words = ""
        self._in: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._in = None

    def handle_data(self, text: str) -> None:
        if self._in == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = attributes, before + text
        elif self._in != "style":
            self.words += text

    def data(self, name: str) -> Any:
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == name))


def curve(points: int, name: str = "loudness.short_term", stream: str = "a0", panel: str = "Loudness") -> Curve:
    rng = np.random.default_rng(points)
    return Curve(name, stream, "short-term", "LUFS", panel, np.linspace(0, 10, points), rng.random(points) * -30)


@pytest.fixture(scope="module")
def hostile() -> Elements:
    """A page of an event that is hostile wherever a maker of files or uploads has a say."""
    event = made(
        cuts=[50],
        findings=[finding("f1", 0, 9, text=HOSTILE), finding(HOSTILE, 9, 20, code=HOSTILE)],
        verdicts=[verdict(("fail", "major", ["f1"]), profile=HOSTILE)],
        gaps=[Gap(stream="v0", clock="v0", start=None, end=None, task=None, reason=HOSTILE)],
        asset=AssetRef(id="a", uri=f"file:///{HOSTILE}", version=HOSTILE),
        correlation=Correlation(delivery_id=HOSTILE, **{HOSTILE: HOSTILE}),
    )
    return Elements(page(event, Curves((curve(50),), (HOSTILE,)), Thumbnails(shots={1: b"x"}, notes=(HOSTILE,))))


def test_only_our_scripts_are_there_and_may_run(hostile: Elements) -> None:
    run = [text for attributes, text in hostile.scripts if attributes.get("type") != "application/json"]
    assert len(run) == 2 and len(hostile.scripts) == 4
    (policy,) = [a["content"] for tag, a in hostile.found if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    assert allowed == [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts and "http" not in policy


def test_nothing_of_the_event_is_an_element_or_a_handler(hostile: Elements) -> None:
    assert all(not name.startswith("on") for _, attributes in hostile.found for name in attributes)
    assert [a["src"] for tag, a in hostile.found if tag == "img"] == ["data:image/jpeg;base64,eA=="]
    assert not [a for tag, a in hostile.found if "href" in a or (tag != "img" and "src" in a)]
    # As text it is there, whole, wherever it was put.
    assert hostile.words.count(HOSTILE) >= 10


def test_data_for_scripts_come_back_whole(hostile: Elements) -> None:
    drawn = hostile.data("figure")
    texts = [entry[2] for trace in drawn["traces"] for entry in trace.get("customdata", [])]
    # Plotly reads some markup in texts: it is given none.
    assert any("&lt;/script&gt;" in text for text in texts)
    assert not any("<" in label for label in drawn["layout"]["yaxis2"]["ticktext"])
    value = {"a": HOSTILE, HOSTILE: ["\u2028\u2029&"]}
    assert json.loads(data(value)) == value
    assert not set("<>&\u2028\u2029") & set(data(value))


def test_plotly_takes_the_figure() -> None:
    import plotly.graph_objects as go

    event = made(cuts=[50], findings=[finding("f1", 0, 9)], gaps=[Gap(stream="v0", clock="v0", start=0, end=9, reason="lost")])
    curves = [curve(50), curve(60, "video.luma_mean", "v0", "Mean luma"), curve(9, "loudness.true_peak", "a0", "True peak")]
    drawn = figure(event, timeline(event), curves)
    go.Figure(data=drawn.traces, layout=drawn.layout)  # raises on any name or value that it does not know
    axes = {name: axis for name, axis in drawn.layout.items() if name.startswith("yaxis")}
    assert len(axes) == 5 and {t["yaxis"] for t in drawn.traces} == {"y", "y2", "y3", "y4", "y5"}
    domains = sorted(axis["domain"] for axis in axes.values())
    assert all(low < high for low, high in domains) and all(a[1] < b[0] for a, b in pairwise(domains))


def test_times_on_the_axis_are_those_of_the_event() -> None:
    event = made(cuts=[50], findings=[finding("f1", 100, 101)], verdicts=[verdict(("fail", "major", ["f1"]))])
    drawn = figure(event, timeline(event), [curve(11)])
    by_name = {trace["name"]: trace for trace in drawn.traces}
    failing = by_name["fails a rule"]
    assert failing["base"] == [ORIGIN + 4000] and failing["x"] == [40]
    assert failing["customdata"] == [["f1", "10:00:04:00 – 10:00:04:01", "Black", "fail, major: house: rule0"]]
    assert by_name["shots"]["base"] == [ORIGIN, ORIGIN + 2000] and by_name["shots"]["x"] == [2000, 8000]
    line = by_name["short-term · a0"]
    assert np.frombuffer(base64.b64decode(line["x"]["bdata"]), "<f8").tolist() == [ORIGIN + 1000.0 * i for i in range(11)]
    assert np.frombuffer(base64.b64decode(line["y"]["bdata"]), "<f4") == pytest.approx(curve(11).values, rel=1e-6)
    assert by_name["integrated -23.0 LUFS · a0"]["y"] == [-23.0, -23.0]


def test_of_several_streams_of_sound_the_first_is_shown_at_first() -> None:
    curves = [curve(9, name, stream) for stream in ("a0", "a1") for name in ("loudness.momentary", "loudness.short_term")]
    drawn = figure(made(), timeline(made()), curves)
    shown = {(t["meta"], t["name"][-2:]): t["visible"] for t in drawn.traces if t["meta"] != "loudness.integrated"}
    assert [key for key, visible in shown.items() if visible is True] == [("loudness.short_term", "a0")]


def test_every_part_of_the_event_is_said() -> None:
    event = made(
        cuts=[50, 100],
        findings=[finding("f1", 0, 9), finding("f2", 3, 4, "audio.mute", "Mute", stream="a0")],
        verdicts=[verdict(("review", "minor", ["f1"]), ("pass", "major", []))],
        correlation=Correlation(delivery_id="D-88", custom="yes"),
    )
    text = Elements(page(event, Curves(notes=("no curves",)), Thumbnails(findings={"f1": b"x"}))).words
    for words in ("film.mov", "file:///clips/film.mov", "complete", "house: review", "10:00:00:00 – 10:00:00:09", "audio.mute"):
        assert words in text
    for words in (
        "review, minor",
        "2.5 s",
        "<= 2 s",
        "-23 LUFS",
        "All 3 shots",
        "ITU-R BS.1770-5",
        "D-88",
        "custom",
        "no curves",
    ):
        assert words in text
    assert "width 320, height 180" in text and "asset1" in text and "run1" in text


def test_an_asset_that_cannot_be_processed_has_a_page_with_the_reason() -> None:
    text = page(unprocessable("not_media: it is <b>text</b>"), Curves(notes=("no sidecar",)), Thumbnails())
    elements = Elements(text)
    assert "not_media: it is <b>text</b>" in elements.words and "D-88" in elements.words and "unprocessable" in elements.words
    assert "no sidecar" not in elements.words and not any(a.get("id") == "plot" for _, a in elements.found)
    assert len(text) < 30_000  # without a figure there is nothing to draw it with


def test_a_long_asset_stays_a_page() -> None:
    frames = 2 * 3600 * 25
    cuts = sorted(np.random.default_rng(1).choice(np.arange(1, frames), 2000, replace=False).tolist())
    findings = [finding(f"f{i}", i * 80, i * 80 + 9) for i in range(2000)]
    event = made(frames, cuts=cuts, findings=findings)
    hops = np.random.default_rng(2).random(720_000)
    names = list(_names())
    curves = [Curve(n, "a0", n, "LUFS", n, np.arange(720_000) / 100, hops).thinned(COLUMNS) for n in names]
    text = page(event, Curves(tuple(curves)), Thumbnails())
    elements = Elements(text)
    assert sum(tag == "tr" and a.get("id", "").startswith("finding-") for tag, a in elements.found) == 2000
    assert sum(tag == "tr" and a.get("id", "").startswith("shot-") for tag, a in elements.found) == 2001
    assert len(text) < 9_000_000


def _names() -> Iterator[str]:
    yield from ("loudness.momentary", "loudness.short_term", "loudness.true_peak")
    yield from ("video.luma_mean", "video.black_ratio", "video.difference", "video.cut_score")
