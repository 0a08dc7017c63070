"""An event stays a message: tracks that are too long for it go to the sidecar, and a summary stays."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from schemas.events import ContentMetadata, TrackRef

LIMIT_BYTES = 900_000
"""The largest final event, as JSON; a broker takes a megabyte where nobody has raised its limit."""

Put = Callable[[str, bytes], str]
"""Writes a named JSON document beside the signals; gives its URI."""


def fit(event: ContentMetadata, put: Put) -> ContentMetadata:
    """The event itself where it is small enough, else without its longest tracks, as many as must go."""
    size = len(event.model_dump_json())
    tracks = {name: [_plain(entry) for entry in getattr(event.tracks, name)] for name in event.tracks.names()}
    bodies = {name: orjson.dumps(entries) for name, entries in tracks.items() if entries}
    moved: dict[str, TrackRef] = {}
    for name in sorted(bodies, key=lambda name: -len(bodies[name])):
        if size <= LIMIT_BYTES:
            break
        moved[name] = TrackRef(count=len(tracks[name]), dataref=put(name, bodies[name]))
        size -= len(bodies[name])
    if not moved:
        return event
    rest = event.tracks.model_copy(update={**dict.fromkeys(moved, ()), "elsewhere": moved})
    return event.model_copy(update={"tracks": rest})


def _plain(entry: object) -> object:
    return entry.model_dump(mode="json") if hasattr(entry, "model_dump") else entry
