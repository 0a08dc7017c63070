"""The proxy against an area average in float64, and thumbs against what ffmpeg gives the shot network."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from processors.decode.frame import NativeFrame
from processors.decode.picture import PictureReader
from processors.renditions.pyramid import Pyramid
from processors.renditions.scale import PlaneScaler, fit, wrap
from tests.decoding import picture
from tests.tools import require_tool


def area(plane: np.ndarray[Any, Any], width: int, height: int) -> np.ndarray[Any, Any]:
    down, across = (_weights(n, m) for n, m in zip(plane.shape, (height, width), strict=True))
    return down @ plane.astype(np.float64) @ across.T


def _weights(source: int, target: int) -> np.ndarray[Any, Any]:
    weights = np.zeros((target, source))
    for row in range(target):
        low, high = row * source / target, (row + 1) * source / target
        for column in range(int(low), min(source, int(np.ceil(high)))):
            weights[row, column] = min(high, column + 1) - max(low, column)
    return weights * target / source


def hard_plane(width: int, height: int, bits: int, seed: int) -> np.ndarray[Any, Any]:
    """Extremes side by side above, noise below: the worst for coefficients and for rounding. Lines are padded."""
    rng = np.random.default_rng(seed)
    plane = np.zeros((height, width + 32), np.uint8 if bits == 8 else np.uint16)[:, :width]
    plane[:] = rng.integers(0, 1 << bits, plane.shape)
    plane[: height // 2] = rng.integers(0, 2, (height // 2, width)) * ((1 << bits) - 1)
    return plane


SIZES = [(1920, 1080), (1280, 720), (720, 576), (1440, 1080), (1920, 804), (640, 360), (321, 241), (331, 197), (1919, 1079)]


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_planes_are_within_one_code_of_the_exact_average(size: tuple[int, int], bits: int) -> None:
    plane = hard_plane(*size, bits, seed=sum(size) + bits)
    target = fit(*size, 320)
    got = PlaneScaler(size, target, bits)(plane)
    error = got - area(plane, *target)
    assert got.dtype == plane.dtype
    assert np.abs(error).max() <= 1.0
    assert abs(error.mean()) < 0.2


@pytest.mark.parametrize(
    "pixel_format",
    ["yuv420p", "yuv422p", "yuv444p", "yuv411p", "yuv410p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuvj420p"],
)
@pytest.mark.parametrize("size", [(721, 577), (1280, 536), (333, 250)], ids=str)
def test_every_plane_of_a_proxy_is_an_area_average(pixel_format: str, size: tuple[int, int]) -> None:
    native = _native(pixel_format, size)
    pyramid = Pyramid()
    pyramid.load(native)
    proxy = pyramid.proxy()
    width, height = pyramid.proxy_size()
    assert proxy[0].shape == (height, width) and proxy[1].shape == proxy[2].shape == (height // 2, width // 2)
    for plane, small in zip(native.planes, proxy, strict=True):
        if all(s <= n for s, n in zip(small.shape, plane.shape, strict=True)):
            assert np.abs(small - area(plane, small.shape[1], small.shape[0])).max() <= 1.0


def test_a_proxy_of_rgb_is_full_range_bt709() -> None:
    native = _native("gbrp", (800, 450))
    pyramid = Pyramid()
    pyramid.load(native)
    r, g, b = (area(p, 320, 180) for p in native.planes)
    assert np.abs(pyramid.proxy()[0] - (0.2126 * r + 0.7152 * g + 0.0722 * b)).max() <= 1.0
    r, g, b = (area(p, 160, 90) for p in native.planes)
    luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
    assert np.abs(pyramid.proxy()[1] - np.clip((b - luma) / 1.8556 + 128, 0, 255)).max() <= 1.0
    assert np.abs(pyramid.proxy()[2] - np.clip((r - luma) / 1.5748 + 128, 0, 255)).max() <= 1.0


def test_an_interlaced_picture_is_averaged_as_one() -> None:
    """swscale scales an interlaced picture field by field; a proxy is of the whole picture."""
    planes = [np.zeros((h, w), np.uint8) for w, h in ((640, 480), (320, 240), (320, 240))]
    planes[0][::2] = 200
    native = NativeFrame(tuple(planes), "yuv", 640, 480, 8, 0, 1, 0, "yuv420p", full_range=False, interlaced=True)
    pyramid = Pyramid()
    pyramid.load(native)
    assert set(np.unique(pyramid.proxy()[0])) == {100}


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", None])
@pytest.mark.parametrize("size", [(1280, 720), (720, 576), (480, 270), (1920, 804)], ids=str)
def test_thumbs_are_near_what_ffmpeg_makes(size: tuple[int, int], matrix: str | None, tmp_path: Path) -> None:
    raw = tmp_path / "frame.yuv"
    source = _decoded("yuv420p", size)
    raw.write_bytes(source.to_ndarray().tobytes())
    tag = ["-colorspace", matrix] if matrix else []
    command = [require_tool("ffmpeg"), "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", *tag]
    command += ["-video_size", "{}x{}".format(*size), "-i", str(raw), "-s", "48x27", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    wanted = np.frombuffer(made, np.uint8).reshape(27, 48, 3).astype(int)
    source.colorspace = {"bt709": 1, "smpte170m": 6, None: 2}[matrix]
    native = PictureReader(None).read(source, pts=0, duration=1, number=0)
    assert native.matrix == matrix
    pyramid = Pyramid()
    pyramid.load(native)
    difference = np.abs(pyramid.thumb() - wanted)
    assert difference.mean() < 1.0
    assert np.percentile(difference, 99) <= 6


def _decoded(pixel_format: str, size: tuple[int, int]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture(7, *size), format="rgb24").reformat(format=pixel_format)


def _native(pixel_format: str, size: tuple[int, int]) -> NativeFrame:
    return PictureReader(None).read(_decoded(pixel_format, size), pts=0, duration=1, number=0)


def test_wrapping_copies_nothing() -> None:
    planes = [np.zeros((h, w + 32), np.uint8)[:, :w] for w, h in ((64, 48), (32, 24), (32, 24))]
    wrapped = wrap(planes, "yuv420p")
    assert [p.buffer_ptr for p in wrapped.planes] == [p.ctypes.data for p in planes]
