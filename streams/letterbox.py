"""Dead letters read back: what each is about, and whether it was replayed.

A replay leaves a marker on the same topic: a record with the header ``dl_replayed``, the letter's id, and JSON that says when
and with which event. It comes later than its letter and so outlives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from confluent_kafka import TopicPartition

from schemas.errors import DailiesError, WireError
from schemas.ids import digest
from schemas.uploads import Ignored, parse_upload
from streams import topics
from streams.client import POLL_SECONDS, make_consumer, read_all
from streams.connect import watermarks
from streams.deadletters import PREFIX, DeadLetter
from streams.producer import Deliveries
from streams.record import Record
from streams.secure import Bootstrap

MARKER = f"{PREFIX}replayed"

_ABOUT_ASSETS = (topics.SEGMENTS, topics.SEGMENTS_URGENT, topics.INFERENCES, *topics.CHUNKS.values())

ABOUT_ASSETS = frozenset(topic.name for topic in _ABOUT_ASSETS)
"""Topics whose keys begin with the asset's id."""


class NoSuchLetter(DailiesError):
    """A dead letter is asked for that is not there, or by a name that several have."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One replay of a letter. ``at`` is RFC 3339, ``event`` the id of what was published, ``times`` the how-manieth it was."""

    at: str
    event: str
    times: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter with what it is about, as far as the original says. ``when`` is in seconds since the epoch."""

    dead: DeadLetter
    when: float
    asset: str | None = None
    run: str | None = None
    uri: str | None = None
    replays: tuple[Replayed, ...] = ()

    @property
    def id(self) -> str:
        """The letter's id."""
        return self.dead.id

    def concerns(self, names: Iterable[str]) -> bool:
        """Whether it is about an asset that is named by its id, the start of it, or its URI."""
        return any((self.asset or "").startswith(name) or self.uri == name for name in names if name)


def read(bootstrap: Bootstrap) -> list[Letter]:
    """Every letter that is kept, the oldest first; one that was written twice counts once."""
    return letters(Record.from_confluent(message) for message in read_all(bootstrap, topics.DEAD_LETTERS))


def letters(records: Iterable[Record]) -> list[Letter]:
    """The letters among the records of the topic. What is neither letter nor marker is passed over."""
    found: dict[str, Letter] = {}
    replays: dict[str, list[Replayed]] = {}
    for record in records:
        try:
            if MARKER in record.headers:
                body = orjson.loads(record.value)
                replays.setdefault(record.headers[MARKER].decode(), []).append(
                    Replayed(str(body["at"]), str(body["event"]), int(body["times"]))
                )
            else:
                dead = DeadLetter.from_record(record)
                found[dead.id] = _about(dead, record.timestamp)
        except (WireError, ValueError, KeyError, TypeError):
            continue
    whole = [replace(one, replays=tuple(sorted(replays.get(one.id, ()), key=lambda r: r.times))) for one in found.values()]
    return sorted(whole, key=lambda one: (one.when, one.id))


def mark(deliveries: Deliveries, letter: Letter, replayed: Replayed) -> None:
    """Write down that a letter was replayed."""
    body = orjson.dumps({"at": replayed.at, "event": replayed.event, "times": replayed.times})
    headers = {MARKER: letter.id.encode(), "content-type": b"application/json"}
    deliveries.produce(topics.DEAD_LETTERS.name, key=letter.dead.original.key, value=body, headers=headers)


def by_prefix(known: Sequence[Letter], prefix: str) -> Letter:
    """The one letter whose id begins so. Raises ``NoSuchLetter``."""
    found = [letter for letter in known if letter.id.startswith(prefix)]
    if not found or not prefix:
        raise NoSuchLetter(f"there is no dead letter {prefix!r}; `dailies dead-letters list` shows all")
    if len(found) > 1:
        raise NoSuchLetter(f"{len(found)} dead letters begin with {prefix!r}: {', '.join(one.id for one in found[:5])}")
    return found[0]


def matching(
    known: Iterable[Letter], *, asset: Sequence[str] = (), error: str | None = None, stage: str | None = None
) -> list[Letter]:
    """The letters of an asset (any of its names), of an error (its class) and of a stage (the start of it), as far as given."""
    return [
        letter
        for letter in known
        if (not asset or letter.concerns(asset))
        and (error is None or letter.dead.error.lower() == error.lower())
        and (stage is None or letter.dead.stage.startswith(stage))
    ]


def original(bootstrap: Bootstrap, letter: Letter) -> Record:
    """The original record whole, also where the letter only refers to it. Raises ``NoSuchLetter`` if it is gone."""
    dead = letter.dead
    if not dead.referred:
        return dead.original
    wanted = orjson.loads(dead.original.value)["digest"]
    found = _record_at(bootstrap, dead.original)
    if found is None or digest(found.value) != wanted:
        raise NoSuchLetter(f"the original of {letter.id[:12]} was too large to keep, and is no longer at {dead.original.place}")
    return found


def _record_at(bootstrap: Bootstrap, at: Record) -> Record | None:
    consumer = make_consumer(bootstrap)
    try:
        place = TopicPartition(at.topic, at.partition, at.offset)
        low, high = watermarks(consumer, place)
        if not low <= at.offset < high:
            return None
        consumer.assign([place])
        while True:
            message = consumer.poll(POLL_SECONDS)
            if message is not None and not message.error():
                record = Record.from_confluent(message)
                return record if record.offset == at.offset else None
    finally:
        consumer.close()


def _about(dead: DeadLetter, when: float) -> Letter:
    record = dead.original
    if record.topic == topics.UPLOADS.name:
        return Letter(dead, when, uri=_uploaded(record))
    places = [record.headers.get("chunk"), record.headers.get("cell"), None if dead.referred else record.value]
    said: dict[str, Any] = next((body for place in places if (body := _json(place or b""))), {})
    asset: Any = said.get("asset")
    uri: Any = None
    if isinstance(asset, dict):
        asset, uri = asset.get("id"), asset.get("uri")
    if not isinstance(asset, str) and record.topic in ABOUT_ASSETS:
        asset = (record.key or b"").decode(errors="replace").split("/", 1)[0] or None
    return Letter(dead, when, _text(asset), _text(said.get("run")), _text(uri))


def _uploaded(record: Record) -> str | None:
    """The URI that an upload names; of several the first, and how many more there are."""
    try:
        found = parse_upload(record.value, record.headers, position=record.place)
    except WireError:
        return None
    if isinstance(found, Ignored):
        return None
    return found[0].uri if len(found) == 1 else f"{found[0].uri} and {len(found) - 1} more"


def _json(value: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
