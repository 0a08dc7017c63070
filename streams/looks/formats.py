"""What `dailies export` writes: one registry of formats. A new format is one more entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas.events import ContentMetadata
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Exported:
    """A file's text, and what is missing in it and why."""

    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A format by its ``name``. ``suffix`` is the file name's end; None: to standard output unless a file is named."""

    name: str
    summary: str
    suffix: str | None
    write: Callable[[ContentMetadata, Settings], Exported]


def _json(event: ContentMetadata, settings: Settings) -> Exported:
    return Exported(event.model_dump_json(indent=2) + "\n")


def _html(event: ContentMetadata, settings: Settings) -> Exported:
    from streams.looks.curves import read_curves  # these bring Parquet and the decoder, which other formats do without
    from streams.looks.page import page
    from streams.looks.printable import printable
    from streams.looks.thumbnails import take

    curves, thumbnails = read_curves(event), take(event, settings)
    return Exported(page(printable(event), curves, thumbnails), (*thumbnails.notes, *curves.notes) if event.clocks else ())


FORMATS = {
    f.name: f
    for f in (
        Format("json", "the event as on media.metadata", None, _json),
        Format("html", "one page with timeline, pictures and curves, that needs no network", ".html", _html),
    )
}
