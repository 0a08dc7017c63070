"""Where decode jobs come from. The one place that knows it is a Kafka consumer group, so that it can change."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.decoder.offsets import TP, OffsetTracker, Ticket
from streams.groups import DECODERS, STATIC_SESSION_SECONDS
from streams.log import CLIENT_LOGGER, get_logger
from streams.record import Record
from streams.secure import Bootstrap, connection
from streams.topics import MAX_MESSAGE_BYTES, SEGMENTS, SEGMENTS_URGENT, Topic

MEMBERS_EACH = 2
"""Members of the group that each decoder is: one per topic. The sticky assignment balances the sum over a member's topics, so
that a single member of both could get all of one topic and nothing of the other."""

MAX_OPEN = 32
"""Jobs of one partition that may be begun behind an unfinished one: what a crash repeats at most."""

SESSION_MS = 8_000
"""After so long without a heartbeat a decoder is taken for dead and its jobs go to the others."""

REBALANCE_MS = 30_000
"""How long a rebalance waits for a member that does not take part in it; the client's own 300 s would hold up all jobs of
the partitions that move. It is also how long a member may go without a poll, which comes twenty times a second."""

STATISTICS_MS = 1_000
"""How often each client says what it knows of the ends of its logs and of its brokers."""

LOST_SECONDS = 30.0
"""A client that has reached no broker for so long, while another one of the same process has all the time, never will again."""

_BUFFER = 4
"""Jobs of one partition read ahead; then the partition is paused."""

_log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class JobMessage:
    """One message of a segments topic. ``abandoned`` is set once its partition belongs to another decoder."""

    record: Record
    ticket: Ticket
    abandoned: threading.Event = field(default_factory=threading.Event)

    @property
    def rank(self) -> tuple[bool, float, int]:
        """Urgent ones first, then the oldest."""
        return self.record.topic != SEGMENTS_URGENT.name, self.record.timestamp, self.record.offset


def consumer_config(bootstrap: Bootstrap) -> dict[str, Any]:
    """A member of the decoder group: commits by hand, from the earliest job on.

    The classic group protocol, not KIP-848's: there a killed member's jobs wait for the broker's session timeout (45 s, and
    only the cluster's administrator may lower it), here for ours. Cooperative assignment moves only the partitions that
    must move, so that no other job is abandoned.
    """
    return {
        **connection(bootstrap),
        "group.id": DECODERS,
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": SESSION_MS // 4,
        "max.poll.interval.ms": REBALANCE_MS,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": 4096,
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "fetch.wait.max.ms": 100,
        "statistics.interval.ms": STATISTICS_MS,
    }


def _lasting(instance_id: str | None, topic: Topic) -> dict[str, Any]:
    """What makes a member static: it is two members, so the topic is in its name."""
    if instance_id is None:
        return {}
    session = STATIC_SESSION_SECONDS * 1000
    return {
        "group.instance.id": f"{instance_id}-{topic.name}",
        "session.timeout.ms": session,
        "max.poll.interval.ms": max(REBALANCE_MS, session),
    }


class JobSource:
    """The jobs of this member, urgent ones first, then the oldest.

    One thread calls :meth:`poll` all the time, however long jobs take: that keeps the membership, and commits. Any thread
    may :meth:`take` a job and say that it is :meth:`done`, once everything the job made is in Kafka. ``on_abandoned``
    is called in the polling thread with each job whose partition was taken away.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        *,
        on_assigned: Callable[[], None],
        on_abandoned: Callable[[JobMessage], None],
        instance_id: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        **overrides: Any,
    ) -> None:
        self._on_assigned = on_assigned
        self._on_abandoned = on_abandoned
        self._tracker = OffsetTracker()
        self._buffers: dict[TP, deque[JobMessage]] = {}
        self._paused: set[TP] = set()
        self._open: set[JobMessage] = set()
        self._changed = threading.Condition()
        self._joined: set[Consumer] = set()
        self._unread: dict[str, int] = {}
        self._reached: dict[str, tuple[bool, float]] = {}
        self._clock = clock
        config = {**consumer_config(bootstrap), **overrides}
        self._consumers = {
            topic.name: self._subscribed(config | _lasting(instance_id, topic), topic) for topic in (SEGMENTS_URGENT, SEGMENTS)
        }

    def _subscribed(self, config: dict[str, Any], topic: Topic) -> Consumer:
        known = partial(self._known, topic.name)
        consumer = Consumer({**config, "stats_cb": known}, logger=logging.getLogger(CLIENT_LOGGER))
        consumer.subscribe([topic.name], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        return consumer

    def _known(self, topic: str, statistics: str) -> None:
        """What a client knows without asking (librdkafka's STATISTICS.md; an offset that is not known is negative)."""
        found = orjson.loads(statistics)
        partitions = found["topics"].get(topic, {"partitions": {}})["partitions"].items()
        with self._changed:
            mine = [facts for number, facts in partitions if self._tracker.owns((topic, int(number)))]
        self._unread[topic] = sum(p["fetchq_cnt"] + max(0, p["hi_offset"] - max(0, p["next_offset"])) for p in mine)
        reached = any(broker["state"] == "UP" for broker in found["brokers"].values())
        if topic not in self._reached or self._reached[topic][0] is not reached:
            self._reached[topic] = reached, self._clock()

    @property
    def behind(self) -> dict[str, int]:
        """Jobs that are not read, not done or not committed, by topic; ends of logs are those of the last fetches."""
        with self._changed:
            return {topic: unread + self._tracker.uncommitted(topic) for topic, unread in self._unread.items()}

    @property
    def away(self) -> bool:
        """Whether no broker is in reach."""
        return not all(reached for reached, _ in self._reached.values())

    def _check(self) -> None:
        """A connection to a broker that stood still may come up halfway, and librdkafka then waits on it without end: its
        member gets no partitions, and the jobs in them would wait as long. Only another client can do better, in another
        process.
        """
        long_ago = self._clock() - LOST_SECONDS
        settled = {reached for reached, since in self._reached.values() if since <= long_ago}
        if settled == {True, False}:
            lost = [topic for topic, (reached, _) in self._reached.items() if not reached]
            said = f"the client of {', '.join(lost)} reaches no broker, and the other one has for {LOST_SECONDS:.0f} s"
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, said))

    def poll(self, timeout: float) -> None:
        """Read what has come within ``timeout`` seconds, and commit what is done.

        Raises ``KafkaException`` if it is fatal: the process must end, and be started again.
        """
        for topic, consumer in self._consumers.items():
            message = consumer.poll(timeout if topic == SEGMENTS.name else 0)
            if message is not None:
                self._read(message)
        self._commit()
        self._balance()
        self._check()

    def _read(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.fatal():
                raise KafkaException(error)
            _log.warning("kafka", error=error.str(), code=error.name())
            return
        record = Record.from_confluent(message)
        tp = (record.topic, record.partition)
        with self._changed:
            ticket = self._tracker.taken(tp, record.offset)
            self._buffers.setdefault(tp, deque()).append(JobMessage(record, ticket))
            self._changed.notify()

    def take(self, timeout: float) -> JobMessage | None:
        """The next job, or None if there is none within ``timeout`` seconds."""
        with self._changed:
            if self._next() is None:
                self._changed.wait(timeout)
            buffer = self._next()
            if buffer is None:
                return None
            message = buffer.popleft()
            self._open.add(message)
            return message

    def _next(self) -> deque[JobMessage] | None:
        heads = (b for b in self._buffers.values() if b and self._begun(b[0].ticket.tp) < MAX_OPEN)
        return min(heads, key=lambda b: b[0].rank, default=None)

    def _begun(self, tp: TP) -> int:
        return self._tracker.span(tp) - len(self._buffers[tp])

    @property
    def assigned(self) -> int:
        """Partitions of the segments topics that are this member's."""
        with self._changed:
            return self._tracker.partitions

    @property
    def waiting(self) -> int:
        """Jobs that are read and not yet taken."""
        with self._changed:
            return sum(map(len, self._buffers.values()))

    def done(self, message: JobMessage) -> None:
        """Everything that the job made is in Kafka: its offset may be committed. Does nothing for an abandoned job."""
        with self._changed:
            self._open.discard(message)
            self._tracker.done(message.ticket)
            self._changed.notify()

    def _commit(self) -> None:
        with self._changed:
            positions = self._tracker.committable()
        if not positions:
            return
        for name, consumer in self._consumers.items():
            mine = {tp: position for tp, position in positions.items() if tp[0] == name}
            if mine and self._committed(consumer, mine):
                with self._changed:
                    for tp, position in mine.items():
                        self._tracker.committed(tp, position)

    @staticmethod
    def _committed(consumer: Consumer, positions: Mapping[TP, int]) -> bool:
        offsets = [TopicPartition(topic, partition, position) for (topic, partition), position in positions.items()]
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # Tried again at the next poll: a rebalance is under way, or the broker is away. Jobs may repeat, none is lost.
            _log.warning("commit failed", error=str(error))
            return False
        return True

    def _balance(self) -> None:
        """Pause partitions with enough read ahead, and resume those with room."""
        with self._changed:
            full = {tp for tp, buffer in self._buffers.items() if len(buffer) >= _BUFFER}
        for topic, partition in full - self._paused:
            self._consumers[topic].pause([TopicPartition(topic, partition)])
        for topic, partition in self._paused - full:
            self._consumers[topic].resume([TopicPartition(topic, partition)])
        self._paused = full

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        with self._changed:
            for p in partitions:
                self._tracker.assigned((p.topic, p.partition))
        _log.info("assigned", partitions=[f"{p.topic}/{p.partition}" for p in partitions])
        self._joined.add(consumer)
        if len(self._joined) == MEMBERS_EACH:
            self._on_assigned()

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._commit()
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = {(p.topic, p.partition) for p in partitions}
        if held := [TopicPartition(*tp) for tp in self._paused & gone]:
            # The client would remember the pause, and never read the partition again if it came back.
            consumer.resume(held)
        with self._changed:
            for tp in gone:
                self._tracker.revoked(tp)
                self._buffers.pop(tp, None)
            self._paused -= gone
            abandoned = [m for m in self._open if m.ticket.tp in gone]
            self._open.difference_update(abandoned)
        _log.info("revoked", partitions=[f"{topic}/{partition}" for topic, partition in sorted(gone)], jobs=len(abandoned))
        for message in abandoned:
            message.abandoned.set()
            self._on_abandoned(message)

    def close(self) -> None:
        """Commit what is done and leave the group; open jobs are abandoned and go to whoever comes next."""
        for consumer in self._consumers.values():
            self._commit()
            consumer.close()
