"""The aggregator as a Faust app: one agent on both of its topics, one durable table."""

from __future__ import annotations

import functools
import uuid
from datetime import UTC, datetime
from typing import Any, cast

import faust
from aiokafka.errors import KafkaError

from processors.sidecar import SidecarWriter
from schemas import cloudevents
from schemas.types import EventType
from streams import topics
from streams.aggregator.jobs import Repairs
from streams.aggregator.repair import Observer
from streams.aggregator.service import Service
from streams.app import make_app, publish, raw_topic
from streams.deadletters import DeadLetters
from streams.durable import DurableTable
from streams.guard import Guard, ProcessLost, Retries
from streams.log import get_logger
from streams.metrics import Aggregating
from streams.record import Record
from streams.secure import Bootstrap
from streams.settings import Settings
from streams.surroundings import REFUSED_SECONDS
from streams.vitals import Vitals

logger = get_logger(__name__)


def make(settings: Settings, bootstrap: Bootstrap, *, vitals: Vitals | None = None) -> faust.App:
    """The aggregator's app, not yet started."""
    vitals = vitals or Vitals()
    metrics = Aggregating(vitals.registry)
    app = make_app(topics.AGGREGATOR_APP, settings, bootstrap=bootstrap)
    table = cast(
        DurableTable[str, bytes],
        app.Table(
            topics.AGGREGATOR_TABLE,
            key_type=str,
            value_type=bytes,
            partitions=topics.AGGREGATOR_CHANGELOG.partitions,
        ),
    )
    observer = Observer(bootstrap)

    async def persist() -> None:
        try:
            await table.flushed()
        except Exception as error:  # the table in memory is ahead of its changelog: only a recovery mends that
            raise ProcessLost("the table's changelog was not delivered") from error

    service = Service(
        table,
        SidecarWriter(settings.sidecars()),
        functools.partial(publish, app),
        persist=persist,
        repairs=Repairs(observer, settings.attempts, settings.repair_after_seconds),
        metrics=metrics,
    )

    async def partitions_moved(*_: Any, **__: Any) -> None:
        service.forget()

    app.on_partitions_revoked.connect(partitions_moved, weak=False)
    app.on_partitions_assigned.connect(partitions_moved, weak=False)

    async def aggregate(record: Record) -> None:
        await service.handle(dict(record.headers), record.value)

    async def look() -> None:
        """A timer may not write tables: it sends the moment as an event, which is handled in turn with the others."""
        metrics.in_flight(service.in_flight())
        mine = [tp.partition for tp in app.consumer.assignment() if tp.topic == topics.INFERENCES.name]
        if not (service.busy and mine):
            return
        now = datetime.now(UTC).isoformat()
        head = cloudevents.headers(
            id=str(uuid.uuid4()), type=EventType.TICK, source="dailies/aggregator", subject="tick", time=now
        )
        try:
            await publish(app, topics.INFERENCES.name, None, b"{}", head, partition=min(mine))
        except KafkaError as error:
            logger.warning("not looked for lost results", error=repr(error))

    async def close_observer(*_: Any, **__: Any) -> None:
        observer.close()

    app.timer(settings.repair_look_seconds)(look)
    app.on_before_shutdown.connect(close_observer, weak=False)
    letters = DeadLetters(app, sent=vitals.dead_lettered)
    retries = Retries(settings.attempts, refused=REFUSED_SECONDS)
    guard = Guard(app, "aggregator", letters, retries, tables=(table,), settled=vitals.settled, retried=vitals.retried)
    # One topic object for both: an agent on each would take an asset's events on two streams at once.
    app.agent(raw_topic(app, topics.ASSETS.name, topics.INFERENCES.name))(guard.agent(aggregate))
    return app
