"""Faust's consumer without its stalls, and with acks that count only when the guard has given them.

Three causes of stalls in the stock consumer: when every partition's buffer is full it sleeps a fixed second; when only an
idle partition is left active it waits a second for that one; and the driver lets the broker hold a fetch for 1.5 s with one
fetch in flight per broker, so that an empty partition delays the others.

And the stock consumer commits what was never processed: the stream acks in a ``finally``, so an agent that is cancelled in
the middle of a message (a crash elsewhere in the worker) acks it, and a hole in the offsets is taken to include the message
behind it. Here an offset is committed only after :meth:`Consumer.settle`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import aiokafka
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import GroupCoordinatorNotAvailableError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message

from streams.log import get_logger

POLL_SECONDS = 0.01
"""How long the consumer waits before it looks again whether a full buffer has room."""

FETCH_WAIT_MS, IDLE_FETCH_WAIT_MS = 50, 500
"""How long the broker may hold a fetch back when there is nothing to read: one that leaves partitions out, which wait for the
next one as soon as they have room, and one that asks for all of them, which ends with the first record.
"""

SERVICE_LOGGER = logging.getLogger("faust.services")
"""Where Faust's own lines about these services go: by default a service logs as its module, and so at our level."""

logger = get_logger(__name__)


class Consumer(driver.Consumer):
    """The stock consumer, but for how it waits and what it commits."""

    logger = SERVICE_LOGGER

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._settled: defaultdict[TP, set[int]] = defaultdict(set)
        self._seeks = 0
        self._open: defaultdict[TP, set[int]] = defaultdict(set)
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:
        if self.flow_active and not self.app.client_only and not self._get_active_partitions():
            await self.sleep(POLL_SECONDS)
            return {}, set()
        if self._buffered_partitions:
            timeout = min(timeout, POLL_SECONDS)
        seeks = self._seeks
        records, active = await super()._wait_next_records(timeout)
        if records and seeks != self._seeks:
            # Fetched around a seek, before it or after it: to deliver them could skip what lies in front of them.
            await super().perform_seek()
            return {}, active
        for tp, found in (records or {}).items():
            if not self._is_changelog_tp(tp):
                self._open[tp].update(record.offset for record in found)
        return records, active

    async def perform_seek(self) -> None:
        """Go back to the committed offsets. Nothing flows from here on until the caller resumes the flow, as all do.

        At the end of a table's recovery the flow is already on. The stock consumer then goes on fetching during the seek, and
        what reaches the agents' buffers before the flow is resumed is thrown away there: a hole that stalls commits for good.
        """
        self.stop_flow()
        self._seeks += 1
        await super().perform_seek()

    def on_buffer_drop(self, tp: TP) -> None:
        """Read a partition again whose buffer has room.

        A callback may come after the partition was revoked, or while it is paused for a table's recovery: then it stays
        out, or the agent would see its messages before the table is whole.
        """
        if tp in self._paused_partitions or tp not in self.assignment():
            self._buffered_partitions.discard(tp)
        else:
            super().on_buffer_drop(tp)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget the revoked partitions, the settled offsets included (what is in work settles afterwards)."""
        self._buffered_partitions.difference_update(revoked)
        for tp in revoked:
            self._settled.pop(tp, None)
            self._open.pop(tp, None)
        await super().on_partitions_revoked(revoked)

    def settle(self, message: Message) -> None:
        """Say that a message is done with: its results, or its dead letter, are in Kafka. Only then is it committed."""
        self._settled[message.tp].add(message.offset)
        self._open[message.tp].discard(message.offset)

    def behind(self) -> dict[str, int]:
        """Records that are not read, not settled or not committed, by topic; changelogs are left out.

        Nobody is asked: ends of logs are those of the last fetches, so while buffers are full it is a lower bound. It is no
        difference to the committed offset: where records were deleted unread that would never come down again.
        """
        found: dict[str, int] = {}
        assignment = self._client()._subscription.subscription.assignment
        for tp in assignment.tps if assignment is not None else ():
            if self._is_changelog_tp(tp):
                continue
            state = assignment.state_value(tp)
            known = state.highwater is not None and state.has_valid_position
            unread = max(0, state.highwater - state.position) if known else 0
            committed = self._committed_offset.get(tp) or 0
            # One that was read again after its commit stays among the settled until the next commit.
            uncommitted = sum(offset >= committed for offset in self._settled.get(tp, ()))
            found[tp.topic] = found.get(tp.topic, 0) + unread + len(self._open.get(tp, ())) + uncommitted
        return found

    @property
    def away(self) -> bool:
        """Whether the broker is out of reach: the group has no coordinator, and each heartbeat looks for one."""
        return self._client()._coordinator.coordinator_id is None

    async def verify_all_partitions_active(self) -> None:
        """Nothing: whether there is life in what is read, vitals say.

        The stock detector only logs, and asks every partition for its position, eight times a second. One that has none, as for
        a moment after it is assigned or sought, is an assertion error, which crashes the consumer.
        """

    def fallen(self) -> BaseException | None:
        """What ended the consumer, or its group membership, for good: it would never be assigned anything again, silently.

        A crash should end the worker itself, but may stop halfway on its way up to it.
        """
        if self.crashed:
            return self.crash_reason or RuntimeError("the consumer has crashed")
        coordinator = self._client()._coordinator
        task = getattr(coordinator, "_coordination_task", None)
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    def _client(self) -> aiokafka.AIOKafkaConsumer:
        return cast(ConsumerThread, self._thread)._ensure_consumer()

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        # The stock range includes the message behind the hole, which nobody has processed yet.
        self._settled[tp].update(range(offset_from, offset_to))
        await super()._add_gap(tp, offset_from, offset_to - 1)

    def _new_offset(self, tp: TP) -> int | None:
        settled, acked = self._settled[tp], self._acked[tp]
        unsettled = [offset for offset in acked if offset not in settled]
        if unsettled:
            logger.warning("messages were dropped without being processed; they will be read again", tp=tp, offsets=unsettled)
            acked[:] = [offset for offset in acked if offset in settled]
            self._acked_index[tp].difference_update(unsettled)
        offset: int | None = super()._new_offset(tp)
        if offset is not None:
            self._settled[tp] = {o for o in settled if o >= offset}
        return offset


@dataclass
class _Fetch:
    """One fetch on its way through the consumer's thread."""

    partitions: set[TP]
    """The consumer's active partitions, of which it takes."""
    seeks: int
    """How often the consumer had gone back to the committed offsets."""
    awaited: bool = True
    """Whether its caller still waits for it."""


class _Fetcher(Fetcher):  # type: ignore[misc]  # the client has no types
    """The client's fetcher, which has one fetch a broker under way at a time; it says how long the broker may hold it back."""

    def _get_actions_per_node(self, assignment: Any) -> Any:
        left_out = any(tp in self._records or assignment.state_value(tp).paused for tp in assignment.tps)
        self._fetch_max_wait_ms = FETCH_WAIT_MS if left_out else IDLE_FETCH_WAIT_MS
        return super()._get_actions_per_node(assignment)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The driver's thread; its broker does not hold fetches back, and its fetches leave what would be thrown away."""

    logger = SERVICE_LOGGER
    consumer: Consumer

    async def on_start(self) -> None:
        """Start the client, whose fetcher is then ours: the client makes its own by name."""
        await super().on_start()
        self._ensure_consumer()._fetcher.__class__ = _Fetcher

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Any]:
        """Records of active partitions, by partition; none after ``timeout`` seconds without any."""
        fetch = _Fetch(cast(set[TP], active_partitions), self.consumer._seeks)  # none only in an app that is no member
        try:
            return cast(Mapping[TP, Any], await self.call_thread(self._take, fetch, timeout))
        finally:
            fetch.awaited = False

    async def _take(self, fetch: _Fetch, timeout: float) -> Mapping[TP, Any]:
        """What the stock thread takes, but for what its caller would throw away: that is put back.

        A fetch goes on in this thread whatever happens to its caller, through a rebalance and past the next seek. Taken then,
        the first records of a table's changelog would be missing from the table, or be waited for without end. The active
        partitions are a set that others change: once it is empty, the stock fetch takes from all partitions.
        """
        client = self._ensure_consumer()
        records = await self._fetch_records(client, fetch.partitions, timeout, client._max_poll_records)
        wanted = fetch.awaited and self.consumer.flow_active and fetch.seeks == self.consumer._seeks
        kept = {tp: found for tp, found in records.items() if wanted and tp in fetch.partitions}
        for tp, found in records.items():
            if tp not in kept:
                client.seek(tp, found[0].offset)
        return kept

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        # The driver hard-codes 1500 ms; the client reads this attribute when it starts, which is later.
        client = super()._create_worker_consumer(transport)
        client._fetch_max_wait_ms = FETCH_WAIT_MS
        look_again_without_brokers(client._client)
        return client

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to where the group is, everywhere; the committed offsets."""
        return cast(Mapping[TP, int], await self.call_thread(self._seek_to_committed))

    async def _seek_to_committed(self) -> Mapping[Any, int | None]:
        """The client leaves a partition where it is if nothing is committed there, or offset 0.

        What was fetched of it before and is thrown away at the seek, its first records, would never be read then, and the next
        commit would hide it.
        """
        client = self._ensure_consumer()
        committed: Mapping[Any, int | None] = await client.seek_to_committed()
        ours = {tp: offset for tp, offset in committed.items() if not self.consumer._is_changelog_tp(tp)}
        for tp in (tp for tp, offset in ours.items() if offset == 0):
            client.seek(tp, 0)
        if fresh := [tp for tp, offset in ours.items() if offset is None]:
            await client.seek_to_beginning(*fresh)
        return committed


def look_again_without_brokers(client: AIOKafkaClient) -> None:
    """Make a client's search for a coordinator wait for a broker to ask.

    While a cluster's only broker is fenced (its disk or its processor stood still for some seconds) its metadata name none. The
    stock client meets that with an ``AssertionError``, which ends its group membership for good.
    """
    look_up = client.coordinator_lookup

    async def coordinator_lookup(kind: int, key: str) -> int:
        if client.get_random_node() is None:
            raise GroupCoordinatorNotAvailableError
        return cast(int, await look_up(kind, key))

    client.coordinator_lookup = coordinator_lookup


class Transport(driver.Transport):
    """The transport that names them: ``app.transport = Transport(app.conf.broker_consumer, app)``."""

    Consumer = Consumer
