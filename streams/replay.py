"""Replaying dead letters: what could not be processed is given another chance, once its cause is removed.

What a replay publishes depends on where the original lay:

- an upload, or an event of media.assets: the original again, on its topic;
- a job, a chunk or a result: chunks are no archive and a closed run keeps no state, so the asset is analysed anew. An upload
  event asks for it, for the same tasks, profiles, priority and correlation, with a cause that makes it a run of its own; one
  for all letters of the asset.

The cause is made of the run that the letters come from and of how often that was replayed, and letters are marked after the
event is published: so a replay that is repeated after a crash asks for the same run, which is analysed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from schemas import cloudevents
from schemas.errors import WireError
from schemas.events import ContentMetadata
from schemas.ids import identity
from schemas.types import SCHEMA_OF, EventType
from schemas.uploads import Ignored, parse_upload
from streams import letterbox, topics
from streams.client import Upload, read_all
from streams.letterbox import ABOUT_ASSETS, Letter, NoSuchLetter, Replayed
from streams.producer import Delivered, Deliveries, make_producer
from streams.record import Record
from streams.secure import Bootstrap

REPLAY_OF = "replay_of"
"""The header of a record that is published again: the letter's id."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for of an asset: the optional fields of its upload event."""

    uri: str
    run: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Replay:
    """One event that is to be published, and the letters that it answers. ``times`` is the how-manieth replay this is."""

    letters: tuple[Letter, ...]
    what: str
    topic: str
    key: bytes | None
    value: bytes
    headers: Mapping[str, bytes]
    times: int


@dataclass(frozen=True, slots=True)
class Replays:
    """What is to be published, and why some letters cannot be replayed."""

    todo: tuple[Replay, ...]
    refused: tuple[str, ...]


def requests(bootstrap: Bootstrap, assets: set[str]) -> dict[str, list[Request]]:
    """What was asked for, by asset: as final events tell it first, then as the plans of the last days do, in their order."""
    found: dict[str, list[Request]] = {asset: [] for asset in assets}
    if not assets:
        return found
    for topic, read in ((topics.METADATA, _of_event), (topics.ASSETS, _of_plan)):
        for record in sorted(_about(bootstrap, topic, assets), key=lambda record: record.timestamp):
            request = read(record.value)
            if request is not None:
                found[(record.key or b"").decode()].append(request)
    return found


def _about(bootstrap: Bootstrap, topic: topics.Topic, assets: set[str]) -> Iterable[Record]:
    keys = {asset.encode() for asset in assets}
    return (Record.from_confluent(m) for m in read_all(bootstrap, topic) if (m.key() or b"") in keys)


def _of_plan(value: bytes) -> Request | None:
    body = orjson.loads(value)
    if not isinstance(body.get("asset"), dict):  # a cancellation
        return None
    fields = {name: body.get(name) for name in ("profiles", "priority", "correlation")}
    return Request(body["asset"]["uri"], body["run"], fields | {"tasks": body.get("tasks_wanted")})


def _of_event(value: bytes) -> Request:
    event = ContentMetadata.model_validate_json(value)
    fields = {
        "tasks": [producer.name for producer in event.producers if producer.name != "decode"] or None,
        "profiles": [verdict.profile for verdict in event.verdicts] or None,
        "correlation": event.correlation.model_dump(mode="json", exclude_none=True),
    }
    return Request(event.asset.uri, event.run.id, fields)


def prepare(
    chosen: Sequence[Letter],
    known: Sequence[Letter],
    asked: Mapping[str, Sequence[Request]],
    original: Callable[[Letter], Record],
) -> Replays:
    """What the replay of some letters publishes; ``known`` are all that there are, ``asked`` what was asked for, by asset."""
    todo: list[Replay] = []
    refused: list[str] = []
    done: set[str] = set()
    for letter in chosen:
        topic = letter.dead.original.topic
        try:
            if topic in (topics.UPLOADS.name, topics.ASSETS.name):
                todo.append(_again(letter, original(letter)))
            elif topic in ABOUT_ASSETS and letter.asset:
                if letter.asset not in done:
                    done.add(letter.asset)
                    todo.append(_anew(letter.asset, chosen, known, asked.get(letter.asset, ())))
            else:
                raise NoSuchLetter(f"{letter.id[:12]}: nothing is known of what {letter.dead.original.place} was")
        except NoSuchLetter as error:
            refused.append(str(error))
    return Replays(tuple(todo), tuple(refused))


def _again(letter: Letter, record: Record) -> Replay:
    """The original once more, as it was."""
    headers = {**record.headers, REPLAY_OF: letter.id.encode()}
    what = f"{letter.uri or record.place} again on {record.topic}"
    return Replay((letter,), what, record.topic, record.key, record.value, headers, _times([letter]) + 1)


def _anew(asset: str, chosen: Sequence[Letter], known: Sequence[Letter], asked: Sequence[Request]) -> Replay:
    """An upload event that has the asset analysed anew; it answers all letters of the asset's jobs, chunks and results."""
    if not asked:
        raise NoSuchLetter(f"of asset {asset} neither a plan nor a final event is kept: ingest its source again")
    mine, meant = (
        [letter for letter in some if letter.asset == asset and letter.dead.original.topic in ABOUT_ASSETS]
        for some in (known, chosen)
    )
    newest = max(meant, key=lambda letter: letter.when)
    request = next((one for one in reversed(asked) if one.run == newest.run), asked[-1])
    run = newest.run or request.run
    times = _times([letter for letter in mine if letter.run in (run, None)])
    cause = f"dead letters of run {run}" + (f", replay {times + 1}" if times else "")
    body = {"uri": request.uri, **request.fields, "reanalysis": {"cause": cause}}
    headers = cloudevents.headers(
        id=identity("replay", asset, cause),
        type=EventType.UPLOAD,
        source="dailies/cli",
        subject=request.uri,
        time=datetime.now(UTC).isoformat(),
        schema=SCHEMA_OF[EventType.UPLOAD],
    )
    value = orjson.dumps({name: field for name, field in body.items() if field is not None})
    what = f"{request.uri} analysed anew for {len(mine)} letter{'s' if len(mine) > 1 else ''}"
    return Replay(tuple(mine), what, topics.UPLOADS.name, request.uri.encode(), value, headers, times + 1)


def _times(letters: Iterable[Letter]) -> int:
    return max((replayed.times for letter in letters for replayed in letter.replays), default=0)


def perform(bootstrap: Bootstrap, replays: Sequence[Replay]) -> list[Upload]:
    """Publish the replays, then mark their letters; the uploads that can be followed. Raises ``DeliveryFailed``."""
    producer = make_producer(bootstrap)
    deliveries = Deliveries(producer)
    for number, one in enumerate(replays):
        deliveries.produce(one.topic, key=one.key, value=one.value, headers=one.headers, token=number)
    places = deliveries.flush_all()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    marks = Deliveries(producer)
    for number, one in enumerate(replays):
        event = one.headers.get("ce_id", _place(places[number]).encode()).decode(errors="replace")
        for letter in one.letters:
            letterbox.mark(marks, letter, Replayed(now, event, one.times))
    marks.flush_all()
    return [upload for number, one in enumerate(replays) for upload in _followed(one, _place(places[number]))]


def _place(delivered: Delivered) -> str:
    return f"{delivered.topic}/{delivered.partition}/{delivered.offset}"


def _followed(replay: Replay, place: str) -> list[Upload]:
    if replay.topic != topics.UPLOADS.name:
        body = orjson.loads(replay.value) if replay.value.startswith(b"{") else {}
        plan = isinstance(body.get("asset"), dict)
        return [Upload(body["asset"]["uri"], body.get("caused_by", place), run=body.get("run"))] if plan else []
    try:
        found = parse_upload(replay.value, replay.headers, position=place)
    except WireError:
        return [Upload(place, replay.headers.get("ce_id", place.encode()).decode(errors="replace"))]
    return [] if isinstance(found, Ignored) else [Upload(one.uri, one.id) for one in found]
