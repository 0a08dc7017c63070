"""What is known of a container and its streams beside their content: part of the final event."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from schemas.plan import FieldOrder, Wire


class ActiveArea(Wire):
    """The part of the picture inside the letterbox, in pixels of the coded picture."""

    x: int
    y: int
    w: int
    h: int


class Compared(Wire):
    """A property as the container gives it, as the bitstream does, and as it was measured where it can be.

    ``agree`` says whether all that speak say the same; it is null where fewer than two do.
    """

    container: Any = None
    bitstream: Any = None
    measured: Any = None
    agree: bool | None = None


class TechnicalStream(Wire):
    """What is known of a stream beside its content.

    ``width``, ``height``, ``sample_aspect_ratio``, ``colour_range`` and ``rotation`` (degrees clockwise) are what the
    analysis went by; ``size``, ``pixel_aspect`` and ``range`` are what each side says of the same. ``language`` is BCP 47.
    ``layout_source`` is ``inferred`` where a file gives no more than a number of channels.
    """

    id: str
    index: int
    kind: str
    codec: str | None = None
    decision: str
    reason: str | None = None
    duration: float | None = None
    bit_rate: int | None = None
    language: str | None = None
    title: str | None = None
    disposition: tuple[str, ...] = ()
    profile: str | None = None
    level: str | None = None
    width: int | None = None
    height: int | None = None
    pixel_format: str | None = None
    bit_depth: int | None = None
    sample_aspect_ratio: tuple[int, int] | None = None
    rotation: int | None = None
    colour_range: str | None = None
    field_order: FieldOrder | None = None
    active_area: ActiveArea | None = None
    size: Compared | None = None
    pixel_aspect: Compared | None = None
    frame_rate: Compared | None = None
    primaries: Compared | None = None
    transfer: Compared | None = None
    matrix: Compared | None = None
    range: Compared | None = None
    mastering_display: Compared | None = None
    light_levels: Compared | None = None
    start_timecode: Compared | None = None
    timecode_source: str | None = None
    rate: int | None = None
    channels: int | None = None
    layout: str | None = None
    layout_source: Literal["declared", "inferred"] | None = None


class PresentationPart(Wire):
    """Channels of one stream, counted from 0."""

    stream: str
    channels: tuple[int, ...]


class Presentation(Wire):
    """Channels that belong together and are heard as one programme.

    ``source`` says how that is known: ``mca`` by multichannel audio labels, ``layout`` by a declared channel layout,
    ``inferred`` by neither; ``reason`` says it in words.
    """

    id: str
    streams: tuple[PresentationPart, ...] = Field(min_length=1)
    layout: str | None = None
    language: str | None = None
    source: Literal["mca", "layout", "inferred"]
    reason: str


class Technical(Wire):
    """The container, its streams and the presentations of its sound."""

    container: str | None
    duration: float | None
    bit_rate: int | None = None
    streams: tuple[TechnicalStream, ...] = ()
    presentations: tuple[Presentation, ...] = ()
