"""The packets of one stream, read so that a damaged file gives what it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard, Stream

from processors.decode.faults import describe, reraise_memory
from schemas.errors import SourceChanged

MAX_READ_ERRORS = 16
"""Read errors in a row, without a packet between them, after which the rest of a file is given up."""

StreamT = TypeVar("StreamT", bound=Stream)


def select(container: InputContainer, index: int, kind: type[StreamT]) -> StreamT:
    """The stream that a job is about; the demuxer skips the others. Raises ``SourceChanged`` if it is not there."""
    stream = container.streams[index] if index < len(container.streams) else None
    if not isinstance(stream, kind):
        raise SourceChanged(f"stream {index} is not the {kind.__name__} that was planned")
    for other in container.streams:
        other.discard = Discard.default if other.index == index else Discard.all
    stream.codec_context.thread_type = "NONE"  # one thread a process: parallel by segment costs the least a frame
    stream.codec_context.thread_count = 1
    return stream


def demux(container: InputContainer, stream: StreamT, note: Callable[[str], None]) -> Iterator[av.Packet[StreamT]]:
    """The stream's packets from where the container stands. A read error goes to ``note``, and reading goes on."""
    errors = 0
    while errors < MAX_READ_ERRORS:
        try:
            for packet in cast(Iterator["av.Packet[StreamT]"], container.demux(stream)):
                if packet.size:  # an empty packet would put the decoder into draining for good
                    yield packet
                errors = 0
            return
        except IndexError:  # PyAV's own end where a stream appeared on the way: asked again, it ends in peace
            errors += 1
        except FFmpegError as error:
            reraise_memory(error)
            errors += 1
            note(f"reading: {describe(error)}")
