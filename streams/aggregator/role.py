"""The aggregator as a Faust app: one agent on both of its topics, one durable table."""

from __future__ import annotations

import functools
from typing import Any, cast

import faust

from processors.sidecar import SidecarWriter
from streams import topics
from streams.aggregator.service import Service
from streams.app import make_app, publish, raw_topic
from streams.deadletters import DeadLetters
from streams.durable import DurableTable
from streams.guard import Guard
from streams.record import Record
from streams.settings import Settings


def make(settings: Settings, bootstrap: str) -> faust.App:
    """The aggregator's app, not yet started."""
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
    service = Service(table, SidecarWriter(settings.sidecars()), functools.partial(publish, app))

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
