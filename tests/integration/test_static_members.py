"""Members with a lasting name on a real broker: a restart of one moves no partition of the other, with either client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import faust
import pytest

from streams import topics
from streams.app import make_app, raw_topic
from streams.chunklog import ChunkLog
from streams.decoder.source_of_jobs import MEMBERS_EACH, JobSource
from streams.durable import DurableTable
from streams.groups import DECODERS
from streams.local.broker import Broker
from streams.settings import Settings
from tests.kafka import BrokerFactory
from tests.lab import Lab, running, until_async, wait_for

pytestmark = pytest.mark.kafka

PARTITIONS = topics.SEGMENTS.partitions + topics.SEGMENTS_URGENT.partitions


@pytest.fixture
def lab(kafka: Broker, tmp_path: Path) -> Lab:
    return Lab(kafka.bootstrap, tmp_path)


@pytest.mark.parametrize("lasting", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_restarted_agent_stops_nobody_if_it_has_a_name(lab: Lab, lasting: bool) -> None:
    """It has its partitions and its table again. Without a name everybody's partitions are revoked meanwhile."""
    topic, group = lab.topic("static", 4), lab.name("static")
    lab.topic("changelog", 4, compact=True, name=f"{group}-seen-changelog")
    stops: dict[str, int] = {"one": 0, "two": 0}
    tables: dict[str, DurableTable[str, int]] = {}

    def maker(name: str) -> Callable[[], faust.App]:
        def make() -> faust.App:
            settings = Settings(data_dir=lab.folder / name, instance_id=name if lasting else None)
            app = make_app(group, settings, bootstrap=lab.bootstrap)
            table = cast(DurableTable[str, int], app.Table("seen", key_type=str, value_type=int, partitions=4))
            tables[name] = table

            async def stopped(*_: object, **__: object) -> None:
                stops[name] += 1

            async def work(stream: faust.StreamT[bytes]) -> None:
                async for event in stream.events():
                    key = str(event.message.partition)
                    table[key] = table.get(key, 0) + 1
                    await table.flushed()
                    app.consumer.settle(event.message)  # type: ignore[attr-defined]

            app.on_partitions_revoked.connect(stopped, weak=False)
            app.agent(raw_topic(app, topic.name))(work)
            return app

        return make

    def partitions(app: faust.App) -> set[str]:
        return {str(tp.partition) for tp in app.consumer.assignment() if tp.topic == topic.name}

    def one_to_each() -> None:
        for partition in range(4):
            lab.send(topic, [(None, b"x")], partition=partition)

    async def main() -> None:
        async with running(maker("one")) as one:
            async with running(maker("two")) as two:
                await until_async(lambda: len(partitions(one)) == len(partitions(two)) == 2)
                one_to_each()
                await until_async(lambda: lab.lag(group, topic) == 0)
                had, stopped = partitions(two), stops["one"]
            async with running(maker("two")) as two:
                await until_async(lambda: len(partitions(one)) == len(partitions(two)) == 2)
                assert (stops["one"] == stopped) is lasting
                assert not lasting or partitions(two) == had
                one_to_each()
                await until_async(lambda: lab.lag(group, topic) == 0)
                assert dict(tables["two"].items()) == dict.fromkeys(partitions(two), 2)

    asyncio.run(main())


@pytest.mark.parametrize("lasting", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_decoder_s_partitions_wait_for_it_if_it_has_a_name(new_broker: BrokerFactory, lasting: bool) -> None:
    bootstrap = new_broker().bootstrap
    log = ChunkLog(bootstrap)
    one, two = (_Member(bootstrap, name if lasting else None) for name in ("one", "two"))
    try:
        wait_for(lambda: one.source.assigned == two.source.assigned == PARTITIONS // 2, "half of the partitions each")
        two.close()
        if not lasting:
            wait_for(lambda: log.members([DECODERS])[DECODERS] == MEMBERS_EACH, "the other to have left")
            wait_for(lambda: one.source.assigned == PARTITIONS, "all partitions for the one that is left")
            return
        assert log.members([DECODERS])[DECODERS] == 2 * MEMBERS_EACH
        two = _Member(bootstrap, "two")
        wait_for(lambda: two.source.assigned == PARTITIONS // 2, "the half that it had")
        assert one.source.assigned == PARTITIONS // 2
    finally:
        one.close()
        two.close()
        log.close()


class _Member:
    """A decoder's membership alone, polled by a thread."""

    def __init__(self, bootstrap: str, name: str | None) -> None:
        self.source = JobSource(bootstrap, on_assigned=lambda: None, on_abandoned=lambda _: None, instance_id=name)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self) -> None:
        while not self._over.is_set():
            self.source.poll(0.05)

    def close(self) -> None:
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            self.source.close()
