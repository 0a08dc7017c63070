"""What the budget asks Kafka: where groups are, where logs begin, how many decoders there are; and the deleting itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.connect import Bystander, Place, answer, offsets
from streams.log import CLIENT_LOGGER, get_logger
from streams.secure import Bootstrap, connection

_log = get_logger(__name__)

_SECONDS = 10.0
"""Limit of one request to the broker."""

_NOT_EMPTY = (KafkaError.NON_EMPTY_GROUP, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS)
"""A group with live members refuses an offset from outside: it is known by its members then."""

_STALE = (KafkaError.FENCED_LEADER_EPOCH, KafkaError._TIMED_OUT)
"""A client that met a cluster in the middle of a change may not find its way again: it asks under an old leader's epoch for
ever, or gives no answer. Another client does."""


class ChunkLog:
    """The chunk topics as an administrator sees them. Methods raise ``KafkaException`` where the broker does not answer."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._bootstrap = bootstrap
        self._admin = self._connected()
        self._bystanders: dict[str, Bystander] = {}
        self._lock = threading.Lock()

    def _connected(self) -> AdminClient:
        return AdminClient(connection(self._bootstrap), logger=logging.getLogger(CLIENT_LOGGER))

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            for bystander in self._bystanders.values():
                bystander.close()
            self._bystanders.clear()

    def starts(self, tps: Iterable[Place]) -> dict[Place, int]:
        """Where each log begins."""
        return self._offsets(tps, OffsetSpec.earliest())

    def ends(self, tps: Iterable[Place]) -> dict[Place, int]:
        """The next offset of each log."""
        return self._offsets(tps, OffsetSpec.latest())

    def _offsets(self, tps: Iterable[Place], spec: OffsetSpec) -> dict[Place, int]:
        with self._asking() as client:
            return offsets(client, tps, spec, _SECONDS)

    @contextmanager
    def _asking(self) -> Iterator[AdminClient]:
        client = self._admin  # another thread may put a new one in its place; this one must live until it has answered
        try:
            yield client
        except KafkaException as error:
            if error.args[0].code() in _STALE:
                self._admin = self._connected()
            raise

    def members(self, groups: Iterable[str]) -> dict[str, int]:
        """How many members each group has; 0 for one that does not exist."""
        asked = sorted(set(groups))
        if not asked:
            return {}
        with self._asking() as client:
            answers = client.describe_consumer_groups(asked, request_timeout=_SECONDS)
            return {group: _count(future) for group, future in answers.items()}

    def committed(self, group: str, tps: Iterable[Place]) -> dict[Place, int]:
        """The group's next offset of every partition where it has committed one."""
        with self._lock:
            if group not in self._bystanders:
                self._bystanders[group] = Bystander(self._bootstrap, group)
            try:
                return self._bystanders[group].committed(tps, _SECONDS)
            except KafkaException as error:
                if error.args[0].code() in _STALE:
                    self._bystanders.pop(group).close()
                raise

    def register(self, group: str, tps: Iterable[Place]) -> bool:
        """Make a group known to the broker as a reader of these partitions, from where their logs begin.

        Where the group has committed already it is left as it is. False if it could not be done everywhere because the
        group has members just now: those make it known too, but only as long as they live.
        """
        wanted = list(tps)
        known = self.committed(group, wanted)
        new = [tp for tp in wanted if tp not in known]
        if not new:
            return True
        begins = self.starts(new)
        places = [TopicPartition(topic, partition, begins[topic, partition]) for topic, partition in new]
        asked = ConsumerGroupTopicPartitions(group, places)
        try:
            with self._asking() as client:
                told = answer(client.alter_consumer_group_offsets([asked], request_timeout=_SECONDS)[group], _SECONDS)
            errors = [p.error for p in told.topic_partitions if p.error is not None]
        except KafkaException as error:
            errors = [error.args[0]]
        if any(error.code() not in _NOT_EMPTY for error in errors):
            raise KafkaException(errors[0])
        if not errors:
            _log.info("group registered", group=group, topic=wanted[0][0], partitions=len(new))
        return not errors

    def delete(self, below: Mapping[Place, int]) -> dict[Place, int]:
        """Delete the records below each offset; where the logs begin then."""
        if not below:
            return {}
        places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in below.items()]
        with self._asking() as client:
            answers = client.delete_records(places, request_timeout=_SECONDS, operation_timeout=_SECONDS)
            return {(tp.topic, tp.partition): int(answer(future, _SECONDS).low_watermark) for tp, future in answers.items()}


def _count(future: Future[Any]) -> int:
    try:
        return len(answer(future, _SECONDS).members)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return 0
        raise
