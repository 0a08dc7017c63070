"""One Kafka record as the roles see it, whichever client read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schemas.cloudevents import as_mapping

if TYPE_CHECKING:  # the decoder, which runs no Faust, reads records as well
    from faust.types import EventT


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """A record: raw bytes, and where it lies. ``timestamp`` is in seconds since the epoch; a null value is ``b""``."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)
    timestamp: float = 0.0

    def __repr__(self) -> str:
        return f"Record({self.place}, key={self.key!r}, {len(self.value)} bytes)"

    @property
    def place(self) -> str:
        """``topic/partition/offset``."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def delivery(self) -> str:
        """A name for attempts on this record; the time tells it from one at the same place in a topic made anew."""
        return f"{self.place}@{self.timestamp:.3f}"

    @classmethod
    def from_event(cls, event: EventT[Any]) -> Record:
        """The record of a Faust event, before any deserialisation."""
        message = event.message
        return cls(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value or b"",
            headers=as_mapping(message.headers),
            timestamp=message.timestamp or 0.0,
        )

    @classmethod
    def from_confluent(cls, message: Any) -> Record:
        """The record of a ``confluent_kafka.Message``."""
        return cls(
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
            key=message.key(),
            value=message.value() or b"",
            headers=as_mapping(message.headers()),
            timestamp=message.timestamp()[1] / 1000,
        )
