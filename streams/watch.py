"""Subscribing as any other system does: reactions and final events as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import orjson
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from schemas.events import ContentMetadata
from schemas.reactions import Progress, Reaction
from streams import topics
from streams.client import POLL_SECONDS, make_consumer, read_all
from streams.connect import watermarks
from streams.secure import Bootstrap

TOPICS = (topics.REACTIONS, topics.METADATA)


@dataclass(frozen=True, slots=True)
class Heard:
    """One event: its JSON as it travelled, and what it is."""

    value: bytes
    event: Reaction | Progress | ContentMetadata


class Watcher:
    """Hears media.reactions and media.metadata from now on, or from the beginning of what is kept."""

    def __init__(self, bootstrap: Bootstrap, *, beginning: bool = False) -> None:
        self._consumer = make_consumer(bootstrap)
        places = [TopicPartition(t.name, p, OFFSET_BEGINNING) for t in TOPICS for p in range(t.partitions)]
        if not beginning:
            for place in places:
                place.offset = watermarks(self._consumer, place)[1]
        self._consumer.assign(places)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._consumer.close()

    def heard(self) -> Iterator[Heard | None]:
        """Events for ever; None now and then while nothing comes."""
        while True:
            message = self._consumer.poll(POLL_SECONDS)
            if message is None or message.error():
                yield None
                continue
            value = message.value() or b""
            yield Heard(value, _parse(message.topic() or "", value))


def _parse(topic: str, value: bytes) -> Reaction | Progress | ContentMetadata:
    if topic == topics.METADATA.name:
        return ContentMetadata.model_validate_json(value)
    body = orjson.loads(value)
    return Progress.model_validate(body) if "stage" in body else Reaction.model_validate(body)


def concerns(event: Reaction | Progress | ContentMetadata, asset: str) -> bool:
    """Whether an event is about an asset: named by its id, the start of it, or its URI."""
    return event.asset.id.startswith(asset) or event.asset.uri == asset


def planned(bootstrap: Bootstrap, asset: str) -> tuple[str, str] | None:
    """Asset id and run of the newest plan for an asset that is named by its id, the start of it, or its URI."""
    found = None
    for message in read_all(bootstrap, topics.ASSETS):
        body = orjson.loads(message.value() or b"{}")
        named = body.get("asset")
        if isinstance(named, dict) and "jobs" in body and (named["id"].startswith(asset) or named["uri"] == asset):
            when = message.timestamp()[1]
            if found is None or when >= found[0]:
                found = when, named["id"], body["run"]
    return None if found is None else (found[1], found[2])
