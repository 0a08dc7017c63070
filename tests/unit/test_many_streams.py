"""Files with many streams, or one of a kind: each stream is analysed, or skipped with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from processors.analyse import analyse
from processors.decode.packets import demux
from processors.probe.packets import _packets as read_packets
from schemas.events import ContentMetadata
from tests.decoding import picture

TASKS = ("native-picture", "audio-qc")


def offset(track: int, channel: int) -> float:
    """Of full scale."""
    return 0.02 * (1 + track + channel)


def write(path: Path, *, pictures: bool = True, tracks: int = 0, layout: str = "mono", subtitles: bool = False) -> Path:
    """One second of pictures, and noise whose offset tells track and channel."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg2video", rate=25) if pictures else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sounds = [container.add_stream("pcm_s16le", rate=48000, layout=layout) for _ in range(tracks)]
        titles = container.add_mux_stream("subrip") if subtitles else None
        for number in range(25 if video is not None else 0):
            frame = av.VideoFrame.from_ndarray(picture(number, 64, 48), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            assert video is not None
            container.mux(video.encode(frame))
        for number, stream in enumerate(sounds):
            channels = stream.layout.nb_channels
            offsets = [offset(number, channel) * 32768 for channel in range(channels)]
            noise = np.random.default_rng(number).standard_normal((48000, channels)) * 300 + offsets
            block = av.AudioFrame.from_ndarray(np.rint(noise).astype(np.int16).reshape(1, -1), format="s16", layout=layout)
            block.sample_rate, block.pts = 48000, 0
            container.mux(stream.encode(block))
        if titles is not None:
            packet = av.Packet(b"a line")
            packet.stream, packet.pts, packet.dts, packet.duration, packet.time_base = titles, 0, 0, 500, Fraction(1, 1000)
            container.mux(packet)
        for stream in [*([video] if video is not None else []), *sounds]:
            container.mux(stream.encode(None))
    return path


def examined(path: Path) -> ContentMetadata:
    event = analyse(str(path), code="t", tasks_wanted=TASKS, profiles=[])
    assert event.run.status == "complete"
    return event


def offsets(event: ContentMetadata, stream: str) -> list[float | None]:
    return [m.value for m in event.measurements if (m.id, m.stream) == ("audio.dc_offset", stream)]


def test_eight_mono_tracks(tmp_path: Path) -> None:
    event = examined(write(tmp_path / "a.mxf", tracks=8))
    names = [f"a{n}" for n in range(8)]
    assert sorted(event.coverage.streams) == [*names, "v0"]
    assert all(event.coverage.streams[n].analysed == 48000 for n in names)
    for track, name in enumerate(names):
        assert offsets(event, name) == pytest.approx([offset(track, 0)], abs=1e-3)


@pytest.mark.parametrize(("layout", "channels"), [("5.1", 6), ("7.1", 8), ("hexadecagonal", 16)])
def test_many_channels(layout: str, channels: int, tmp_path: Path) -> None:
    event = examined(write(tmp_path / "a.wav", pictures=False, tracks=1, layout=layout))
    assert event.coverage.video_frames is None and event.coverage.streams["a0"].analysed == 48000
    (stream,) = event.technical.streams
    assert stream.channels == channels
    assert offsets(event, "a0") == pytest.approx([offset(0, channel) for channel in range(channels)], abs=1e-3)


def test_a_stream_that_appears_on_the_way(tmp_path: Path) -> None:
    with_sound = tmp_path / "b.ts"
    with av.open(str(with_sound), "w", options={"output_ts_offset": "1"}) as container:
        video = container.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("mp2", rate=48000, layout="mono")
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(picture(number, 64, 48), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        block = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.int16), format="s16", layout="mono")
        block.sample_rate, block.pts = 48000, 0
        container.mux(sound.encode(block))
        for stream in (video, sound):
            container.mux(stream.encode(None))
    path = tmp_path / "both.ts"
    before = write(tmp_path / "a.ts").read_bytes()
    around = before * (1_000_000 // len(before))  # beyond what is read to open the file, at either end
    path.write_bytes(around + with_sound.read_bytes() + around)
    event = examined(path)
    assert set(event.coverage.streams) == {"v0"}
    assert event.coverage.streams["v0"].decoded == 25 * (2 * (1_000_000 // len(before)) + 1)


class Ending:
    """A container as PyAV's is whose streams have grown in number while it was read."""

    def __init__(self) -> None:
        self.asked = 0

    def demux(self, _: object) -> Iterator[bytes]:
        self.asked += 1
        if self.asked == 1:
            yield Packet(b"x")
            raise IndexError("list index out of range")


class Packet(bytes):
    size = 1


def test_pyavs_own_end_of_such_a_file_is_an_end() -> None:
    noted: list[str] = []
    stream: Any = object()
    assert list(demux(Ending(), stream, noted.append)) == [b"x"] and noted == []
    assert list(read_packets(Ending(), [stream])) == [b"x"]


def test_pictures_alone(tmp_path: Path) -> None:
    event = examined(write(tmp_path / "a.ts"))
    assert set(event.coverage.streams) == {"v0"} and event.coverage.streams["v0"].analysed == 25


def test_subtitles_are_listed_and_skipped(tmp_path: Path) -> None:
    event = examined(write(tmp_path / "a.mkv", tracks=1, subtitles=True))
    told = {s.id: (s.decision, s.reason) for s in event.technical.streams}
    assert told["s0"] == ("skipped", "subtitle streams are not analysed")
    assert set(event.coverage.streams) == {"v0", "a0"}
