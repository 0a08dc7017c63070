"""The aggregator as a Faust app: one agent on both of its topics, one durable table."""

from __future__ import annotations

import functools
from typing import Any

import faust
from faust.types import TopicT

from processors.sidecar import SidecarWriter
from schemas.cloudevents import Headers
from streams import topics
from streams.aggregator.service import Service
from streams.app import make_app, raw_topic
from streams.deadletters import DeadLetters
from streams.durable import DurableTable
from streams.guard import Guard
from streams.record import Record
from streams.settings import Settings


def make(settings: Settings, bootstrap: str) -> faust.App:
    """The aggregator's app, not yet started."""
    app = make_app(topics.AGGREGATOR_APP, settings, bootstrap=bootstrap)
    table: DurableTable[str, bytes] = DurableTable(
        app,
        name=topics.AGGREGATOR_TABLE,
        partitions=topics.AGGREGATOR_CHANGELOG.partitions,
        key_type=str,
        value_type=bytes,
    )
    to = functools.lru_cache(maxsize=None)(functools.partial(raw_topic, app))

    async def emit(topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        target: TopicT = to(topic)
        await (await target.send(key=key, value=value, headers=headers))

    service = Service(table, SidecarWriter(settings.sidecars()), emit)

    async def partitions_moved(*_: Any, **__: Any) -> None:
        service.forget()

    app.on_partitions_revoked.connect(partitions_moved, weak=False)
    app.on_partitions_assigned.connect(partitions_moved, weak=False)

    async def aggregate(record: Record) -> None:
        await service.handle(dict(record.headers), record.value)

    guard = Guard(app, "aggregator", DeadLetters(app), tables=(table,))
    # One topic object for both: an agent on each would take an asset's events on two streams at once.
    app.agent(raw_topic(app, topics.ASSETS.name, topics.INFERENCES.name))(guard.agent(aggregate))
    return app
