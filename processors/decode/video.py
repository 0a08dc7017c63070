"""The frames of one segment, exactly: nothing lost, nothing doubled, equal to those of an unbroken decode.

The rule (shown pixel-exact on open-GOP H.264 and HEVC, VP8/9, AV1, ProRes and MPEG-2 in MP4, TS, MKV and MXF):

1. seek to the segment's key frame, and again earlier if the demuxer lands behind it; drop packets until it comes;
2. decode, and keep the frames with ``start <= pts < end``;
3. go on past the next key frame until ``packet.dts >= stop_dts`` *and* a frame at or after the end has come out: leading
   pictures of an open GOP belong to this segment, and come out before it;
4. go on further while a consumer still wants frames after the end.

The trap: flushing a decoder in the middle of a stream gives frames with holes between them, since the pictures that lie
between have not been fed yet. So it is flushed at the stream's end alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.error import FFmpegError

from processors.decode.faults import CONCEALED, FaultLog, describe, reraise_memory
from processors.decode.frame import NativeFrame
from processors.decode.packets import demux, select
from processors.decode.picture import PictureReader
from schemas.plan import Job, Seek

SEEK_BACK_SECONDS = (0, 1, 4, 16, 64)
"""How much earlier each new try to reach a key frame begins; after them the stream's start."""

Packets = Iterator["av.Packet[av.VideoStream]"]


def nobody() -> bool:
    """No consumer wants frames after the end."""
    return False


def frames(
    container: InputContainer, job: Job, *, wants: Callable[[], bool] = nobody, faults: FaultLog | None = None
) -> Iterator[tuple[NativeFrame, bool]]:
    """The job's frames in presentation order, each with whether the job owns it.

    Frames at or after ``job.end`` come last and are not owned; there is at least one (unless the stream ends), and more
    as long as ``wants()`` holds. Frame numbers count from ``job.first_frame``. What cannot be decoded goes to ``faults``
    and decoding goes on. A frame's planes are only valid until the next one is asked for.
    """
    faults = faults if faults is not None else FaultLog()
    return _Segment(container, job, wants, faults).frames()


class _Segment:
    def __init__(self, container: InputContainer, job: Job, wants: Callable[[], bool], faults: FaultLog) -> None:
        self._stream = select(container, job.index, av.VideoStream)
        self._container, self._job, self._wants, self._faults = container, job, wants, faults
        self._reader = PictureReader(job.video)
        self._times = Timestamps(_frame_ticks(job))
        self._number = job.first_frame
        self._past_end = False

    def frames(self) -> Iterator[tuple[NativeFrame, bool]]:
        job = self._job
        for picture in self._pictures():
            pts, duration = self._times.of(picture)
            if job.start is not None and pts < job.start:
                continue
            owned = job.end is None or pts < job.end
            if owned and self._past_end:
                self._faults.add("a frame comes too late in presentation order", self._number, self._number + 1, pts)
                continue
            self._past_end = not owned
            frame = self._read(picture, pts, duration, owned)
            self._number += 1
            if frame is not None:
                yield frame, owned

    def _read(self, picture: av.VideoFrame, pts: int, duration: int, owned: bool) -> NativeFrame | None:
        number = self._number
        try:
            frame = self._reader.read(picture, pts=pts, duration=duration, number=number)
        except (ValueError, FFmpegError) as error:
            reraise_memory(error)
            if owned:
                self._faults.add(f"{picture.format.name}: {describe(error)}", number, number + 1, pts)
            return None
        if frame.corrupt and owned:
            self._faults.add(CONCEALED, number, number + 1, pts)
        return frame

    def _pictures(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            if self._complete(packet):
                return
            yield from self._decode(packet)
        yield from self._decode(None)

    def _complete(self, packet: av.Packet[av.VideoStream]) -> bool:
        stop = self._job.stop_dts
        if not self._past_end or (stop is not None and packet.dts is not None and packet.dts < stop):
            return False
        return not self._wants()

    def _decode(self, packet: av.Packet[av.VideoStream] | None) -> list[av.VideoFrame]:
        try:
            return self._stream.codec_context.decode(packet)
        except FFmpegError as error:
            reraise_memory(error)
            pts = packet.pts if packet is not None else None
            if self._owns(pts):
                self._faults.add(describe(error), self._number, self._number + 1, pts)
            return []

    def _owns(self, pts: int | None) -> bool:
        start, end = self._job.start, self._job.end
        if pts is None:
            return not self._past_end
        return (start is None or pts >= start) and (end is None or pts < end)

    def _packets(self) -> Packets:
        if self._job.seek is None:
            return self._demux()
        return self._from_key_frame(self._job.seek)

    def _demux(self) -> Packets:
        return demux(self._container, self._stream, self._faults, lambda: self._number)

    def _from_key_frame(self, key: Seek) -> Packets:
        ticks = 1 / Fraction(*self._job.clock.tick)
        targets = [key.dts - round(seconds * ticks) for seconds in SEEK_BACK_SECONDS]
        for target in [*targets, self._stream.start_time or 0]:
            try:
                self._container.seek(target, stream=self._stream, backward=True)
            except FFmpegError as error:
                reraise_memory(error)
                continue
            packets = self._demux()
            for packet in packets:
                if _is_key(packet, key):
                    return itertools.chain([packet], packets)
                if packet.dts is not None and packet.dts > key.dts:
                    break
        self._faults.add("the key frame that the segment begins with cannot be found", self._number, self._number + 1, key.pts)
        return iter(())


def _is_key(packet: av.Packet[av.VideoStream], key: Seek) -> bool:
    """Whether this is the key frame's packet. Some demuxers guess the first dts after a seek: the pts is the safer mark."""
    if packet.pts is not None:
        return packet.is_keyframe and packet.pts == key.pts
    return packet.dts is not None and packet.dts == key.dts


class Timestamps:
    """Presentation timestamps where the container leaves some out: the decoder's dts, else one frame after the last.

    ``frame_ticks`` is the nominal length of a frame.
    """

    def __init__(self, frame_ticks: int) -> None:
        self._frame_ticks = frame_ticks
        self._next = 0
        self._last: int | None = None

    def of(self, picture: av.VideoFrame) -> tuple[int, int]:
        """The picture's pts and duration, in raw ticks; the duration is at least 1."""
        pts = picture.pts
        if pts is None:
            dts = picture.dts
            pts = dts if dts is not None and (self._last is None or dts > self._last) else self._next
        duration = picture.duration or self._frame_ticks
        self._last, self._next = pts, pts + duration
        return pts, duration


def _frame_ticks(job: Job) -> int:
    if job.clock.frame_rate is None:
        return 1
    return max(1, round(1 / (Fraction(*job.clock.frame_rate) * Fraction(*job.clock.tick))))
