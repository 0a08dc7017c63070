"""Black and freezes of rendered clips against FFmpeg's blackdetect and freezedetect on the same files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from processors.findings import FindingDraft
from tests.picture import analyse, decoded, folded
from tests.tools import require_tool

WIDTH, HEIGHT, RATE = 320, 180, 25
Picture = NDArray[np.float64]
"""Luma 0…1 of shape (height, width)."""


@dataclass(frozen=True)
class Clip:
    name: str
    shots: Callable[[np.random.Generator], Iterator[Picture]]
    depth: int = 8
    full_range: bool = False
    options: tuple[tuple[str, str], ...] = (("preset", "veryfast"), ("crf", "18"))


def moving(rng: np.random.Generator, frames: int, grain: float = 0.0) -> Iterator[Picture]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    phase = rng.random() * 6
    for k in range(frames):
        picture = 0.5 + 0.35 * np.sin(x / 17 + phase + k / 3) * np.cos(y / 11 - k / 5)
        yield picture + rng.normal(0, grain / 255, picture.shape)


def still(rng: np.random.Generator, frames: int, grain: float = 0.0) -> Iterator[Picture]:
    picture = next(moving(rng, 1)) + rng.normal(0, 0.05, (HEIGHT, WIDTH))
    for _ in range(frames):
        yield picture + rng.normal(0, grain / 255, picture.shape) if grain else picture


def black(rng: np.random.Generator, frames: int, grain: float = 0.0) -> Iterator[Picture]:
    for _ in range(frames):
        yield np.abs(rng.normal(0, grain / 255, (HEIGHT, WIDTH))) if grain else np.zeros((HEIGHT, WIDTH))


def fade(rng: np.random.Generator, frames: int, *, out: bool) -> Iterator[Picture]:
    for k, picture in enumerate(moving(rng, frames)):
        yield picture * ((frames - k) / frames if out else k / frames)


def programme(rng: np.random.Generator) -> Iterator[Picture]:
    yield from black(rng, 60)
    yield from fade(rng, 25, out=False)
    yield from moving(rng, 40)
    yield from still(rng, 80)
    yield from moving(rng, 30)
    yield from fade(rng, 50, out=True)
    yield from black(rng, 49)
    yield from moving(rng, 20)
    yield from still(rng, 45)
    yield from black(rng, 70, grain=2.0)
    yield from moving(rng, 10)
    yield from still(rng, 52)


def grainy(rng: np.random.Generator) -> Iterator[Picture]:
    yield from still(rng, 100, grain=1.0)
    yield from still(rng, 75)


def cards(rng: np.random.Generator) -> Iterator[Picture]:
    for frames in (55, 51, 50, 49, 120, 30):
        yield from still(rng, frames)


LOSSLESS = (("preset", "ultrafast"), ("qp", "0"))

CLIPS = [
    Clip("programme", programme),
    Clip("programme-lossless", programme, options=LOSSLESS),
    Clip("programme-10-bit", programme, depth=10),
    Clip("programme-full-range", programme, full_range=True),
    Clip("grain", grainy, options=LOSSLESS),
    Clip("grain-10-bit", grainy, depth=10, options=LOSSLESS),
    Clip("cards", cards),
    Clip("cards-poor", cards, options=(("preset", "veryfast"), ("crf", "35"))),
]


def render(clip: Clip, path: Path) -> None:
    rng = np.random.default_rng(5)
    top = (1 << clip.depth) - 1
    unit = 1 << (clip.depth - 8)
    dtype = np.uint8 if clip.depth == 8 else np.dtype("<u2")
    name = "yuv420p" if clip.depth == 8 else "yuv420p10le"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options=dict(clip.options))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, name
        stream.codec_context.color_range = 2 if clip.full_range else 1
        for luma in clip.shots(rng):
            low, span = (0, top) if clip.full_range else (16 * unit, 219 * unit)
            codes = np.rint(low + luma.clip(0, 1) * span).astype(dtype)
            frame = av.VideoFrame(WIDTH, HEIGHT, name)
            frame.color_range = 2 if clip.full_range else 1
            chroma = np.full((HEIGHT // 2, WIDTH // 2), 128 * unit, dtype)
            for plane, values in zip(frame.planes, (codes, chroma, chroma), strict=True):
                rows = np.zeros((plane.height, plane.line_size), np.uint8)
                rows[:, : plane.width * dtype.itemsize if clip.depth > 8 else plane.width] = values.view(np.uint8)
                plane.update(rows.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def ffmpeg_intervals(path: Path) -> tuple[list[tuple[float, float]], list[tuple[float, float | None]]]:
    """Black and frozen intervals in seconds; a freeze that lasts to the end of the file has no end."""
    graph = "blackdetect=d=2,freezedetect=n=0.001:d=2"
    command = [require_tool("ffmpeg"), "-hide_banner", "-nostats", "-i", str(path), "-vf", graph, "-an", "-f", "null", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    dark = [(float(a), float(b)) for a, b in re.findall(r"black_start:([\d.]+) black_end:([\d.]+)", text)]
    starts = [float(t) for t in re.findall(r"freeze_start: ([\d.]+)", text)]
    ends = [float(t) for t in re.findall(r"freeze_end: ([\d.]+)", text)]
    return dark, [(t, ends[i] if i < len(ends) else None) for i, t in enumerate(starts)]


def seconds(findings: list[FindingDraft], code: str, tick: Fraction, origin: int) -> list[tuple[float, float]]:
    return [(float((f.start - origin) * tick), float((f.end - origin) * tick)) for f in findings if f.code == code]


@pytest.mark.parametrize("clip", CLIPS, ids=[c.name for c in CLIPS])
def test_black_and_freezes_equal_ffmpegs(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    render(clip, path)
    frames, clock = decoded(path)
    findings, _ = folded(analyse(frames, clock=clock), clock)
    tick, length = Fraction(*clock.tick), frames[-1].pts + frames[-1].duration - clock.origin_pts
    dark, frozen = ffmpeg_intervals(path)
    ours = seconds(findings, "video.black", tick, clock.origin_pts)
    one_frame = 1.01 / RATE
    assert len(ours) == len(dark)
    for (start, end), (their_start, their_end) in zip(ours, dark, strict=True):
        assert start == pytest.approx(their_start, abs=one_frame)
        assert end == pytest.approx(their_end, abs=one_frame)
    end_of_file = float(length * tick)
    theirs = [(start, end_of_file if end is None else end) for start, end in frozen]
    explained = [(start, end) for start, end in theirs if not any(a - 0.1 <= start and end <= b + 0.1 for a, b in ours)]
    stills = seconds(findings, "video.freeze", tick, clock.origin_pts)
    assert len(stills) == len(explained), "a freeze inside black is named black; every other one is found, and no more"
    for (start, end), (their_start, their_end) in zip(stills, explained, strict=True):
        assert start == pytest.approx(their_start, abs=one_frame)
        assert end == pytest.approx(their_end, abs=one_frame)
