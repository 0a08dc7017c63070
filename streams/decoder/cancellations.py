"""Assets that were cancelled: their jobs are dropped, those at work included."""

from __future__ import annotations

import logging
import uuid

from confluent_kafka import OFFSET_END, Consumer, TopicPartition
from pydantic import ValidationError

from schemas import cloudevents
from schemas.plan import Cancel, Job
from schemas.types import EventType
from streams.groups import CANCELLATIONS
from streams.log import CLIENT_LOGGER, get_logger
from streams.secure import Bootstrap, connection
from streams.topics import ASSETS

_log = get_logger(__name__)

KEPT = 10_000
"""Cancellations remembered; the oldest go first. Whose is forgotten is decoded in vain, no more."""


class Cancellations:
    """Hears media.assets from now on, as every decoder does for itself. One thread polls; any thread may ask."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._known: dict[tuple[str, str | None], float] = {}
        config = {
            **connection(bootstrap),
            "group.id": f"{CANCELLATIONS}{uuid.uuid4()}",
            "enable.auto.commit": False,
        }
        self._consumer = Consumer(config, logger=logging.getLogger(CLIENT_LOGGER))
        self._consumer.assign([TopicPartition(ASSETS.name, p, OFFSET_END) for p in range(ASSETS.partitions)])

    def poll(self) -> None:
        """Hear what has come, without waiting."""
        for message in self._consumer.consume(100, timeout=0):
            if message.error() is None:
                at = message.timestamp()[1] / 1000
                self._hear(cloudevents.as_mapping(message.headers()), message.value() or b"", at)

    def _hear(self, headers: cloudevents.Headers, value: bytes, at: float) -> None:
        if headers.get("ce_type") != EventType.CANCEL.encode():
            return
        try:
            cancel = Cancel.model_validate_json(value)
        except ValidationError:
            return  # the aggregator puts it with the dead letters
        _log.info("jobs of a cancelled asset are dropped", asset=cancel.asset, run=cancel.run)
        self._known[cancel.asset, cancel.run] = at
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]

    def concern(self, job: Job, issued: float) -> bool:
        """Whether a job that was issued then (seconds since the epoch) was cancelled: its run was, or the asset later on."""
        whole = self._known.get((job.asset.id, None))
        return (job.asset.id, job.run) in self._known or (whole is not None and issued <= whole)

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()
