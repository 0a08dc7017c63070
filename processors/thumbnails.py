"""Small pictures of moments of a stream, as JPEG. Runs in the sandbox: ``Child("processors.thumbnails:handle")``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray
from typing_extensions import Buffer

from processors.decode.faults import reraise_memory
from processors.decode.packets import demux, select
from processors.decode.picture import layout_of
from processors.source import SourcePolicy, open_container, open_source
from schemas.errors import SourceChanged

LONG_SIDE = 160
"""Pixels of the longer side as displayed."""
SHORT_SIDE = 10
"""Pixels of the shorter side at least: a pixel aspect may be garbage."""
QUALITY = 80
SEEK_BACK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Moments:
    """Which pictures of which stream. JSON-able by ``dataclasses.asdict``; :meth:`from_json` is the inverse.

    ``spans`` are half-open, in raw ticks of the stream; ``frame_ticks`` is the nominal length of a frame; ``aspect`` is the
    pixel aspect ratio, ``rotation`` how far to turn the picture for display, clockwise, in degrees.
    """

    uri: str
    version: str
    index: int
    spans: tuple[tuple[int, int], ...]
    frame_ticks: int = 1
    aspect: tuple[int, int] = (1, 1)
    rotation: int = 0

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Moments:
        """The inverse of ``dataclasses.asdict``, from lists or tuples."""
        spans = tuple((int(start), int(end)) for start, end in body["spans"])
        return cls(**{**body, "spans": spans, "aspect": tuple(body["aspect"])})


def handle(request: dict[str, Any], send: Callable[[dict[str, Any], Buffer], None]) -> None:
    """Answer ``{"moments", "policy"}`` with a message ``{"n": place in spans}`` per picture that there is; the body is a JPEG.

    Raises ``Unprocessable``; ``SourceChanged`` if the object is not the version that is asked for, at the start or at the
    end. A span without a picture that can be read is left out.
    """
    moments = Moments.from_json(request["moments"])
    with open_source(moments.uri, SourcePolicy.from_json(request["policy"])) as source:
        if source.version != moments.version:
            raise SourceChanged(f"{moments.uri} is version {source.version}, not {moments.version}")
        with open_container(source) as container:
            for n, picture in pictures(container, moments):
                send({"n": n}, picture)
        if source.changed():
            raise SourceChanged(f"{moments.uri} changed while its pictures were taken")


def pictures(container: InputContainer, moments: Moments) -> Iterator[tuple[int, bytes]]:
    """Each span's place and its picture as JPEG."""
    stream = select(container, moments.index, av.VideoStream)
    for n, (start, end) in enumerate(moments.spans):
        frame = _frame(container, stream, start, end, moments.frame_ticks)
        if frame is not None and (image := thumbnail(frame, moments)) is not None:
            yield n, image


def _frame(container: InputContainer, stream: av.VideoStream, start: int, end: int, frame_ticks: int) -> av.VideoFrame | None:
    """A picture of the span: its last key frame before the middle if that is past the first quarter, else the one there.

    So long shots cost one decoded frame, and a transition at the head is not what is shown. Where the demuxer seeks too
    far, it is asked again for an earlier place.
    """
    quarter = start + (end - start) // 4
    back = round(SEEK_BACK_SECONDS / (stream.time_base or 1))
    for target in ((start + end) // 2, start - back):
        try:
            container.seek(target, stream=stream, backward=True)
        except FFmpegError as error:
            reraise_memory(error)
            continue
        for frame, pts, duration in _decoded(container, stream, frame_ticks):
            if pts >= end:
                break
            if pts + duration > quarter:
                return frame
    return None


def _decoded(container: InputContainer, stream: av.VideoStream, frame_ticks: int) -> Iterator[tuple[av.VideoFrame, int, int]]:
    """Frames with pts and duration, from the next key frame on; pictures that lead it lack what they refer to."""
    stream.codec_context.flush_buffers()
    key: int | None = None
    packets = itertools.dropwhile(lambda p: not p.is_keyframe, demux(container, stream, lambda _: None))
    for packet in itertools.chain(packets, (None,)):
        if key is None and packet is not None:
            key = packet.pts
        try:
            frames = stream.codec_context.decode(packet)
        except FFmpegError as error:
            reraise_memory(error)
            continue
        for frame in frames:
            pts = frame.pts if frame.pts is not None else frame.dts
            if pts is not None and (key is None or pts >= key):
                yield frame, pts, frame.duration or frame_ticks


def thumbnail(frame: av.VideoFrame, moments: Moments) -> bytes | None:
    """A picture as JPEG, as displayed: square pixels, upright. None if its format cannot be read."""
    try:
        layout_of(frame.format.name)
        width, height = display_size(frame.width, frame.height, moments.aspect)
        small = frame.reformat(width=width, height=height, format="bgr24", interpolation="AREA", threads=1)
        image: NDArray[np.uint8] = np.rot90(small.to_ndarray(), k=-(moments.rotation // 90))
        done, data = cv2.imencode(".jpg", np.ascontiguousarray(image), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    except (ValueError, FFmpegError) as error:
        reraise_memory(error)
        return None
    return data.tobytes() if done else None


def display_size(width: int, height: int, aspect: tuple[int, int]) -> tuple[int, int]:
    """Width and height with square pixels, the longer one ``LONG_SIDE``, the other at least ``SHORT_SIDE``."""
    wide = Fraction(width * aspect[0], height * aspect[1])
    short = max(SHORT_SIDE, round(LONG_SIDE * min(wide, 1 / wide)))
    return (LONG_SIDE, short) if wide >= 1 else (short, LONG_SIDE)
