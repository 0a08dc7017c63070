"""Encoding to packets and back without a file, and packets that are damaged on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from processors.decode.picture import view_plane
from scripts.artefacts.pictures import Planes

_DECODERS = {"libx264": "h264", "libx265": "hevc"}


@dataclass(frozen=True, slots=True)
class Coding:
    """A codec and how hard it compresses: the quantiser of its own scale."""

    codec: str
    quantiser: int
    slices: int = 1

    @property
    def options(self) -> dict[str, str]:
        """As FFmpeg's encoders take them. One thread, so that the bytes are the same each time."""
        q = str(self.quantiser)
        if self.codec == "libx264":
            x264 = f"qp={q}:slices={self.slices}:bframes=0:scenecut=0:keyint=250:log-level=none"
            return {"preset": "superfast", "tune": "zerolatency", "threads": "1", "x264-params": x264}
        if self.codec == "libx265":
            x265 = f"qp={q}:bframes=0:scenecut=0:pools=none:frame-threads=1:log-level=none"
            return {"preset": "ultrafast", "tune": "zerolatency", "x265-params": x265}
        return {"qmin": q, "qmax": q, "g": "250", "bf": "0", "threads": "1", "slices": str(self.slices)}


def encode(frames: Sequence[Planes], coding: Coding) -> list[bytes]:
    """One packet a picture, the first of them a key frame."""
    height, width = frames[0][0].shape
    context = cast(VideoCodecContext, av.CodecContext.create(coding.codec, "w"))
    context.width, context.height = width, height
    context.pix_fmt = "yuvj420p" if coding.codec == "mjpeg" else "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = coding.options
    packets: list[bytes] = []
    for number, planes in enumerate(frames):
        flat = np.concatenate([p.reshape(-1) for p in planes]).reshape(height * 3 // 2, width)
        frame = av.VideoFrame.from_ndarray(flat, format=context.pix_fmt)
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += [bytes(p) for p in context.encode(frame)]
    return packets + [bytes(p) for p in context.encode(None)]


def decode(packets: Sequence[bytes | None], codec: str) -> dict[int, Planes]:
    """The pictures by the number of their packet, as far as they come out; ``None`` is a packet that never came."""
    context = cast(VideoCodecContext, av.CodecContext.create(_DECODERS.get(codec, codec), "r"))
    context.thread_count = 1
    found: dict[int, Planes] = {}
    for number, data in [*enumerate(packets), (-1, None)]:
        if data is None and number >= 0:
            continue
        packet = None
        if data is not None:
            packet = av.Packet(data)
            packet.pts = packet.dts = number
        try:
            for frame in context.decode(packet):
                if frame.pts is not None:
                    found[frame.pts] = _planes(frame)
        except FFmpegError:
            continue
    return found


def _planes(frame: av.VideoFrame) -> Planes:
    y, u, v = (view_plane(p, np.dtype(np.uint8)).copy() for p in frame.planes)
    return y, u, v


def recode(frames: Sequence[Planes], coding: Coding) -> dict[int, Planes]:
    """Pictures as they come out of a codec."""
    return decode(encode(frames, coding), coding.codec)


def damage(rng: np.random.Generator, packets: Sequence[bytes]) -> list[bytes | None]:
    """Packets after a bad way: one is lost, or bytes of one or two are overwritten, cut off or turned."""
    hurt: list[bytes | None] = list(packets)
    for _ in range(int(rng.integers(1, 3))):
        at = int(rng.integers(0 if rng.random() < 0.4 else 1, len(packets)))
        data = bytearray(packets[at])
        if len(data) < 60:
            continue
        start = int(rng.integers(min(48, len(data) // 3), len(data) - 8))
        length = min(len(data) - start, int(rng.integers(2, 400)))
        kind = rng.random()
        if kind < 0.1 and at:
            hurt[at] = None
            continue
        if kind < 0.5:
            data[start : start + length] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        elif kind < 0.7:
            data[start : start + length] = bytes(length)
        elif kind < 0.85:
            data = data[:start]
        else:
            for place in rng.integers(start, len(data), 4):
                data[int(place)] ^= 1 << int(rng.integers(0, 8))
        hurt[at] = bytes(data)
    return hurt
