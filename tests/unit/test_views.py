"""The container's view of a stream and the bitstream's are told apart, whichever of them speaks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from processors.probe import probe
from processors.probe.index import IndexedStream
from processors.probe.languages import bcp47
from processors.probe.words import level
from processors.source import SourcePolicy
from schemas.plan import LightLevels, MasteringDisplay, PictureFacts
from tests.decoding import picture, render
from tests.unit.test_headers import LEVELS, P3, box, st2086

BT709, PQ = (1, 1, 1), (9, 16, 9)
DARKER = MasteringDisplay(
    red=(0.708, 0.292), green=(0.17, 0.797), blue=(0.131, 0.046), white=(0.3127, 0.329), min_luminance=0.001, max_luminance=4000
)


def write(path: Path, codec: str = "libx264", colours: tuple[int, int, int] | None = BT709, **options: str) -> Path:
    """Eight frames of 96x64 with 16:11 pixels at 25 a second, in both views alike."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.sample_aspect_ratio = Fraction(16, 11)
        context: Any = stream.codec_context
        if colours is not None:
            context.color_primaries, context.color_trc, context.colorspace = colours
            context.color_range = 1
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(picture(number, 96, 64), format="rgb24").reformat(format="yuv420p")
            if colours is not None:
                frame.color_primaries, frame.color_trc, frame.colorspace = colours
                frame.color_range = 1
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def views(path: Path) -> tuple[IndexedStream, PictureFacts, PictureFacts]:
    stream = next(s for s in probe(str(path), SourcePolicy()).streams if s.kind == "video")
    assert stream.declared is not None and stream.signalled is not None
    return stream, stream.declared, stream.signalled


def colours(facts: PictureFacts) -> tuple[str | None, ...]:
    return facts.primaries, facts.transfer, facts.matrix


def replace(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert data.count(old) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def insert(path: Path, entry: bytes, *inside: bytes) -> Path:
    """Put boxes at the end of a sample entry of a file whose ``moov`` comes last."""
    data = path.read_bytes()
    at, parents = data.index(b"moov") - 4, []
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", entry):
        at = data.index(kind, at) - 4
        parents.append(at)
    end = at + int.from_bytes(data[at : at + 4], "big")
    patched = bytearray(data[:end] + b"".join(inside) + data[end:])
    for parent in parents:
        size = int.from_bytes(data[parent : parent + 4], "big") + sum(map(len, inside))
        patched[parent : parent + 4] = size.to_bytes(4, "big")
    path.write_bytes(patched)
    return path


@pytest.mark.parametrize(("name", "aspect"), [("x.mp4", (16, 11)), ("x.mov", (16, 11)), ("x.mkv", None)])
def test_both_say_the_same_of_what_one_encoder_wrote(tmp_path: Path, name: str, aspect: tuple[int, int] | None) -> None:
    """PyAV's Matroska states no shown size, so it says nothing of pixels."""
    _, declared, signalled = views(write(tmp_path / name))
    assert declared.size == signalled.size == (96, 64)
    assert (declared.pixel_aspect, signalled.pixel_aspect) == (aspect, (16, 11))
    assert declared.frame_rate == signalled.frame_rate == (25, 1)
    assert colours(declared) == colours(signalled) == ("bt709", "bt709", "bt709")


def test_a_colour_box_that_differs_from_the_bitstream(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4")
    ours, theirs = (bytes([0, p, 0, t, 0, m]) for p, t, m in (BT709, PQ))
    stream, declared, signalled = views(replace(path, b"colrnclx" + ours, b"colrnclx" + theirs))
    assert colours(declared) == ("bt2020", "smpte2084", "bt2020nc")
    assert colours(signalled) == ("bt709", "bt709", "bt709")
    assert (declared.range, signalled.range) == ("limited", "limited")
    assert (stream.profile, stream.level, stream.field_order) == ("High", "1", "progressive")


def test_a_colour_element_that_differs_from_the_bitstream(tmp_path: Path) -> None:
    path = replace(write(tmp_path / "x.mkv"), b"\x55\xba\x81\x01", b"\x55\xba\x81\x12")
    _, declared, signalled = views(path)
    assert (declared.transfer, signalled.transfer) == ("arib-std-b67", "bt709")
    assert declared.primaries == signalled.primaries == "bt709"


def test_a_pixel_aspect_that_differs_from_the_bitstream(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp4")
    old, new = (b"pasp" + a.to_bytes(4, "big") + b.to_bytes(4, "big") for a, b in ((16, 11), (64, 45)))
    stream, declared, signalled = views(replace(path, old, new))
    assert (declared.pixel_aspect, signalled.pixel_aspect) == ((64, 45), (16, 11))
    assert stream.video is not None and stream.video.sample_aspect_ratio == (64, 45)


def test_a_silent_container_and_a_silent_bitstream(tmp_path: Path) -> None:
    _, declared, signalled = views(write(tmp_path / "x.ts"))
    assert declared == PictureFacts()
    assert colours(signalled) == ("bt709", "bt709", "bt709")
    _, declared, signalled = views(write(tmp_path / "x.mp4", colours=None))
    assert colours(signalled) == (None, None, None) and signalled.range is None
    ffv1 = next(iter(probe(str(write(tmp_path / "x.mkv", "ffv1")), SourcePolicy()).streams))
    assert ffv1.signalled is None
    assert ffv1.declared is not None and ffv1.declared.size == (96, 64)


def test_the_mean_of_unlike_durations_is_no_stated_rate(tmp_path: Path) -> None:
    path = render(tmp_path / "x.mp4", frames=40, steps=[n + n // 5 for n in range(40)])
    stream, declared, _ = views(path)
    assert (declared.frame_rate, stream.clock.vfr) == (None, True)


def test_mastering_displays_of_the_file_and_of_the_messages_in_it(tmp_path: Path) -> None:
    messages = "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(40000000,10):max-cll=800,200"
    params = f"log-level=none:hdr10=1:repeat-headers=1:{messages}"
    path = write(tmp_path / "x.mp4", "libx265", PQ, preset="ultrafast", **{"x265-params": params})
    _, declared, signalled = views(path)
    assert signalled.mastering_display == DARKER
    assert signalled.light_levels == LightLevels(max_cll=800, max_fall=200)
    boxed = box(b"mdcv", st2086("green blue red white")), box(b"clli", bytes([3, 232, 1, 44]))
    _, declared, signalled = views(insert(path, b"hev1", *boxed))
    assert (declared.mastering_display, declared.light_levels) == (P3, LEVELS)
    assert signalled.mastering_display == DARKER


def test_pictures_of_mxf_and_the_timecode_of_an_mpeg_sequence(tmp_path: Path) -> None:
    _, declared, signalled = views(write(tmp_path / "x.mxf", "mpeg2video", gop_timecode="01:02:03:04"))
    assert declared.size == signalled.size == (96, 64)
    assert declared.frame_rate == signalled.frame_rate == (25, 1)
    assert signalled.start_timecode == "01:02:03:04"
    stream, declared, signalled = views(write(tmp_path / "x.ts", "mpeg2video", gop_timecode="10:00:00:00"))
    assert (declared, signalled.start_timecode) == (PictureFacts(), "10:00:00:00")
    assert (signalled.range, stream.profile, stream.level) == ("limited", "Main", "Main")


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("ger", "de"),
        ("deu", "de"),
        ("fre", "fr"),
        ("ENG", "en"),
        ("gsw", "gsw"),
        ("es-019", "es-019"),
        ("por-BR", "pt-BR"),
        ("qaa", "qaa"),
        ("und", None),
        ("", None),
        (None, None),
        ("e", None),
        ("\0\0\0", None),
        ("en us", None),
        ("en" + "-x" * 40, None),
    ],
)
def test_languages_are_bcp_47(tag: str | None, expected: str | None) -> None:
    assert bcp47(tag) == expected


@pytest.mark.parametrize(
    ("codec", "number", "expected"),
    [
        ("h264", 41, "4.1"),
        ("h264", 30, "3"),
        ("hevc", 93, "3.1"),
        ("hevc", 255, "8.5"),
        ("mpeg2video", 8, "Main"),
        ("av1", 13, "5.1"),
        ("vp9", 31, "31"),
        ("h264", -99, None),
    ],
)
def test_levels_are_as_standards_write_them(codec: str, number: int, expected: str | None) -> None:
    assert level(codec, number) == expected
