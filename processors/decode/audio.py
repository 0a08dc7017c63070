"""The samples of one audio stream, decoded once from its start: time is a count of samples.

Codec state and pre-roll make sound inexact after a seek, and Matroska's clock puts timestamps up to 24 samples off. So nothing
is sought, and timestamps serve only to find gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.audio.plane import AudioPlane
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from processors.decode.block import Block
from processors.decode.bounds import Bounds
from processors.decode.faults import CONCEALED, MAX_ENTRIES, FaultLog, describe, reraise_memory
from processors.decode.packets import demux, select
from processors.limits import MediaLimits
from schemas.manifest import TimestampGap
from schemas.plan import Job

GAP_TICKS = 2
"""Timestamps that leave the sample count by more than so many ticks of the container's clock are a gap."""

Format = tuple[str, str, int]
"""Sample format, channel layout and rate, as FFmpeg names them."""


class AudioReader:
    """Reads one audio job. After :meth:`blocks` is used up, the rest tells what was met.

    The stream keeps the format of its first samples, with the planned rate and channels: what comes in another one later is
    converted, and noted among the faults.
    """

    def __init__(self, container: InputContainer, job: Job, faults: FaultLog, bounds: Bounds | None = None) -> None:
        self._stream = select(container, job.index, av.AudioStream)
        self._container, self._job, self._faults = container, job, faults
        self._bounds = bounds or Bounds(job, MediaLimits())
        self._converter: _Converter | None = None
        self._clock: SampleClock | None = None
        self.samples = 0
        self.concealed = 0

    @property
    def gaps(self) -> tuple[TimestampGap, ...]:
        """Where timestamps leave the sample count: the first of ``gap_count``."""
        return tuple(self._clock.gaps) if self._clock is not None else ()

    @property
    def gap_count(self) -> int:
        """How often they do."""
        return self._clock.gap_count if self._clock is not None else 0

    def blocks(self) -> Iterator[Block]:
        """The stream's samples in order, without a hole between blocks."""
        for packet in demux(self._container, self._stream, self._note):
            yield from self._decode(packet)
        yield from self._decode(None)
        if self._converter is not None:
            for samples in self._converter.flush():
                yield self._block(samples)

    def _note(self, message: str, pts: int | None = None) -> None:
        self._faults.add(message, self.samples, self.samples + 1, pts)

    def _decode(self, packet: av.Packet[av.AudioStream] | None) -> Iterator[Block]:
        try:
            frames = self._stream.codec_context.decode(packet)
        except FFmpegError as error:
            reraise_memory(error)
            self._note(describe(error), packet.pts if packet is not None else None)
            return
        for frame in frames:
            yield from self._convert(frame)

    def _convert(self, frame: av.AudioFrame) -> Iterator[Block]:
        found = format_of(frame)
        self._bounds.sound(*found, frame.layout.nb_channels)
        if self._converter is None:
            self._converter = _Converter(self._target(found))
            self._clock = SampleClock(self._stream.time_base or Fraction(1, found[2]), self._converter.rate)
        if self._converter.changes(found):
            self._note("sound changes to {} {} {} Hz, which is converted".format(*found))
        if frame.is_corrupt:
            self.concealed += frame.samples
            self._faults.add(CONCEALED, self.samples, self.samples + frame.samples, frame.pts)
        if self._clock is not None and not self._converter.active(found):
            self._clock.check(frame.pts, self.samples)
        try:
            made = list(self._converter.convert(frame, found))
        except FFmpegError as error:
            reraise_memory(error)
            self._note("sound of {} {} {} Hz cannot be converted: ".format(*found) + describe(error), frame.pts)
            return
        for samples in made:
            yield self._block(samples)

    def _target(self, found: Format) -> Format:
        """What the plan's clock and tasks count on; a stream that declares nothing, or the same, stays as it is."""
        sample_format, layout, _ = found
        planned = self._job.audio
        if planned is None:
            return found
        if planned.channels != av.AudioLayout(layout).nb_channels:
            layout = planned.layout or f"{planned.channels}c"
        return sample_format, layout, planned.rate

    def _block(self, samples: NDArray[Any]) -> Block:
        assert self._converter is not None
        block = Block(samples, self.samples, self._converter.rate)
        self.samples = block.end
        self._bounds.played(self.samples, block.rate)
        return block


class _Converter:
    """Passes frames of the target format through, and resamples others to it."""

    def __init__(self, target: Format) -> None:
        self._target = target
        self._last = target
        self._resampler: av.AudioResampler | None = None

    @property
    def rate(self) -> int:
        return self._target[2]

    def active(self, found: Format) -> bool:
        return found != self._target

    def changes(self, found: Format) -> bool:
        """Whether this is another format than the last frame's."""
        return found != self._last

    def convert(self, frame: av.AudioFrame, found: Format) -> Iterator[NDArray[Any]]:
        if found != self._last:
            yield from self.flush()
            self._last = found
        if not self.active(found):
            yield interleaved(frame)
            return
        if self._resampler is None:
            sample_format, layout, rate = self._target
            self._resampler = av.AudioResampler(format=sample_format, layout=layout, rate=rate)
        try:
            yield from map(interleaved, self._resampler.resample(frame))
        except FFmpegError:
            self._resampler = None  # nothing can be flushed out of it
            raise

    def flush(self) -> Iterator[NDArray[Any]]:
        resampler, self._resampler = self._resampler, None
        if resampler is not None:
            for converted in resampler.resample(None):
                yield interleaved(converted)


class SampleClock:
    """Compares timestamps with the sample count. After a gap it goes on from there, so that each is found once."""

    def __init__(self, time_base: Fraction, rate: int) -> None:
        self._time_base, self._rate = time_base, rate
        self._origin: tuple[int, int] | None = None
        self.gaps: list[TimestampGap] = []
        self.gap_count = 0

    def check(self, pts: int | None, position: int) -> None:
        """Compare the timestamp of the sample at ``position``; the first one sets the origin."""
        if pts is None:
            return
        if self._origin is None:
            self._origin = (pts, position)
        origin_pts, origin = self._origin
        numerator, denominator = self._time_base.numerator, self._time_base.denominator
        deviation = (pts - origin_pts) * numerator * self._rate - (position - origin) * denominator
        if abs(deviation) > GAP_TICKS * numerator * self._rate:
            self._origin = (pts, position)
            self.gap_count += 1
            if len(self.gaps) < MAX_ENTRIES:
                jump = round(deviation / denominator)
                gap = TimestampGap(first=position, jump=jump, pts=pts, start=position, end=position + 1)
                self.gaps.append(gap)


def format_of(frame: av.AudioFrame) -> Format:
    """Sample format, layout and rate of a frame."""
    layout = frame.layout
    return frame.format.name, layout.name or f"{layout.nb_channels}c", frame.sample_rate


def interleaved(frame: av.AudioFrame) -> NDArray[Any]:
    """A frame's samples as ``(n, channels)``: int16, int32 (what has 24 bits lies in the upper ones) or float32.

    8 bit is widened to 16, 64-bit integers are cut to 32 bits and double precision to single.
    """
    kind = frame.format.packed.name
    count, channels = frame.samples, frame.layout.nb_channels
    dtype = _SAMPLES[kind]
    if frame.format.is_planar:
        samples = np.empty((count, channels), dtype)
        for channel in range(channels):
            samples[:, channel] = _plane(frame, channel, dtype, count)
    else:
        samples = _plane(frame, 0, dtype, count * channels).reshape(count, channels)
    match kind:
        case "u8":
            return (samples.astype(np.int16) - 128) << 8
        case "s64":
            return (samples >> 32).astype(np.int32)
        case "dbl":
            return samples.astype(np.float32)
        case _:
            return samples


_SAMPLES = {"u8": "|u1", "s16": "<i2", "s32": "<i4", "s64": "<i8", "flt": "<f4", "dbl": "<f8"}


def _plane(frame: av.AudioFrame, index: int, dtype: str, count: int) -> NDArray[Any]:
    """One plane. ``frame.planes`` and ``to_ndarray`` look for a null pointer after the last one, which eight or more planar
    channels do not have: they read past the array and crash.
    """
    plane = cast(Any, AudioPlane)(frame, index)
    return np.frombuffer(plane, dtype, count)
