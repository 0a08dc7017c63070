"""Small files that ask for very much: each ends soon, within the children's memory, in a reason that says what it asks for."""

from __future__ import annotations

import functools
import io
import itertools
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from processors.analyse import analyse
from processors.decode.child import outputs
from processors.limits import MediaLimits
from processors.sandbox import Message
from schemas.errors import ChildCrashed
from tests.chaos.excerpts import RECIPES, encode
from tests.chaos.line import Line
from tests.chaos.mutate import Mutant
from tests.sums import manifest, plan

SOON_SECONDS = 60.0
MEMORY = 1 << 30
EXCERPTS = {recipe.name: recipe for recipe in RECIPES}


def excerpt(name: str) -> bytes:
    return encode(EXCERPTS[name])


def patched(data: bytes, box: bytes, offset: int, value: bytes, *, nth: int = 0) -> bytes:
    """The n-th box of a type with other bytes at an offset of its content."""
    at = -1
    for _ in range(nth + 1):
        at = data.index(box, at + 1)
    at += 4 + offset
    return data[:at] + value + data[at + len(value) :]


def png(width: int, height: int) -> bytes:
    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(bytes(1 << 20))) + part(b"IEND", b"")


def covered(width: int, height: int) -> bytes:
    """A FLAC file whose cover says that it is this large (RFC 9639, 8.8)."""
    data, picture = excerpt("flac.flac"), png(width, height)
    block = struct.pack(">2I", 3, 9) + b"image/png" + struct.pack(">6I", 0, width, height, 24, 0, len(picture)) + picture
    end = 8 + 34  # of STREAMINFO
    return data[:4] + b"\x00" + data[5:end] + b"\x06" + struct.pack(">I", len(block))[1:] + block + data[end:]


def element(name: int, body: bytes, size: int | None = None) -> bytes:
    """An EBML element, its size in eight bytes."""
    stated = len(body) if size is None else size
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (stated | 1 << 56).to_bytes(8, "big") + body


MATROSKA = element(0x1A45DFA3, element(0x4282, b"matroska"))


def mjpeg_mkv(width: int, height: int) -> bytes:
    """Matroska with pictures of a stated size and one short block."""
    video = element(0xE0, element(0xB0, width.to_bytes(4, "big")) + element(0xBA, height.to_bytes(4, "big")))
    track = element(
        0xAE, element(0xD7, b"\1") + element(0x73C5, b"\1") + element(0x83, b"\1") + element(0x86, b"V_MJPEG") + video
    )
    cluster = element(0x1F43B675, element(0xE7, b"\0") + element(0xA3, b"\x81\0\0\x80" + bytes(64)))
    return MATROSKA + element(0x18538067, element(0x1654AE6B, track) + cluster)


def raw_avi(width: int, height: int) -> bytes:
    """The excerpt with another size in its stream's format."""
    data = excerpt("raw.avi")
    at = data.index(b"strf") + 12
    return data[:at] + struct.pack("<2i", width, height) + data[at + 8 :]


Made = Callable[[], bytes]

BOMBS: dict[str, tuple[Made, str]] = {
    "pixels.y4m": (lambda: b"YUV4MPEG2 W100000 H100000 F25:1 C420\nFRAME\n" + bytes(1000), "not_media"),
    "pixels.avi": (lambda: raw_avi(100_000, 100_000), "too_large"),
    "side.avi": (lambda: raw_avi(32, 100_000), "too_large"),
    "pixels.mkv": (lambda: mjpeg_mkv(100_000, 100_000), "too_large"),
    "samples.mp4": (lambda: patched(excerpt("hevc.mp4"), b"stsz", 4, struct.pack(">2I", 1, 10**9)), "no_streams"),
    "times.mp4": (lambda: patched(excerpt("hevc.mp4"), b"stts", 8, struct.pack(">2I", 10**9, 1)), ""),
    "chunks.mp4": (lambda: patched(excerpt("hevc.mp4"), b"stco", 4, struct.pack(">I", 0x7FFFFFFF)), ""),
    "samples.flac": (lambda: patched(excerpt("flac.flac"), b"fLaC", 17, b"\xff" * 5), ""),
    "boxes.mp4": (lambda: excerpt("h264.mp4")[:32] + nested_boxes(20_000), "not_media"),
    "elements.mkv": (lambda: nested_elements(20_000), "no_streams"),
    "sizes.mkv": (lambda: MATROSKA + element(0x18538067, element(0x1654AE6B, bytes(64), (1 << 56) - 2)), "not_media"),
    "cover.flac": (lambda: covered(100_000, 100_000), ""),
    "streams.mp4": (lambda: many_tracks(4000), "too_many_streams"),
}
"""What makes the file, and the reason of its end; an empty one means that it is analysed, whatever it says of itself."""


def nested_boxes(depth: int) -> bytes:
    return b"".join(struct.pack(">I4s", 8 * (depth - n), b"moov" if n == 0 else b"udta") for n in range(depth))


def nested_elements(depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        body = element(0xA0, body)
    return MATROSKA + element(0x18538067, element(0x1F43B675, body))


def many_tracks(count: int) -> bytes:
    data = excerpt("h264.mp4")
    begin = data.index(b"moov") - 4
    end = begin + int.from_bytes(data[begin : begin + 4], "big")
    track = data.index(b"trak") - 4
    body = data[track : track + int.from_bytes(data[track : track + 4], "big")] * count
    moov = data[begin + 8 : track] + body
    return data[:begin] + struct.pack(">I4s", len(moov) + 8, b"moov") + moov + data[end:]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with Line(tmp_path_factory.mktemp("bombs"), memory=MEMORY) as one:
        yield one


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_soon_in_its_reason(line: Line, name: str) -> None:
    make, reason = BOMBS[name]
    begun = time.monotonic()
    event = line.run(Mutant(name, make(), "", ""))
    assert time.monotonic() - begun < SOON_SECONDS
    assert (event.run.reason or "").partition(":")[0] == reason, event.run.reason
    assert not line.failures


def motion_jpeg(sizes: Sequence[tuple[int, int]]) -> bytes:
    """A stream whose pictures have these sizes, whatever its header says."""
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], "yuvj420p"
        for n, (width, height) in enumerate(sizes):
            packet = av.Packet(jpeg(width, height))
            packet.stream, packet.pts, packet.dts, packet.time_base, packet.is_keyframe = stream, n, n, Fraction(1, 25), True
            container.mux(packet)
    return target.getvalue()


@functools.cache
def jpeg(width: int, height: int) -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = width, height, "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 90, np.uint8), format="yuv420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


TIGHT = MediaLimits(pixels=10_000, changes=20)


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ([(64, 48)] * 20 + [(64, 48), (32, 32)] * 10, ""),
        ([(64, 48)] * 20 + [(64, 48), (32, 32)] * 11, "too_many_changes"),
        ([(64, 48)] * 40 + [(128, 96)], "too_large"),
    ],
)
def test_pictures_that_change_on_the_way(tmp_path: Path, sizes: list[tuple[int, int]], reason: str) -> None:
    with Line(tmp_path, TIGHT) as line:
        event = line.run(Mutant("x.mkv", motion_jpeg(sizes), "", ""))
        assert not line.failures
    assert (event.run.reason or "").partition(":")[0] == reason, event.run.reason
    assert event.run.status == ("complete" if not reason else "unprocessable")


def test_pictures_beyond_what_decoders_are_allowed_are_lost_and_told(tmp_path: Path) -> None:
    with Line(tmp_path, TIGHT) as line:
        event = line.run(Mutant("x.mkv", motion_jpeg([(64, 48)] * 40 + [(640, 480)]), "", ""))
    assert event.run.status == "complete"
    assert (event.coverage.streams["v0"].decoded, event.coverage.streams["v0"].missing) == (40, 1)
    assert [f.code for f in event.findings if f.code == "video.decode_error"] == ["video.decode_error"]


def test_the_reference_ends_in_the_same_words(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    path.write_bytes(motion_jpeg([(64, 48)] * 40 + [(128, 96)]))
    with Line(tmp_path, TIGHT) as line:
        event = line.final(path)
    alone = analyse(str(path), code="1", tasks_wanted=["native-picture"], limits=TIGHT)
    assert (alone.run.status, alone.run.reason) == (event.run.status, event.run.reason)
    assert alone.coverage.gaps == event.coverage.gaps


def test_a_child_that_sends_more_than_its_job_can_have() -> None:
    limits = MediaLimits(frames=3)
    job = plan().jobs[0].model_copy(update={"renditions": ("proxy",)})
    (message,) = [Message({"type": "manifest"}, manifest(0, []).to_bytes())]
    assert len(list(outputs([message] * 4, job, limits))) == 4
    with pytest.raises(ChildCrashed, match="more than 4 outputs"):
        list(outputs(itertools.repeat(message), job, limits))


def test_pictures_without_end_end(tmp_path: Path) -> None:
    limits = MediaLimits(frames=30)
    with Line(tmp_path, limits) as line:
        event = line.run(Mutant("x.mkv", motion_jpeg([(64, 48)] * 31), "", ""))
    assert event.run.reason is not None and event.run.reason.startswith("too_many_frames: ")
    assert "31 pictures, more than the limit of 30" in event.run.reason


def test_sound_without_end_ends(tmp_path: Path) -> None:
    with Line(tmp_path, MediaLimits(seconds=0.5)) as line:
        event = line.run(Mutant("x.flac", excerpt("flac.flac"), "", ""))
    assert event.run.reason == "too_long: a0: 1.0 s, more than the limit of 0.5 s"
