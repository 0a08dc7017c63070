"""Every pixel format that FFmpeg decodes to is read in its own depth and subsampling."""

from __future__ import annotations

import av
import numpy as np
import pytest

from processors.decode.frame import NativeFrame
from processors.decode.picture import PictureReader, layout_of
from schemas.plan import VideoFormat
from tests.decoding import picture


def _read(pixel_format: str, size: tuple[int, int] = (96, 64), source: str = "rgb24") -> tuple[av.VideoFrame, NativeFrame]:
    frame = av.VideoFrame.from_ndarray(picture(3, *size), format="rgb24").reformat(format=source).reformat(format=pixel_format)
    return frame, PictureReader(None).read(frame, pts=5, duration=2, number=9)


@pytest.mark.parametrize(
    ("pixel_format", "model", "depth", "chroma"),
    [
        ("yuv420p", "yuv", 8, (32, 48)),
        ("yuvj422p", "yuv", 8, (64, 48)),
        ("yuva444p10le", "yuv", 10, (64, 96)),
        ("yuv420p12le", "yuv", 12, (32, 48)),
        ("yuv440p", "yuv", 8, (32, 96)),
        ("gray", "gray", 8, None),
        ("gray10le", "gray", 10, None),
        ("gbrp", "rgb", 8, (64, 96)),
        ("gbrp12le", "rgb", 12, (64, 96)),
    ],
)
def test_planar_formats_are_viewed_in_place(pixel_format: str, model: str, depth: int, chroma: tuple[int, int] | None) -> None:
    frame, native = _read(pixel_format)
    assert (native.model, native.bit_depth, native.pixel_format) == (model, depth, pixel_format)
    assert (native.pts, native.duration, native.number) == (5, 2, 9)
    assert native.planes[0].shape == (64, 96)
    if chroma is not None:
        assert native.planes[1].shape == native.planes[2].shape == chroma
    starts = [p.ctypes.data for p in native.planes]
    order = (2, 0, 1) if model == "rgb" else range(len(starts))
    assert starts == [frame.planes[i].buffer_ptr for i in order]
    assert native.full_range == (model == "rgb" or pixel_format.startswith("yuvj"))


@pytest.mark.parametrize(
    ("packed", "planar"),
    [
        ("nv12", "yuv420p"),
        ("nv21", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("p210le", "yuv422p10le"),
        ("yuyv422", "yuv422p"),
        ("uyvy422", "yuv422p"),
        ("yuv420p10be", "yuv420p10le"),
        ("gray16be", "gray16le"),
        ("rgb24", "gbrp"),
        ("bgra", "gbrp"),
        ("rgb48be", "gbrp16le"),
        ("v210", None),
    ],
)
def test_other_formats_become_the_nearest_planar_one_without_loss(packed: str, planar: str | None) -> None:
    if planar is None:
        with pytest.raises(ValueError):
            layout_of(packed)
        return
    _, native = _read(packed, source=planar)
    _, direct = _read(planar)
    assert native.pixel_format == planar
    for converted, kept in zip(native.planes, direct.planes, strict=True):
        assert np.array_equal(converted, kept)


def test_full_range_survives_a_conversion() -> None:
    frame = av.VideoFrame(64, 48, "nv12")
    frame.color_range = 2
    for plane, value in zip(frame.planes, (255, 3), strict=True):
        np.frombuffer(plane, np.uint8)[:] = value
    native = PictureReader(None).read(frame, pts=0, duration=1, number=0)
    assert native.full_range
    assert [set(np.unique(p)) for p in native.planes] == [{255}, {3}, {3}]


def test_what_a_picture_does_not_say_comes_from_the_container() -> None:
    declared = VideoFormat(width=64, height=48, colour_range="full", matrix="bt709", transfer="bt709", primaries="bt2020")
    frame = av.VideoFrame(64, 48, "yuv420p")
    native = PictureReader(declared).read(frame, pts=0, duration=1, number=0)
    assert (native.full_range, native.matrix, native.transfer, native.primaries) == (True, "bt709", "bt709", "bt2020")
    frame.color_range, frame.colorspace = 1, 9
    native = PictureReader(declared).read(frame, pts=0, duration=1, number=0)
    assert (native.full_range, native.matrix) == (False, "bt2020nc")


@pytest.mark.parametrize("name", sorted(av.video.format.names))  # type: ignore[attr-defined]
def test_no_format_is_a_surprise(name: str) -> None:
    """Each is read, or refused with the error that becomes a decode error."""
    try:
        layout = layout_of(name)
    except ValueError:
        return
    assert layout.bit_depth in (8, 9, 10, 12, 14, 16)
    frame = av.VideoFrame(64, 48, name)
    try:
        native = PictureReader(None).read(frame, pts=0, duration=1, number=0)
    except (ValueError, av.error.FFmpegError):
        return
    assert native.planes[0].shape == (48, 64)
    assert len(native.planes) == (1 if native.model == "gray" else 3)
