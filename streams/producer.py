"""The confluent-kafka producer as every part of Dailies uses it, and the bookkeeping that proves a delivery."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.errors import DeliveryFailed
from streams.log import CLIENT_LOGGER, get_logger
from streams.secure import Bootstrap, connection
from streams.topics import MAX_MESSAGE_BYTES

_log = get_logger(__name__)

QUEUE_KIB = 96 << 10
"""What may wait in a producer for the broker, in KiB: some hundred chunks' worth would only be memory."""

_POLL_SECONDS = 0.01


def producer_config(bootstrap: Bootstrap, **overrides: Any) -> dict[str, Any]:
    """The settings of an idempotent producer whose keys land on the same partitions as a Java or Faust producer's.

    There is no compression: raw planes and samples hardly shrink, and the time is the decoder's. One request at a time is under
    way to a broker: where several are, one may be refused while the next is taken, by a broker that just came back and
    knows nothing of the producer. The first is then taken for a repetition and acknowledged without being there.
    """
    return {
        **connection(bootstrap),
        "enable.idempotence": True,
        "acks": "all",
        "max.in.flight": 1,
        "partitioner": "murmur2_random",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "queue.buffering.max.kbytes": QUEUE_KIB,
        "compression.type": "none",
        "linger.ms": 2,
        "delivery.timeout.ms": 120_000,
        "socket.nagle.disable": True,
        "error_cb": _on_error,
        **overrides,
    }


def make_producer(bootstrap: Bootstrap, **overrides: Any) -> Producer:
    """A producer with :func:`producer_config`."""
    return Producer(producer_config(bootstrap, **overrides), logger=logging.getLogger(CLIENT_LOGGER))


def _on_error(error: KafkaError) -> None:
    _log.warning("kafka", error=error.str(), code=error.name(), fatal=error.fatal())


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


Value = bytes | bytearray | memoryview | np.ndarray[Any, Any]
OnReport = Callable[[Delivered | None], None]
"""Told where a record lies, or None if it was refused."""


class Deliveries:
    """The records that belong together, e.g. those of one job: produced, then proved to be in Kafka.

    :meth:`produce` only queues. Nothing that caused these records may be committed before :meth:`flush_all` has returned.
    Several objects may share one producer, each in a thread of its own; a delivery report may be served by any thread
    that polls the producer.
    """

    def __init__(self, producer: Producer, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        self._producer = producer
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._waiting = 0
        self._delivered: dict[Hashable, Delivered] = {}
        self._error: str | None = None

    def produce(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: Value | None,
        headers: Mapping[str, bytes],
        token: Hashable = None,
        on_report: OnReport | None = None,
    ) -> None:
        """Queue one record; waits while the producer's queue is full. ``token`` names it in what :meth:`flush_all` gives.

        Raises ``DeliveryFailed`` if this record, or one before it, is refused.
        """
        self._raise_if_failed()
        report = self._reporter(token, on_report)
        with self._lock:
            self._waiting += 1
        try:
            self._queue(topic, key, _producible(value), headers, report)
        except DeliveryFailed:
            self._count(None, None, on_report)
            raise
        self._producer.poll(0)

    def _queue(self, topic: str, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes], report: Any) -> None:
        pairs = cast(Any, list(headers.items()))
        while not self._cancelled():
            try:
                return self._producer.produce(topic, value=value, key=key, headers=pairs, on_delivery=report)
            except BufferError:
                self._producer.poll(_POLL_SECONDS)
            except KafkaException as error:
                raise DeliveryFailed(f"{topic}: {error}") from error
        raise DeliveryFailed(f"{topic}: given up before it was queued")

    def _reporter(self, token: Hashable, on_report: OnReport | None) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, message: Message) -> None:
            if error is None:
                place = Delivered(cast(str, message.topic()), cast(int, message.partition()), cast(int, message.offset()))
                self._count(token, place, on_report)
            else:
                self._error = self._error or f"{message.topic()}: {error.str()}"
                self._count(token, None, on_report)

        return report

    def _count(self, token: Hashable, place: Delivered | None, on_report: OnReport | None) -> None:
        if on_report is not None:
            on_report(place)
        with self._lock:
            self._waiting -= 1
            if token is not None and place is not None:
                self._delivered[token] = place

    def flush_all(self, timeout: float | None = None) -> dict[Hashable, Delivered]:
        """Wait until every record is acknowledged; the places of those with a token.

        Raises ``DeliveryFailed`` if one was refused, on ``timeout`` (seconds), and if cancelled meanwhile.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._waiting:
            if self._cancelled():
                raise DeliveryFailed("given up before everything was acknowledged")
            if deadline is not None and time.monotonic() > deadline:
                raise DeliveryFailed(f"{self._waiting} records not acknowledged within {timeout} s")
            self._producer.poll(_POLL_SECONDS)
        self._raise_if_failed()
        with self._lock:
            return dict(self._delivered)

    def _raise_if_failed(self) -> None:
        if self._error is not None:
            raise DeliveryFailed(self._error)


def _producible(value: Value | None) -> bytes | None:
    """What the client takes without a copy of ours: bytes or an array; it refuses a memoryview and a bytearray."""
    if isinstance(value, memoryview | bytearray):
        return cast(bytes, np.frombuffer(value, np.uint8))
    return cast("bytes | None", value)
