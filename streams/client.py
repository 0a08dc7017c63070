"""What the commands do on Kafka: publish uploads, follow them to their final event, look up what is known."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas import cloudevents
from schemas.events import ContentMetadata
from schemas.reactions import Progress
from schemas.types import SCHEMA_OF, EventType
from streams import topics
from streams.connect import QUIET, watermarks
from streams.groups import COMMANDS
from streams.producer import Deliveries, make_producer
from streams.secure import Bootstrap, connection

POLL_SECONDS = 0.2


@dataclass(slots=True)
class Upload:
    """One asked-for analysis, and what has become of it so far."""

    uri: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    asset: str | None = None
    run: str | None = None
    stage: str = "queued"
    progress: float = 0.0
    metadata: ContentMetadata | None = None
    refused: str | None = None
    """Why the upload event went to the dead letters."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.metadata is not None or self.refused is not None


def publish(bootstrap: Bootstrap, uploads: Iterable[Upload], **request: Any) -> None:
    """Publish one upload event each. ``request`` holds the optional fields (:class:`schemas.uploads.UploadData`)."""
    body = {name: value for name, value in request.items() if value is not None}
    deliveries = Deliveries(make_producer(bootstrap))
    for upload in uploads:
        head = cloudevents.headers(
            id=upload.id,
            type=EventType.UPLOAD,
            source="dailies/cli",
            subject=upload.uri,
            time=datetime.now(UTC).isoformat(),
            schema=SCHEMA_OF[EventType.UPLOAD],
        )
        value = orjson.dumps({"uri": upload.uri, **body})
        deliveries.produce(topics.UPLOADS.name, key=upload.uri.encode(), value=value, headers=head)
    deliveries.flush_all()


class Follower:
    """Follows uploads through media.assets, media.reactions, media.metadata and the dead letters, from now on.

    ``away`` says whether Kafka is out of reach just now: what it holds is told of when it is back.
    """

    TOPICS = (topics.ASSETS, topics.REACTIONS, topics.METADATA, topics.DEAD_LETTERS)

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._bootstrap = bootstrap
        self._consumer = make_consumer(bootstrap, error_cb=self._failed)
        self.away = False
        here = [TopicPartition(t.name, p) for t in self.TOPICS for p in range(t.partitions)]
        for place in here:
            place.offset = watermarks(self._consumer, place)[1]
        self._consumer.assign(here)

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _failed(self, error: KafkaError) -> None:
        self.away = self.away or error.code() == KafkaError._ALL_BROKERS_DOWN

    def _is_back(self) -> bool:
        try:
            return bool(self._consumer.list_topics(timeout=POLL_SECONDS).brokers)
        except KafkaException:
            return False

    def step(self, uploads: list[Upload]) -> bool:
        """Hear one message, if one comes soon. True if it changed one of the uploads."""
        if self.away:
            self.away = not self._is_back()
        message = self._consumer.poll(POLL_SECONDS)
        if message is None or message.error():
            return False
        head = cloudevents.as_mapping(message.headers())
        match message.topic():
            case topics.ASSETS.name:
                return self._planned(uploads, message)
            case topics.REACTIONS.name:
                return self._progress(uploads, message)
            case topics.METADATA.name:
                return _final(uploads, ContentMetadata.model_validate_json(message.value() or b""))
            case _:
                return _refused(uploads, head)

    def _planned(self, uploads: list[Upload], message: Message) -> bool:
        body = orjson.loads(message.value() or b"{}")
        for upload in uploads:
            if upload.id == body.get("caused_by"):  # a cancellation has none
                upload.asset, upload.run = body["asset"]["id"], body["run"]
                return True
        return False

    def _progress(self, uploads: list[Upload], message: Message) -> bool:
        body = orjson.loads(message.value() or b"{}")
        if "stage" not in body:
            return False
        told = Progress.model_validate(body)
        mine = [u for u in uploads if u.run == told.run]
        for upload in mine:
            upload.stage, upload.progress = told.stage, told.progress
            if told.stage == "complete" and upload.metadata is None:
                # A later run's event may have taken the place of this one's, which is compacted away then.
                known = find(self._bootstrap, told.asset.id, run=told.run)
                upload.metadata = known or find(self._bootstrap, told.asset.id)
        return bool(mine)


def _final(uploads: list[Upload], event: ContentMetadata) -> bool:
    mine = [u for u in uploads if u.run == event.run.id or u.id == event.run.caused_by]
    for upload in mine:
        upload.metadata, upload.stage, upload.progress = event, event.run.status, 1.0
        upload.asset, upload.run = event.asset.id, event.run.id
    return bool(mine)


def _refused(uploads: list[Upload], head: cloudevents.Headers) -> bool:
    place = "/".join(head.get(f"dl_{name}", b"").decode() for name in ("topic", "partition", "offset"))
    for upload in uploads:
        if upload.id.encode() in head.values() or upload.id == place:
            upload.refused = head.get("dl_message", b"the upload event could not be read").decode(errors="replace")
            return True
    return False


def make_consumer(bootstrap: Bootstrap, **config: Any) -> Consumer:
    """A consumer that belongs to no group and commits nothing. Its connection trouble is told to ``error_cb`` alone."""
    return Consumer(
        {
            **connection(bootstrap),
            "group.id": f"{COMMANDS}{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "enable.partition.eof": False,
            **config,
        },
        logger=QUIET,
    )


def read_all(bootstrap: Bootstrap, topic: topics.Topic) -> Iterator[Message]:
    """Every record that the topic holds now, partition by partition."""
    consumer = make_consumer(bootstrap)
    try:
        for partition in range(topic.partitions):
            place = TopicPartition(topic.name, partition, OFFSET_BEGINNING)
            low, high = watermarks(consumer, place)
            if low == high:
                continue
            consumer.assign([place])
            while consumer.position([place])[0].offset < high:
                message = consumer.poll(POLL_SECONDS)
                if message is not None and not message.error():
                    yield message
    finally:
        consumer.close()


def find(bootstrap: Bootstrap, asset: str, *, run: str | None = None) -> ContentMetadata | None:
    """The newest final event of an asset, by its id, the start of its id, or its URI; None if there is none yet."""
    found, newest = None, -1
    for message in read_all(bootstrap, topics.METADATA):
        value, when = message.value() or b"", message.timestamp()[1]
        # The asset comes first in the event: its id and URI are near the start of the value.
        if (message.key() or b"").startswith(asset.encode()) or asset.encode() in value[:4000]:
            event = ContentMetadata.model_validate_json(value)
            named = event.asset.id.startswith(asset) or event.asset.uri == asset
            if named and run in (None, event.run.id) and when >= newest:  # versions of one URI lie in several partitions
                found, newest = event, when
    return found


def finished(bootstrap: Bootstrap) -> Iterator[bytes]:
    """The newest final event of every asset (each version of an object is one), as JSON; one at a time in memory."""
    newest: dict[bytes, tuple[int, int]] = {}
    for message in read_all(bootstrap, topics.METADATA):
        newest[message.key() or b""] = _place(message)
    for message in read_all(bootstrap, topics.METADATA):
        value = message.value()
        if value is not None and newest.get(message.key() or b"") == _place(message):
            yield value


def _place(message: Message) -> tuple[int, int]:
    return int(message.partition() or 0), int(message.offset() or 0)
