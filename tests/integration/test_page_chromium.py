"""The page in a browser: drawn, alone, and usable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from schemas.clock import Clock, parse_timecode
from schemas.events import ContentMetadata
from schemas.plan import Correlation
from streams.looks.curves import Curves, read_curves
from streams.looks.page import page
from streams.looks.printable import printable
from streams.looks.thumbnails import Thumbnails, take
from streams.settings import Settings
from tests.analysed import clip_event
from tests.looks import HOSTILE, finding, made
from tests.tools import require_tool

ALONE = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
"""A browser in a container that asks nobody for anything of its own accord."""


PATIENCE_MS = 150_000
"""The page's script is of some megabytes: a busy machine takes long to read it."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = require_tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ALONE))
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page that is open, and what it said and asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def js(self, expression: str, argument: Any = None) -> Any:
        return self.page.evaluate(expression, argument)

    def range(self) -> list[float]:
        """What the plot shows, in seconds."""
        return self.js("""() => document.getElementById('plot').layout.xaxis.range.map(
            d => (typeof d === 'number' ? d : Date.parse(d.replace(' ', 'T') + 'Z')) / 1000 - 946684800)""")


def open_page(browser: Browser, path: Path, text: str) -> Opened:
    path.write_text(text, encoding="utf-8")
    opened = Opened(browser.new_page(viewport={"width": 1366, "height": 768}, offline=True))
    opened.page.set_default_timeout(PATIENCE_MS)
    opened.page.on("console", lambda message: opened.said.append(f"{message.type}: {message.text}"))
    opened.page.on("pageerror", lambda error: opened.said.append(f"error: {error}"))
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    opened.page.goto(path.as_uri())
    opened.page.wait_for_selector("html[data-drawn=yes]", state="attached")
    return opened


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> ContentMetadata:
    return clip_event(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def shown(browser: Browser, event: ContentMetadata, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    text = page(printable(event), read_curves(event), take(event, Settings()))
    return open_page(browser, tmp_path_factory.mktemp("page") / "clip.html", text)


def test_it_draws_everything_and_asks_for_nothing(shown: Opened, event: ContentMetadata) -> None:
    bars = shown.page.locator("#plot .bars .point path")
    assert bars.count() == len(event.tracks.shots) + len(event.findings)
    assert all(bar.bounding_box()["width"] > 1 for bar in bars.all())
    # Momentary loudness waits for a click on the legend.
    assert shown.page.locator("#plot .scatterlayer .trace path.js-line").count() == 7
    boxes = [line.bounding_box() for line in shown.page.locator("#plot .scatterlayer path.js-line").all()]
    assert all(box["width"] > 500 for box in boxes)
    labels = shown.page.locator("#plot g[class$=tick] text").all_text_contents()
    assert {"shots · v0", "video.black · v0", "audio.silence · a0"} <= set(labels)
    assert shown.said == []
    assert [url for url in shown.asked if not url.startswith("data:")] == [shown.page.url]


def test_its_pictures_are_decoded(shown: Opened, event: ContentMetadata) -> None:
    sizes = shown.js("""() => Promise.all([...document.images].map(image => {
        image.loading = 'eager'; return image.decode().then(() => [image.naturalWidth, image.naturalHeight]) }))""")
    seen = sum(finding.stream == "v0" for finding in event.findings)
    assert sizes == [[160, 90]] * (len(event.tracks.shots) + seen)


def test_a_click_leads_from_the_table_to_the_plot_and_back(shown: Opened, event: ContentMetadata) -> None:
    (black,) = [f for f in event.findings if f.code == "video.black"]
    shown.page.locator(f"[id='finding-{black.id}'] button").click()
    low, high = shown.range()
    assert 0 < low < black.start_seconds and black.end_seconds < high < 9
    assert shown.page.locator("tr.marked").get_attribute("id") == f"finding-{black.id}"
    band = shown.js("() => document.getElementById('plot').layout.shapes.map(s => [s.x0 - 946684800000, s.x1 - 946684800000])")
    assert band == [[black.start_seconds * 1000, black.end_seconds * 1000]]
    shown.page.locator("#whole").click()
    assert shown.range() == [0, 9]
    silence = next(f for f in event.findings if f.code == "audio.silence")
    index = shown.js("""key => { const plot = document.getElementById('plot'); let at = 0;
        for (const trace of plot.data) { if (trace.type !== 'bar') continue;
            const i = trace.customdata.findIndex(c => c[0] === key); if (i >= 0 && trace.meta === 'findings') return at + i;
            at += trace.customdata.length } }""", silence.id)  # fmt: skip
    box = shown.page.locator("#plot .bars .point path").nth(index).bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    shown.page.wait_for_selector("tr.marked")
    assert shown.page.locator("tr.marked").get_attribute("id") == f"finding-{silence.id}"


def test_the_pointer_s_time_is_told(shown: Opened) -> None:
    shown.page.locator("#whole").click()
    shots = shown.page.locator("#plot .bars .point path")
    second = shots.nth(1).bounding_box()
    shown.page.mouse.move(second["x"] + second["width"] / 2, second["y"] + 5)
    assert shown.page.locator("#readout").text_content().startswith("00:00:03:0")
    expect(shown.page.locator("#plot .hoverlayer .hovertext")).to_have_text("shot 200:00:02:00 – 00:00:04:00")


def test_the_filter_hides_rows(shown: Opened, event: ContentMetadata) -> None:
    shown.page.locator("#filter").fill("SILENCE")
    rows = shown.page.locator("#findings tbody tr:visible")
    count = sum(f.code == "audio.silence" for f in event.findings)
    assert rows.count() == count and shown.page.locator("#shown").text_content() == f"{count} of {len(event.findings)}"
    shown.page.locator("#filter").fill("")
    assert rows.count() == len(event.findings)


@pytest.mark.parametrize(
    "clock",
    [
        Clock(tick=(1, 25), frame_rate=(25, 1), start_timecode="23:59:59:20"),
        Clock(tick=(1, 24000), frame_rate=(24000, 1001)),
        Clock(tick=(1, 30000), frame_rate=(30000, 1001), start_timecode="00:59:59;28", drop_frame=True),
        Clock(tick=(1, 60000), frame_rate=(60000, 1001), start_timecode="10:00:00;00", drop_frame=True),
    ],
)
def test_timecode_is_that_of_the_events(shown: Opened, clock: Clock) -> None:
    nominal, drop = round(clock.frame_rate[0] / clock.frame_rate[1]), bool(clock.drop_frame)
    first = parse_timecode(clock.start_timecode, nominal, drop) if clock.start_timecode else 0
    frames = [0, 1, 29, 30, 1798, 1799, 1800, 3600, 17981, 17982, 107892, 1_000_000, 2_589_407]
    told = shown.js("([f, n, d]) => f.map(x => dailies.timecode(x, n, d))", [[first + f for f in frames], nominal, drop])
    assert told == [clock.timecode(f) for f in frames]


def test_nothing_hostile_acts(browser: Browser, tmp_path: Path) -> None:
    event = made(
        cuts=[50],
        uri=f"file:///{HOSTILE}",
        findings=[finding("f1", 0, 90, text=HOSTILE), finding(HOSTILE, 90, 200, code=HOSTILE)],
        correlation=Correlation(delivery_id=HOSTILE, **{HOSTILE: HOSTILE}),
    )
    opened = open_page(browser, tmp_path / "hostile.html", page(event, Curves(), Thumbnails()))
    # As Plotly shows it, too: it reads markup in labels and texts unless that is escaped.
    assert f"{HOSTILE} · v0" in opened.page.locator("#plot g[class$=tick] text").all_text_contents()
    box = opened.page.locator("#plot .bars .point path").nth(3).bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
    expect(opened.page.locator("#plot .hoverlayer .hovertext")).to_contain_text(HOSTILE)
    assert opened.page.locator("#correlation td").all_text_contents().count(HOSTILE) == 3
    assert opened.js("() => window.hurt === undefined && document.querySelector('#plot a, img[src=x]') === null")
    assert opened.said == [] and opened.asked == [opened.page.url]
    # Were a script to slip in, it would not run, and nothing could be fetched.
    opened.js(
        "() => { const s = document.createElement('script'); s.textContent = 'window.hurt = 1'; document.body.append(s) }"
    )
    assert opened.js("() => window.hurt") is None
    assert opened.js("() => fetch('https://example.org/').then(() => 'fetched', () => 'refused')") == "refused"
    assert any("Content Security Policy" in said for said in opened.said)


def test_it_follows_the_colour_scheme(shown: Opened) -> None:
    for scheme, colour in (("dark", "#e6e9ed"), ("light", "#1b1f24")):
        shown.page.emulate_media(color_scheme=scheme)
        shown.page.wait_for_function("c => document.getElementById('plot').layout.font.color === c", arg=colour)
        assert shown.page.locator("#plot .xtick text").first.evaluate("t => t.style.fill") == _rgb(colour)


def _rgb(colour: str) -> str:
    return "rgb({}, {}, {})".format(*bytes.fromhex(colour[1:]))
