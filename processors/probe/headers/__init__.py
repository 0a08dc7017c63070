"""What a container's headers say that PyAV does not hand on, for each of its streams. Reads the object, not the streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from processors.probe.headers import boxes, ebml, klv
from processors.probe.headers.track import NOTHING, Readable, TrackHeader

__all__ = ["NOTHING", "TrackHeader", "track_headers"]

READERS: Mapping[str, Callable[[Readable, int], list[TrackHeader]]] = {
    "mov": boxes.tracks,
    "matroska": ebml.tracks,
    "mxf": klv.tracks,
}
"""By FFmpeg's first name of the container; no other has such headers."""


def track_headers(source: Readable, size: int, container: str, streams: Sequence[tuple[str, int]]) -> list[TrackHeader]:
    """The header of each stream, given its type and id in order of the container's index.

    Headers are matched by the track's number, or as the n-th of their kind where FFmpeg does not carry numbers: then they
    are only believed if there are as many as streams of the kind.
    """
    reader = READERS.get(container.split(",")[0])
    found = reader(source, size) if reader is not None else []
    numbered = {header.number: header for header in found if header.number is not None}
    if numbered:
        return [numbered.get(number, NOTHING) for _, number in streams]
    queues = {}
    for kind in ("video", "audio"):
        headers = [header for header in found if header.kind == kind]
        if len(headers) == sum(of == kind for of, _ in streams):
            queues[kind] = iter(headers)
    return [next(queues[kind]) if kind in queues else NOTHING for kind, _ in streams]
