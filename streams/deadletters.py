"""Dead letters: what cannot be processed, with everything that is needed to see why and to send it again."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from schemas.cloudevents import JSON
from schemas.errors import WireError
from schemas.ids import digest, identity
from streams.app import publish
from streams.record import Record
from streams.topics import DEAD_LETTERS, MAX_MESSAGE_BYTES

if TYPE_CHECKING:  # the decoder, which runs no Faust, writes dead letters as well
    import faust

PREFIX = "dl_"
"""Headers of the dead letter's own; all others are the original's."""

VALUE_LIMIT = MAX_MESSAGE_BYTES - (256 << 10)
"""Bytes of value and headers up to which the original value travels; a larger one is referred to."""

MESSAGE_LIMIT = 2000
"""Characters of an error's message that are kept."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter, read back. ``original`` is what was not processed, its value as :attr:`referred` says.

    ``id`` is the same however often the same record is given up at the same stage.
    """

    id: str
    original: Record
    stage: str
    attempts: int
    error: str
    message: str
    referred: bool
    """The value is a JSON reference (topic, partition, offset, bytes, digest), since the original was too large."""

    @classmethod
    def from_record(cls, record: Record) -> DeadLetter:
        """Read a record of the dead letters' topic. Raises ``WireError`` if it is none."""
        own = {name.removeprefix(PREFIX): value.decode() for name, value in record.headers.items() if name.startswith(PREFIX)}
        try:
            original = Record(
                topic=own["topic"],
                partition=int(own["partition"]),
                offset=int(own["offset"]),
                key=base64.b64decode(own["key"]) if "key" in own else None,
                value=record.value,
                headers={name: value for name, value in record.headers.items() if not name.startswith(PREFIX)},
            )
            referred = own["value"] == "reference"
            return cls(own["id"], original, own["stage"], int(own["attempts"]), own["error"], own["message"], referred)
        except (KeyError, ValueError) as error:
            raise WireError(f"not a dead letter: {error}") from error


def dead_letter(
    record: Record, *, stage: str, attempts: int, error: BaseException
) -> tuple[bytes | None, bytes, dict[str, bytes]]:
    """Key, value and headers of the dead letter of a record, for whichever producer sends it.

    ``stage`` is the role and what it was doing; ``attempts`` how often it was tried. Headers of the original keep their
    names; its key is repeated in a header, in base64.
    """
    value = record.value
    kept = {name: content for name, content in record.headers.items() if not name.startswith(PREFIX)}
    whole = len(value) + sum(len(n) + len(v) for n, v in kept.items()) <= VALUE_LIMIT
    own = {
        "id": identity("dead-letter", record.topic, record.partition, record.offset, stage),
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "stage": stage,
        "attempts": str(attempts),
        "error": type(error).__qualname__,
        "message": str(error)[:MESSAGE_LIMIT],
        "value": "original" if whole else "reference",
    }
    if record.key is not None:
        own["key"] = base64.b64encode(record.key).decode()
    if not whole:
        where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        value = orjson.dumps(where | {"bytes": len(value), "digest": digest(value)})
        kept = {name: content for name, content in kept.items() if len(content) <= MESSAGE_LIMIT}
        kept["content-type"] = JSON.encode()
    return record.key, value, kept | {PREFIX + name: content.encode("utf-8", "replace") for name, content in own.items()}


class DeadLetters:
    """Sends dead letters through a Faust app's producer. ``sent`` is told of each that Kafka has."""

    def __init__(self, app: faust.App, topic: str = DEAD_LETTERS.name, *, sent: Callable[[], None] = lambda: None) -> None:
        self._app = app
        self._topic = topic
        self._sent = sent

    async def send(self, record: Record, *, stage: str, attempts: int, error: BaseException) -> None:
        """Send one, and wait until Kafka has it. Raises what the delivery raises."""
        key, value, headers = dead_letter(record, stage=stage, attempts=attempts, error=error)
        await publish(self._app, self._topic, key, value, headers)
        self._sent()
