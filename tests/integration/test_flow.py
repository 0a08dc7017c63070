"""The consumer's flow on a real broker: no stalls with small buffers, and nothing committed that the guard has not settled."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import faust
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from confluent_kafka import Consumer, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams import flow
from streams.app import make_app, raw_topic
from streams.deadletters import DeadLetters
from streams.flow import look_again_without_brokers
from streams.guard import Guard
from streams.local.broker import Broker
from streams.record import Record
from tests.lab import WAIT_SECONDS, Lab, running, until_async

pytestmark = pytest.mark.kafka

MEGABYTE = bytes(1_000_000)
WORK_SECONDS = 0.02


@pytest.fixture
def lab(kafka: Broker, tmp_path: Path) -> Lab:
    return Lab(kafka.bootstrap, tmp_path)


def reader(lab: Lab, group: str, topic: str, seen: list[bytes]) -> faust.App:
    """An app of which the guarded agent notes what it reads."""
    app = make_app(group, lab.settings, bootstrap=lab.bootstrap)

    async def handle(record: Record) -> None:
        seen.append(record.value)

    app.agent(raw_topic(app, topic))(Guard(app, "test", DeadLetters(app)).agent(handle))
    return app


def longest_gap(lab: Lab, *, buffer: int, stock: bool, messages: int) -> float:
    """Seconds between two messages at worst, of 1 MB each, in three of four partitions, at 20 ms of work each."""
    topic = lab.topic("flow", 4)
    for partition in range(3):
        lab.send(topic, [(None, MEGABYTE)] * (messages // 3), partition=partition)
    begun: list[float] = []

    def make() -> faust.App:
        app = make_app(lab.name("flow"), lab.settings, bootstrap=lab.bootstrap, stream_buffer_maxsize=buffer)
        if stock:
            app.transport = driver.Transport(app.conf.broker_consumer, app)

        async def work(stream: faust.StreamT[bytes]) -> None:
            async for event in stream.events():
                begun.append(time.monotonic())
                await asyncio.sleep(WORK_SECONDS)
                if not stock:
                    app.consumer.settle(event.message)  # type: ignore[attr-defined]

        app.agent(raw_topic(app, topic.name))(work)
        return app

    lab.run(make, lambda: len(begun) == messages)
    return max(after - before for before, after in itertools.pairwise(begun))


@pytest.mark.parametrize("buffer", [4, 16])
def test_no_gap_between_messages_however_small_the_buffer(lab: Lab, buffer: int) -> None:
    # On a busy machine one run in many has a gap of its own.
    assert any(longest_gap(lab, buffer=buffer, stock=False, messages=90) < 0.3 for _ in range(3))


def test_the_stock_consumer_still_needs_replacing(lab: Lab) -> None:
    # It stalls when a full buffer meets its poll, which one run in many does not show.
    assert any(longest_gap(lab, buffer=4, stock=True, messages=30) > 0.7 for _ in range(5))


def test_a_message_in_work_when_the_worker_crashes_is_not_committed(lab: Lab) -> None:
    topic, group = lab.topic("crash"), lab.name("crash")
    lab.send(topic, [(b"k", b"first"), (b"k", b"second")])
    seen: list[bytes] = []

    def make() -> faust.App:
        app = make_app(group, lab.settings, bootstrap=lab.bootstrap)

        async def handle(record: Record) -> None:
            seen.append(record.value)
            if record.value == b"second":
                await asyncio.sleep(60)

        app.agent(raw_topic(app, topic.name))(Guard(app, "test", DeadLetters(app)).agent(handle))
        return app

    async def main() -> None:
        async with running(make) as app:
            await until_async(lambda: seen == [b"first", b"second"])
            # Faust then cancels the agents, whose streams ack on the way out, and commits once more.
            await app.crash(RuntimeError("some other part of the worker"))

    asyncio.run(main())
    assert lab.committed(group, topic) == [1]
    assert asyncio.run(_next_value(lab, group, topic.name)) == b"second"


async def _next_value(lab: Lab, group: str, topic: str) -> bytes:
    seen: list[bytes] = []

    make = partial(reader, lab, group, topic, seen)

    async with running(make):
        await until_async(lambda: bool(seen))
    return seen[0]


def test_records_deleted_ahead_of_the_committed_offset(lab: Lab) -> None:
    """The stock consumer takes the first message behind such a hole for part of it, and so for acknowledged."""
    topic, group = lab.topic("deleted"), lab.name("deleted")
    lab.send(topic, [(b"k", b"%d" % n) for n in range(5)])
    assert asyncio.run(_next_value(lab, group, topic.name)) == b"0"
    committed = lab.committed(group, topic)[0]
    lab.send(topic, [(b"k", b"%d" % n) for n in range(5, 10)])
    place = TopicPartition(topic.name, 0, 8)
    lab.client.delete_records([place])[place].result()
    seen: list[bytes] = []

    def make() -> faust.App:
        app = make_app(group, lab.settings, bootstrap=lab.bootstrap)

        async def handle(record: Record) -> None:
            seen.append(record.value)
            if len(seen) == 1:
                await app.crash(RuntimeError("in the middle of the first message behind the hole"))
                await asyncio.sleep(60)

        app.agent(raw_topic(app, topic.name))(Guard(app, "test", DeadLetters(app)).agent(handle))
        return app

    lab.run(make, lambda: bool(seen))
    assert seen == [b"8"] and lab.committed(group, topic) == [committed]
    lab.run(make, lambda: lab.committed(group, topic) == [10])
    assert seen == [b"8", b"8", b"9"]


@pytest.mark.parametrize("committed", [None, 0, 1])
def test_what_is_fetched_around_a_seek_is_read_again(lab: Lab, monkeypatch: pytest.MonkeyPatch, committed: int | None) -> None:
    """It is thrown away then. The client itself does not go back to where nothing is committed, or the first record."""
    topic, group = lab.topic("around"), lab.name("around")
    lab.send(topic, [(None, b"%d" % n) for n in range(5)])
    if committed is not None:
        member = Consumer({"bootstrap.servers": lab.bootstrap, "group.id": group})
        member.commit(offsets=[TopicPartition(topic.name, 0, committed)], asynchronous=False)
        member.close()
    handled: list[bytes] = []
    stock, seeks = driver.Consumer._wait_next_records, []

    async def wait_next_records(self: flow.Consumer, timeout: float) -> object:
        records, active = await stock(self, timeout)
        if records and not seeks:
            seeks.append(self._seeks)
            self._seeks += 1  # as a seek does that happens meanwhile
        return records, active

    monkeypatch.setattr(driver.Consumer, "_wait_next_records", wait_next_records)

    make = partial(reader, lab, group, topic.name, handled)

    lab.run(make, lambda: handled[-1:] == [b"4"])
    assert seeks
    assert handled == [b"%d" % n for n in range(committed or 0, 5)]


@pytest.mark.parametrize("what", ["its caller is cancelled", "the flow stops", "its partitions are paused", "all go back"])
def test_a_fetch_takes_nothing_that_would_be_thrown_away(lab: Lab, what: str) -> None:
    """It goes on in the consumer's thread through a rebalance, past the seek of a table's recovery."""
    topic, group = lab.topic("overtaken"), lab.name("overtaken")
    lab.send(topic, [(b"k", b"%d" % n) for n in range(5)])
    seen: list[bytes] = []

    make = partial(reader, lab, group, topic.name, seen)

    async def main() -> None:
        async with running(make) as app:
            await until_async(lambda: len(seen) == 5)
            consumer = cast(flow.Consumer, app.consumer)
            thread = cast(flow.ConsumerThread, consumer._thread)
            waiters = thread._ensure_consumer()._fetcher._fetch_waiters
            await app._stop_fetcher()
            await until_async(lambda: not waiters)
            tp = TP(topic.name, 0)
            active = {tp}
            fetch = asyncio.ensure_future(thread.getmany(active, timeout=WAIT_SECONDS))
            await until_async(lambda: bool(waiters))
            if what == "its caller is cancelled":
                fetch.cancel()
            elif what == "the flow stops":
                consumer.stop_flow()
            elif what == "its partitions are paused":
                active.clear()
            else:
                await consumer.perform_seek()
            await thread.seek_wait({tp: 0})
            await asyncio.wait([fetch])
            assert fetch.cancelled() or fetch.result() == {}
            consumer.resume_flow()
            records = await thread.getmany({tp}, timeout=WAIT_SECONDS)
            assert [record.offset for record in records[tp]] == [0, 1, 2, 3, 4]

    asyncio.run(main())


def test_a_partition_without_a_position_crashes_nobody_and_a_crash_is_seen(lab: Lab) -> None:
    """For a moment after it is assigned, or sought, a partition has none; the stock detector of livelocks asks for it."""
    topic, group = lab.topic("nowhere"), lab.name("nowhere")
    lab.send(topic, [(b"k", b"first")])
    seen: list[bytes] = []

    make = partial(reader, lab, group, topic.name, seen)

    async def main() -> None:
        async with running(make) as app:
            await until_async(lambda: len(seen) == 1)
            consumer = cast(flow.Consumer, app.consumer)
            client = cast(flow.ConsumerThread, consumer._thread)._ensure_consumer()
            state = client._subscription.subscription.assignment.state_value(TP(topic.name, 0))
            position, state._position = state._position, None
            try:
                with pytest.raises(AssertionError):
                    consumer.verify_event_path(time.monotonic(), TP(topic.name, 0))
                await consumer.verify_all_partitions_active()
            finally:
                state._position = position
            assert consumer.fallen() is None
            consumer._crashed.set()
            assert isinstance(consumer.fallen(), RuntimeError)
            consumer._crashed.clear()

    asyncio.run(main())


def test_the_search_for_a_coordinator_waits_for_a_broker_to_ask() -> None:
    """While the cluster's only broker is fenced its metadata name none. The stock client ends its membership over that."""

    async def look_up(prepare: Callable[[AIOKafkaClient], object]) -> None:
        client = AIOKafkaClient(bootstrap_servers="127.0.0.1:1")
        prepare(client)
        await client.coordinator_lookup(0, "group")

    with pytest.raises(AssertionError):
        asyncio.run(look_up(lambda client: None))
    with pytest.raises(GroupCoordinatorNotAvailableError) as raised:
        asyncio.run(look_up(look_again_without_brokers))
    assert raised.value.retriable
