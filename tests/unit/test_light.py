"""MaxCLL and MaxFALL of generated PQ patches, as a file gives them, against the equations in float64."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from processors.analyse import analyse

SIZE = (144, 256)
RATE = 25
BARS = 16
"""Black lines above and below, which are no part of the active area."""

Planes = list[NDArray[np.uint16]]


def st2084(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084's EOTF with the decimal constants of its table."""
    root = np.clip(signal, 0, 1) ** (1 / 78.84375)
    return np.asarray(10000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125))


def light(planes: Planes) -> NDArray[np.float64]:
    """max(R, G, B) of every pixel in nits: BT.2020 non-constant luminance, 10 bits, limited range."""
    down, across = (-(-a // b) for a, b in zip(planes[0].shape, planes[1].shape, strict=True))
    y = (planes[0].astype(np.float64) - 64) / 876
    cb, cr = ((np.kron(p, np.ones((down, across))) - 512) / 896 for p in planes[1:])
    red, blue = y + 1.4746 * cr, y + 1.8814 * cb
    green = (y - 0.2627 * red - 0.0593 * blue) / 0.6780
    return st2084(np.maximum(np.maximum(red, green), blue))


def patches(seed: int, pixel_format: str, frames: int = 6) -> list[Planes]:
    """Fields of one colour each, some neutral and some saturated, inside black bars."""
    rng, half = np.random.default_rng(seed), 2 if pixel_format == "yuv420p10le" else 1
    found = []
    for _ in range(frames):
        luma, u, v = np.full(SIZE, 64), *(np.full((SIZE[0] // half, SIZE[1] // half), 512) for _ in "uv")
        for top in range(BARS, SIZE[0] - BARS, 16):
            for left in range(0, SIZE[1], 32):
                rows, columns = slice(top, top + 16), slice(left, left + 32)
                luma[rows, columns] = rng.integers(80, 760)
                if rng.random() < 0.6:
                    small = slice(top // half, (top + 16) // half), slice(left // half, (left + 32) // half)
                    u[small], v[small] = rng.integers(420, 600, 2)
        found.append([p.astype(np.uint16) for p in (luma, u, v)])
    return found


def encode(path: Path, pictures: list[Planes], pixel_format: str, codec: str, options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width = SIZE
        stream.pix_fmt = pixel_format
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_trc, context.color_primaries = 1, 9, 16, 9
        for number, planes in enumerate(pictures):
            frame = av.VideoFrame(SIZE[1], SIZE[0], pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            frame.color_range, frame.colorspace, frame.color_trc, frame.color_primaries = 1, 9, 16, 9
            for plane, values in zip(frame.planes, planes, strict=True):
                lines = np.zeros((plane.height, plane.line_size), np.uint8)
                lines[:, : 2 * plane.width] = values.astype("<u2").view(np.uint8)
                plane.update(lines.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


HEVC = ("libx265", {"preset": "ultrafast", "x265-params": "lossless=1:log-level=none:pools=1"})
FFV1 = ("ffv1", {})


@pytest.mark.parametrize("coding", [HEVC, FFV1], ids=["hevc", "ffv1"])
@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p10le"])
@pytest.mark.parametrize("seed", range(3))
def test_patches(seed: int, pixel_format: str, coding: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    pictures = patches(seed, pixel_format)
    path = encode(tmp_path / "patches.mkv", pictures, pixel_format, *coding)
    event = analyse(str(path), code="t", tasks_wanted=["native-picture"], profiles=[])
    nits = [light(planes) for planes in pictures]
    active = (SIZE[0] - 2 * BARS) * SIZE[1]
    figures = {m.id: m.value for m in event.measurements}
    assert figures["video.max_cll"] == pytest.approx(max(float(n.max()) for n in nits), rel=1e-9)
    assert figures["video.max_fall"] == pytest.approx(max(float(n.sum()) for n in nits) / active, rel=1e-6)
    assert event.technical.streams[0].active_area is not None


@pytest.mark.parametrize(("stated", "words"), [("1000,400", 0), ("150,400", 1), ("1000,20", 1), ("0,0", 0)])
def test_declared_against_measured(stated: str, words: int, tmp_path: Path) -> None:
    """A grey of 203 cd/m² over the whole picture, under what the stream says of itself; 0 is unknown."""
    grey = [np.full(SIZE, 573, np.uint16), *[np.full((SIZE[0] // 2, SIZE[1] // 2), 512, np.uint16)] * 2]
    codec, options = HEVC
    options = options | {"x265-params": options["x265-params"] + f":hdr10=1:max-cll={stated}"}
    path = encode(tmp_path / "grey.mkv", [grey] * 5, "yuv420p10le", codec, options)
    event = analyse(str(path), code="t", tasks_wanted=["native-picture"], profiles=[])
    levels = event.technical.streams[0].light_levels
    assert levels is not None
    assert levels.measured["max_cll"] == pytest.approx(203, rel=0.01)
    found = [f.text for f in event.findings if f.code == "container.mismatch"]
    assert len(found) == words
    assert levels.agree is (None if stated == "0,0" else not words)
    assert all("measured 20" in text for text in found)
