"""Connections for administration: a quiet admin client, a group's committed offsets, and whether a cluster serves."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.secure import Bootstrap, connection

RETRY_SECONDS = 0.1

GRACE_SECONDS = 5.0
"""How much later than its limit a request may be answered."""

_ELECTING = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)
"""A topic that was only just made, or whose broker has restarted."""

_MOVING = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._WAIT_COORD,
)
"""A group whose coordinator is only just being chosen."""

Place = tuple[str, int]
"""Topic and partition."""

QUIET = logging.getLogger("dailies.kafka-client")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False
"""For clients whose connection trouble is their caller's, who is told of it anyway."""


def admin_client(bootstrap: Bootstrap, **config: Any) -> AdminClient:
    """An admin client that keeps its own connection trouble to itself: what it asks for raises anyway."""
    return AdminClient({**connection(bootstrap), "socket.connection.setup.timeout.ms": 2000, **config}, logger=QUIET)


def cluster_id(bootstrap: Bootstrap, timeout: float = 1.0) -> str | None:
    """The id of the cluster that answers there with at least one broker, or None: a metadata answer, never a sleep."""
    try:
        client = admin_client(bootstrap, **{"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100})
        metadata = client.list_topics(timeout=timeout)
    except KafkaException:
        return None
    return str(metadata.cluster_id) if metadata.brokers else None


def answer(future: Future[Any], seconds: float) -> Any:
    """What a request to the broker has brought. ``seconds`` is the request's own limit.

    Raises ``KafkaException``, also where a client gives no answer at all: it must not be let go of while it is asked.
    """
    try:
        return future.result(timeout=seconds + GRACE_SECONDS)
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"no answer, not even a failure, in {seconds:.0f} s")) from None


def watermarks(consumer: Consumer, place: TopicPartition, timeout: float = 30.0) -> tuple[int, int]:
    """Where a partition's log begins and its next offset. Asks again while its leader is only just being chosen.

    Raises:
        KafkaException: no answer within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            low, high = consumer.get_watermark_offsets(place, timeout=max(RETRY_SECONDS, deadline - time.monotonic()))
        except KafkaException as error:
            if error.args[0].code() not in _ELECTING or time.monotonic() + RETRY_SECONDS > deadline:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            return low, high


def offsets(client: AdminClient, places: Iterable[Place], which: OffsetSpec, timeout: float) -> dict[Place, int]:
    """Where partitions' logs begin or end. Asks again while a leader is only just being chosen.

    Raises:
        KafkaException: no answer within ``timeout`` seconds.
    """
    asked = {TopicPartition(*place): which for place in places}
    if not asked:
        return {}
    deadline = time.monotonic() + timeout
    while True:
        answers = client.list_offsets(asked, request_timeout=timeout)
        try:
            return {(p.topic, p.partition): int(answer(future, timeout).offset) for p, future in answers.items()}
        except KafkaException as error:
            if error.args[0].code() not in _ELECTING or time.monotonic() + RETRY_SECONDS > deadline:
                raise
            time.sleep(RETRY_SECONDS)


class Bystander:
    """A client with a group's name that never joins the group, and so can read its offsets at any time.

    The admin client's ``list_consumer_group_offsets`` must not be used for that: while a group's coordinator is unknown,
    loading or moving, it ends the process by a segmentation fault (librdkafka issue 5040).
    """

    def __init__(self, bootstrap: Bootstrap, group: str) -> None:
        self._consumer = Consumer(
            {**connection(bootstrap), "group.id": group, "enable.auto.commit": False, "enable.auto.offset.store": False},
            logger=QUIET,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def committed(self, places: Iterable[Place], timeout: float) -> dict[Place, int]:
        """The group's next offset of every partition where it has committed one.

        Raises:
            KafkaException: no answer within ``timeout`` seconds, in which a coordinator that is not there yet is asked again.
        """
        asked = [TopicPartition(topic, partition) for topic, partition in places]
        if not asked:
            return {}
        deadline = time.monotonic() + timeout
        while True:
            try:
                found = self._consumer.committed(asked, timeout=max(RETRY_SECONDS, deadline - time.monotonic()))
            except KafkaException as error:
                if error.args[0].code() not in _MOVING or time.monotonic() + RETRY_SECONDS > deadline:
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

    def close(self) -> None:
        """Lets go of the connections."""
        self._consumer.close()
