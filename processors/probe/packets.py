"""One pass over a container's packets: a table of each stream's timestamps, and its head decoded on the way."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from numpy.typing import NDArray

from processors.limits import MediaLimits
from processors.probe.bitstream import Hidden, hidden_test
from processors.probe.signalled import Signal

NONE = np.iinfo(np.int64).min
"""Stands for a missing timestamp in tables."""
HEAD_PACKETS = 24
HEAD_LIMIT = 600
READ_ERRORS = 16
KEY, DISCARD, HIDDEN = 1, 2, 4

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False)
class PacketTable:
    """The packets of one stream in decoding order: raw ticks (``NONE`` where missing), duration 0 where unknown.

    ``flags`` are KEY (a decoder may begin there), DISCARD (an edit list takes it out) and HIDDEN (it holds no picture
    that is shown). ``bytes`` is their total size.
    """

    pts: Ints
    dts: Ints
    duration: Ints
    flags: NDArray[np.uint8]
    bytes: int

    def __post_init__(self) -> None:
        if not len(self.pts) == len(self.dts) == len(self.duration) == len(self.flags):
            raise ValueError(f"{self!r}: columns of different length")

    def __repr__(self) -> str:
        return f"PacketTable({len(self)} packets, {self.bytes} bytes)"

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(slots=True)
class Head:
    """What decoding a stream's first packets gave: every frame's pts, the first frame itself, and the number of errors.

    Video is decoded from the start to ``HEAD_PACKETS`` packets past the first key frame, sound to its first frame.
    ``signal`` hears the same packets without knowing the container.
    """

    signal: Signal = field(default_factory=Signal)
    first: Any = None
    pts: list[int | None] = field(default_factory=list)
    errors: int = 0
    done: bool = False
    _fed: int = 0
    _keyed: int = 0

    def feed(self, context: Any, packet: Packet[Any]) -> None:
        """Decode one packet."""
        self._decode(context, packet)
        self.signal.feed(packet)
        self._fed += 1
        self._keyed += bool(self._keyed or packet.is_keyframe)
        if context.type == "audio":
            self.done = self.first is not None or self._fed >= HEAD_LIMIT
        else:
            self.done = self._keyed > HEAD_PACKETS or self._fed >= HEAD_LIMIT

    def end(self, context: Any) -> None:
        """The stream ended before the head was done: the decoder gives what it holds."""
        if not self.done:
            self._decode(context, None)
            self.signal.feed(None)

    def _decode(self, context: Any, packet: Packet[Any] | None) -> None:
        try:
            for frame in context.decode(packet):
                self.first = self.first or frame
                self.pts.append(frame.pts)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            self.errors += 1


@dataclass(slots=True)
class _Columns:
    hidden: Hidden
    pts: array[int] = field(default_factory=lambda: array("q"))
    dts: array[int] = field(default_factory=lambda: array("q"))
    duration: array[int] = field(default_factory=lambda: array("q"))
    flags: array[int] = field(default_factory=lambda: array("B"))
    bytes: int = 0

    def add(self, packet: Packet[Any]) -> None:
        pts, dts = packet.pts, packet.dts
        self.pts.append(NONE if pts is None else pts)
        self.dts.append(NONE if dts is None else dts)
        self.duration.append(packet.duration or 0)
        key, hidden = self.hidden(packet)
        self.flags.append(KEY * key | DISCARD * packet.is_discard | HIDDEN * hidden)
        self.bytes += packet.size

    def table(self) -> PacketTable:
        pts, dts, duration = (np.array(column, np.int64) for column in (self.pts, self.dts, self.duration))
        return PacketTable(pts, dts, duration, np.array(self.flags, np.uint8), self.bytes)


def scan(container: InputContainer, streams: list[Any], limits: MediaLimits) -> dict[int, tuple[PacketTable, Head]]:
    """Read all packets of some streams once: per stream index its table and its decoded head.

    All other streams are left unread, since a damaged one could end the reading of all. Raises ``Unprocessable`` at the first
    picture beyond the limit.
    """
    wanted = {stream.index for stream in streams}
    for stream in container.streams:
        stream.discard = Discard.default if stream.index in wanted else Discard.all
    columns, heads = {}, {}
    for stream in streams:
        context = stream.codec_context
        context.thread_type, context.thread_count = "NONE", 1
        columns[stream.index] = _Columns(hidden_test(context.name, context.extradata))
        heads[stream.index] = Head(Signal.of(context))
    for packet in _packets(container, streams):
        index = packet.stream_index
        columns[index].add(packet)
        if packet.stream.type == "video":
            limits.count(f"stream {index}", len(columns[index].pts))
        if not heads[index].done:
            heads[index].feed(packet.stream.codec_context, packet)
    for stream in streams:
        heads[stream.index].end(stream.codec_context)
    return {index: (columns[index].table(), heads[index]) for index in columns}


def _packets(container: InputContainer, streams: list[Any]) -> Iterator[Packet[Any]]:
    """All packets. A cut file may end early for one stream and go on for the others: asked again, it goes on."""
    errors, more = 0, bool(streams)  # to PyAV no streams are all streams
    while more and errors < READ_ERRORS:
        more = False
        try:
            for packet in container.demux(streams):
                if packet.size:
                    more = True
                    yield packet
        except av.error.MemoryError:
            raise
        except (av.error.FFmpegError, IndexError):  # an index: PyAV's own end where a stream appeared on the way
            errors, more = errors + 1, True
