"""The durable table on a real broker: refused changelogs, partitions that come and go, restarts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faust
import pytest

from streams.app import make_app, raw_topic
from streams.deadletters import DeadLetters
from streams.durable import DurableTable
from streams.guard import EXIT_SOFTWARE, Guard
from streams.local.broker import Broker
from streams.record import Record
from streams.topics import Topic
from tests.kafka import BrokerFactory
from tests.lab import WAIT_SECONDS, Lab, running, until_async, wait_for

pytestmark = pytest.mark.kafka


@pytest.fixture
def lab(kafka: Broker, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(kafka.bootstrap, tmp_path)
    yield lab
    lab.end()


class Keeper:
    """The app of ``workers.keeps_last`` in this process, so that its table can be looked into."""

    def __init__(self, lab: Lab, partitions: int) -> None:
        self.lab = lab
        self.group = lab.name("keeper")
        self.topic = lab.topic("kept", partitions)
        self.letters = lab.topic("letters")
        self.changelog = lab.topic("", partitions, compact=True, name=f"{self.group}-last-changelog")
        self.handled = 0
        self.table: DurableTable[bytes, bytes]

    @property
    def options(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "topic": self.topic.name,
            "dead_letters": self.letters.name,
            "partitions": self.topic.partitions,
        }

    def make(self) -> faust.App:
        app = make_app(self.group, self.lab.settings, bootstrap=self.lab.bootstrap)
        self.table = app.Table("last", key_type=bytes, value_type=bytes, partitions=self.topic.partitions)
        guard = Guard(app, "test", DeadLetters(app, self.letters.name), tables=(self.table,))

        async def handle(record: Record) -> None:
            assert record.key is not None
            self.table[record.key] = record.value
            self.handled += 1

        app.agent(raw_topic(app, self.topic.name))(guard.agent(handle))
        return app


def last_values(lab: Lab, changelog: Topic) -> dict[bytes | None, bytes]:
    return {record.key: record.value for record in lab.read(changelog)}


def test_a_refused_changelog_record_ends_the_process_before_its_offset_is_committed(lab: Lab) -> None:
    keeper = Keeper(lab, 1)
    lab.limit(keeper.changelog, 5_000)
    lab.send(keeper.topic, [(b"k%d" % n, bytes(20_000) if n == 12 else b"v%d" % n) for n in range(20)])
    worker = lab.start("keeps_last", **keeper.options)
    assert worker.wait(WAIT_SECONDS) == EXIT_SOFTWARE
    kept = last_values(lab, keeper.changelog)
    assert set(kept) == {b"k%d" % n for n in range(12)}
    assert lab.committed(keeper.group, keeper.topic)[0] <= 12
    lab.limit(keeper.changelog, 1 << 20)
    worker = lab.start("keeps_last", **keeper.options)
    lab.await_committed(keeper.group, keeper.topic, [20])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WAIT_SECONDS) == 0
    assert set(last_values(lab, keeper.changelog)) == {b"k%d" % n for n in range(20)}


def test_nothing_is_deleted_before_what_was_written_with_it_is_there(lab: Lab) -> None:
    """A broker that takes the small records of a message and refuses a large one leaves the state with more, not with less."""
    group, topic, letters = lab.name("swapper"), lab.topic("swaps"), lab.topic("letters")
    changelog = lab.topic("", 1, compact=True, name=f"{group}-swapped-changelog")
    lab.limit(changelog, 5_000)
    lab.send(topic, [(b"old", b"state"), (b"swap", bytes(20_000))])
    options = {"group": group, "topic": topic.name, "dead_letters": letters.name}
    assert lab.start("swaps", **options).wait(WAIT_SECONDS) == EXIT_SOFTWARE
    assert last_values(lab, changelog) == {b"old": b"state"}
    lab.limit(changelog, 1 << 20)
    worker = lab.start("swaps", **options)
    lab.await_committed(group, topic, [2])
    wait_for(lambda: last_values(lab, changelog) == {b"old": b"", b"new": bytes(20_000)}, "the deletion")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WAIT_SECONDS) == 0


def test_a_restart_recovers_everything(lab: Lab) -> None:
    keeper = Keeper(lab, 4)
    expected = {b"k%d" % n: b"v%d" % n for n in range(200)}
    lab.send(keeper.topic, expected.items())
    lab.run(keeper.make, lambda: keeper.handled == 200)
    assert dict(keeper.table.items()) == expected
    seen: dict[bytes, bytes] = {}

    async def main() -> None:
        async with running(keeper.make):
            seen.update(keeper.table.items())
            assert keeper.table.generation > 1, "what was read off it before is stale"

    asyncio.run(main())
    assert seen == expected
    assert keeper.handled == 200


def test_a_partition_that_goes_away_and_comes_back(lab: Lab) -> None:
    keeper = Keeper(lab, 2)
    keys = [b"k%d" % n for n in range(40)]
    lab.send(keeper.topic, [(key, b"mine") for key in keys])

    async def main() -> None:
        async with running(keeper.make) as app:
            await until_async(lambda: keeper.handled == 40)
            home = {key: keeper.table.partition_of(key) for key in keys}
            assert set(home.values()) == {0, 1}
            other = await asyncio.to_thread(lab.start, "keeps_last", **keeper.options)
            await until_async(lambda: len(owned(app, keeper.topic)) == 1 and not app.rebalancing)
            (left,) = owned(app, keeper.topic)
            assert set(keeper.table) == {key for key in keys if home[key] == left}
            away = [key for key in keys if home[key] != left]
            changes = [(away[0], b""), *((key, b"theirs") for key in away[1:])]
            await asyncio.to_thread(lab.send, keeper.topic, changes)
            await asyncio.to_thread(wait_for, lambda: sum(lab.committed(keeper.group, keeper.topic)) == 40 + len(away), "them")
            other.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(other.wait, WAIT_SECONDS) == 0
            await until_async(lambda: len(owned(app, keeper.topic)) == 2 and not app.rebalancing)
            expected = {key: b"mine" if home[key] == left else b"theirs" for key in keys if key != away[0]}
            assert dict(keeper.table.items()) == expected

    asyncio.run(main())


@pytest.mark.chaos
def test_a_broker_that_is_killed_in_between(new_broker: BrokerFactory, tmp_path: Path) -> None:
    broker = new_broker(topics=())
    lab = Lab(broker.bootstrap, tmp_path)
    try:
        keeper = Keeper(lab, 2)
        worker = lab.start("keeps_last", **keeper.options)
        lab.send(keeper.topic, [(b"k%d" % n, b"v%d" % n) for n in range(300)])
        wait_for(lambda: sum(lab.committed(keeper.group, keeper.topic)) > 30, "the first events")
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
        broker.stop()
        broker.start()

        def drained() -> bool:
            nonlocal worker
            if worker.poll() is not None:
                assert worker.returncode == EXIT_SOFTWARE
                worker = lab.start("keeps_last", **keeper.options)
            return lab.lag(keeper.group, keeper.topic) == 0

        wait_for(drained, "the rest")
        assert last_values(lab, keeper.changelog) == {b"k%d" % n: b"v%d" % n for n in range(300)}
        assert lab.read(keeper.letters) == []
    finally:
        lab.end()


def owned(app: faust.App, topic: Topic) -> set[int]:
    return {tp.partition for tp in app.consumer.assignment() if tp.topic == topic.name}
