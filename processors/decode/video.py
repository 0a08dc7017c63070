"""The frames of one segment, exactly: nothing lost, nothing doubled, equal to those of an unbroken decode.

The rule (shown pixel-exact on open-GOP H.264 and HEVC, VP8/9, AV1, ProRes and MPEG-2 in MP4, TS, MKV and MXF):

1. seek to the segment's key frame, and again earlier if the demuxer lands behind it; drop packets until it comes;
2. decode, and keep the frames with ``start <= pts < end``;
3. go on past the next key frame until ``packet.dts >= stop_dts`` *and* a frame at or after the end has come out: leading
   pictures of an open GOP belong to this segment, and come out before it;
4. go on further while a consumer still wants frames after the end.

Where each packet is one frame (``Job.counted``), a frame that is lost keeps its number, so that what follows has the same
numbers however the stream is cut.

The trap: flushing a decoder in the middle of a stream gives frames with holes between them, since the pictures that lie
between have not been fed yet. So it is flushed at the stream's end alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.error import FFmpegError

from processors.decode.bounds import Bounds
from processors.decode.faults import CONCEALED, LOST, FaultLog, describe, reraise_memory
from processors.decode.frame import NativeFrame
from processors.decode.numbers import FrameNumbers, Lost
from processors.decode.packets import demux, select
from processors.decode.picture import PictureReader
from processors.decode.timing import PictureClock
from processors.limits import MediaLimits
from processors.probe.bitstream import hidden_test
from schemas.plan import Job, Seek

TS_DISCONT = 0x0200
"""AVFMT_TS_DISCONT: the format's timestamps may be discontinuous."""
SEEK_BACK_SECONDS = (0, 1, 4, 16, 64)
"""How much earlier each new try to reach a key frame begins; after them the stream's start."""

Packets = Iterator["av.Packet[av.VideoStream]"]


def nobody() -> bool:
    """No consumer wants frames after the end."""
    return False


def frames(
    container: InputContainer, job: Job, *, wants: Callable[[], bool] = nobody, faults: FaultLog | None = None
) -> Iterator[tuple[NativeFrame, bool]]:
    """The frames of a job, as :meth:`VideoReader.frames` gives them."""
    return VideoReader(container, job, faults if faults is not None else FaultLog(), wants).frames()


class VideoReader:
    """Reads the frames of one video job. After :meth:`frames` is used up, ``clock`` tells where timestamps jump.

    ``wants`` says whether a consumer wants more frames after the end. What cannot be decoded goes to ``faults``, and decoding
    goes on.
    """

    def __init__(
        self,
        container: InputContainer,
        job: Job,
        faults: FaultLog,
        wants: Callable[[], bool] = nobody,
        bounds: Bounds | None = None,
    ) -> None:
        self._stream = select(container, job.index, av.VideoStream)
        self._container, self._job, self._wants, self._faults = container, job, wants, faults
        self._bounds = bounds or Bounds(job, MediaLimits())
        self._reader = PictureReader(job.video)
        resets = bool(container.format.flags & TS_DISCONT) and not job.counted
        self.clock = PictureClock(job.clock, resets=resets)
        self._numbers = FrameNumbers(job.first_frame, job.start, counted=job.counted)
        context = self._stream.codec_context
        self._hidden = hidden_test(context.name, context.extradata)
        self._errors: dict[int, str] = {}
        self._reached = job.seek is None
        self._past_end = False

    def frames(self) -> Iterator[tuple[NativeFrame, bool]]:
        """The job's frames in presentation order, each with whether the job owns it.

        Frames at or after ``job.end`` come last and are not owned; there is at least one (unless the stream ends), and more
        as long as ``wants()`` holds. Frame numbers count from ``job.first_frame``. A frame's planes are only valid until
        the next one is asked for.
        """
        job, clock, before = self._job, self.clock, False
        for picture in self._pictures():
            self._bounds.picture(picture)
            raw = clock.raw(picture)
            if job.start is not None and raw < job.start:
                continue
            owned = job.end is None or raw < job.end
            if job.counted and clock.is_late(raw):
                continue  # its number is among the lost ones, or this is another picture of the same packet
            if owned and self._past_end:
                self._add("a frame comes too late in presentation order", raw)
                continue
            place = self._numbers.place(raw)
            self._lose(place.lost)
            number, (pts, duration) = place.number, clock.place(raw, picture.duration, place, noted=before)
            self._past_end, before = not owned, owned
            if (message := self._errors.pop(raw, None)) is not None and owned:
                self._faults.add(message, number, number + 1, pts, pts + self._length(duration))
            frame = self._read(picture, pts, duration, number, owned)
            if frame is not None:
                yield frame, owned
        self._lose(self._numbers.rest(job.end))

    def _read(self, picture: av.VideoFrame, pts: int, duration: int, number: int, owned: bool) -> NativeFrame | None:
        try:
            frame = self._reader.read(picture, pts=pts, duration=duration, number=number)
        except (ValueError, FFmpegError) as error:
            reraise_memory(error)
            if owned:
                message = f"{picture.format.name}: {describe(error)}"
                self._faults.add(message, number, number + 1, pts, pts + self._length(duration))
            return None
        if frame.corrupt and owned:
            self._faults.add(CONCEALED, number, number + 1, pts, pts + self._length(duration))
        return frame

    def _length(self, duration: int) -> int:
        """Of a damaged frame, in ticks: what demuxers say of its duration depends on what they read before."""
        course = self.clock.course
        return course.ticks if course.steady else duration

    def _lose(self, lost: Iterable[Lost]) -> None:
        end = self._job.end
        for number, pts in lost:
            message = self._errors.pop(pts, LOST)
            if end is None or pts < end:
                self._faults.add(message, number, number + 1, pts, pts + self.clock.course.ticks)

    def _add(self, message: str, pts: int | None) -> None:
        """Note something that happened about here."""
        number, at = self._numbers.next, self.clock.about(pts)
        self._faults.add(message, number, number + 1, at, at + self.clock.course.ticks)

    def _pictures(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            if self._complete(packet):
                return
            if not packet.is_discard and not self._hidden(packet)[1]:
                self._numbers.announce(packet.pts)
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
                if self._job.counted and pts is not None:
                    self._errors[pts] = describe(error)  # its frame's number is known when its turn comes
                else:
                    self._add(describe(error), pts)
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
        return demux(self._container, self._stream, self._read_error)

    def _read_error(self, message: str) -> None:
        """Errors on the way to the first packet, and those past the end, are other jobs' matter."""
        if self._reached and not self._past_end:
            self._add(message, None)

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
                    self._reached = True
                    return itertools.chain([packet], packets)
                if packet.dts is not None and packet.dts > key.dts:
                    break
        first, length = self._job.first_frame, self._job.frames or 1
        message = "the key frame that the segment begins with cannot be found"
        self._faults.add(message, first, first + length, key.pts, self._job.end)
        return iter(())


def _is_key(packet: av.Packet[av.VideoStream], key: Seek) -> bool:
    """Whether this is the key frame's packet. Some demuxers guess the first dts after a seek: the pts is the safer mark."""
    if packet.pts is not None:
        return packet.is_keyframe and packet.pts == key.pts
    return packet.dts is not None and packet.dts == key.dts
