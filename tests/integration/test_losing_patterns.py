"""The ways in which a stock Faust worker loses messages, each next to ours: the first shows that the guard is still needed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust
import pytest
from confluent_kafka import Producer
from faust.transport.drivers import aiokafka as driver

from streams.app import make_app, publish, raw_topic
from streams.deadletters import DeadLetters
from streams.guard import Guard, Outcome, Retries
from streams.local.broker import Broker
from streams.record import Record
from streams.topics import Topic
from tests.lab import Lab, running, until_async, wait_for

pytestmark = [
    pytest.mark.kafka,
    # The stock worker's own threads outlive the event loop of a worker that crashed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

QUICK = Retries(2, (0.01,))
VALUES = [b"ok0", b"ok1", b"bad2", b"ok3", b"ok4", b"ok5"]

AgentBody = Callable[[faust.StreamT[bytes]], Any]


@pytest.fixture
def lab(kafka: Broker, tmp_path: Path) -> Lab:
    return Lab(kafka.bootstrap, tmp_path)


class Bench:
    """A topic with some values, and what a worker made of them."""

    def __init__(self, lab: Lab, values: list[bytes] = VALUES) -> None:
        self.lab = lab
        self.topic, self.out, self.letters = lab.topic("in"), lab.topic("out"), lab.topic("letters")
        self.group = lab.name("pattern")
        self.values = values
        self.done: list[bytes] = []
        lab.send(self.topic, [(b"k", value) for value in values])

    def stock(self, **settings: Any) -> faust.App:
        """An app with Faust's own transport and table."""
        app = make_app(self.group, self.lab.settings, bootstrap=self.lab.bootstrap, **{"Table": faust.Table, **settings})
        app.transport = driver.Transport(app.conf.broker_consumer, app)
        return app

    def guarded(self, handle: Callable[[faust.App, Record], Any], **settings: Any) -> faust.App:
        """An app with one guarded agent."""
        app = make_app(self.group, self.lab.settings, bootstrap=self.lab.bootstrap, **settings)

        async def one(record: Record) -> None:
            await handle(app, record)

        def settled(record: Record, outcome: Outcome) -> None:
            if outcome is Outcome.DONE:
                self.done.append(record.value)

        guard = Guard(app, "test", DeadLetters(app, self.letters.name), QUICK, settled=settled)
        app.agent(raw_topic(app, self.topic.name))(guard.agent(one))
        return app

    def agent(self, app: faust.App, body: AgentBody, **options: Any) -> faust.App:
        app.agent(raw_topic(app, self.topic.name), **options)(body)
        return app

    @property
    def committed(self) -> int:
        return self.lab.committed(self.group, self.topic)[0]

    def lost(self, written: Topic | None = None) -> set[bytes]:
        """Values behind which the group has committed, and which are neither done (or written) nor in the dead letters."""
        done = set(self.done) if written is None else {record.value for record in self.lab.read(written)}
        done |= {record.value for record in self.lab.read(self.letters)}
        return set(self.values[: self.committed]) - done

    def all_committed(self) -> bool:
        return self.committed == len(self.values)


def fail_on_bad(value: bytes) -> None:
    if value.startswith(b"bad"):
        raise ValueError(value)


def test_an_exception_that_leaves_the_body(lab: Lab) -> None:
    stock, ours = Bench(lab), Bench(lab)

    async def body(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            fail_on_bad(value)
            stock.done.append(value)

    lab.run(lambda: stock.agent(stock.stock(), body), stock.all_committed)
    assert stock.lost() == {b"bad2"}

    async def handle(_: faust.App, record: Record) -> None:
        fail_on_bad(record.value)

    lab.run(lambda: ours.guarded(handle), ours.all_committed)
    assert ours.lost() == set() and ours.done == [v for v in VALUES if v != b"bad2"]


def test_a_batch_of_which_one_fails(lab: Lab) -> None:
    """Ours has no batches: a chunk is one."""
    stock = Bench(lab)

    async def body(stream: faust.StreamT[bytes]) -> None:
        async for values in stream.take(len(VALUES), within=5):
            for value in values:
                fail_on_bad(value)
            stock.done.extend(values)

    lab.run(lambda: stock.agent(stock.stock(), body), stock.all_committed)
    assert stock.lost() == set(VALUES)


@pytest.mark.parametrize("by", ["send", "sink"])
def test_an_output_that_is_refused(lab: Lab, by: str) -> None:
    values = [b"%d" % n + bytes(20_000) for n in range(6)]
    stock, ours = Bench(lab, values), Bench(lab, values)
    lab.limit(stock.out, 5_000)
    lab.limit(ours.out, 5_000)

    def make() -> faust.App:
        app = stock.stock()
        out = raw_topic(app, stock.out.name)

        async def sends(stream: faust.StreamT[bytes]) -> None:
            async for value in stream:
                await out.send(value=value)

        async def yields(stream: faust.StreamT[bytes]) -> Any:
            async for value in stream:
                yield value

        return stock.agent(app, sends) if by == "send" else stock.agent(app, yields, sink=[out])

    lab.run(make, stock.all_committed)
    assert stock.lost(stock.out) == set(values)

    async def handle(app: faust.App, record: Record) -> None:
        await publish(app, ours.out.name, None, record.value, {})

    lab.run(lambda: ours.guarded(handle), ours.all_committed)
    assert ours.lost(ours.out) == set()


def test_a_refused_changelog(lab: Lab) -> None:
    """Ours ends the process with nothing committed: ``test_durable.py``."""
    values = [b"small", b"large" + bytes(20_000), b"small too"]
    stock = Bench(lab, values)
    changelog = lab.topic("", 1, compact=True, name=f"{stock.group}-last-changelog")
    lab.limit(changelog, 5_000)

    def make() -> faust.App:
        app = stock.stock()
        table = app.Table("last", key_type=bytes, value_type=bytes, partitions=1)

        async def body(stream: faust.StreamT[bytes]) -> None:
            async for value in stream:
                table[value[:9]] = value
                stock.done.append(value)

        return stock.agent(app, body)

    lab.run(make, stock.all_committed)
    assert stock.lost(changelog) == {values[1]}


def crash_in_the_middle(make: Callable[[], faust.App], begun: list[bytes], at: bytes) -> None:
    """Run until a message is in work, then let another part of the worker crash: its agents are cancelled."""

    async def main() -> None:
        async with running(make) as app:
            await until_async(lambda: at in begun)
            await app.crash(RuntimeError("some other part of the worker"))

    asyncio.run(main())
    gc.collect()  # what is left of it is reported here, and not in the middle of another test


def test_a_message_in_work_when_the_agent_is_cancelled(lab: Lab) -> None:
    stock, ours = Bench(lab), Bench(lab)
    begun: list[bytes] = []

    async def body(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            begun.append(value)
            if value == b"bad2":
                await asyncio.sleep(60)
            stock.done.append(value)

    crash_in_the_middle(lambda: stock.agent(stock.stock(), body), begun, b"bad2")
    assert stock.lost() == {b"bad2"}
    begun.clear()

    async def handle(_: faust.App, record: Record) -> None:
        begun.append(record.value)
        if record.value == b"bad2":
            await asyncio.sleep(60)

    crash_in_the_middle(lambda: ours.guarded(handle), begun, b"bad2")
    assert ours.lost() == set() and ours.committed == 2


def test_the_message_behind_a_transactions_marker(lab: Lab) -> None:
    """A marker takes an offset that no consumer sees: it is not committed together with the message behind it."""
    ours = Bench(lab, [b"ok0"])
    producer = Producer({"bootstrap.servers": lab.bootstrap, "transactional.id": ours.group})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(ours.topic.name, b"ok1", b"k", partition=0)
    producer.commit_transaction(30)
    wait_for(lambda: lab.ends(ours.topic) == [3], "the marker")
    lab.send(ours.topic, [(b"k", b"bad3")])
    ours.values = [b"ok0", b"ok1", b"marker", b"bad3"]
    begun: list[bytes] = []

    async def handle(_: faust.App, record: Record) -> None:
        begun.append(record.value)
        if record.value == b"bad3" and begun.count(b"bad3") == 1:
            await asyncio.sleep(60)

    crash_in_the_middle(lambda: ours.guarded(handle), begun, b"bad3")
    assert ours.lost() <= {b"marker"} and 2 <= ours.committed <= 3
    lab.run(lambda: ours.guarded(handle), ours.all_committed)
    assert ours.lost() <= {b"marker"} and begun == [b"ok0", b"ok1", b"bad3", b"bad3"]


def test_the_settings_that_lose_are_off(tmp_path: Path) -> None:
    app = Lab("127.0.0.1:1", tmp_path)
    conf = make_app("settings", app.settings, bootstrap="127.0.0.1:1").conf
    assert conf.processing_guarantee.value == "at_least_once"
    assert conf.stream_wait_empty is True
    assert conf.broker_commit_every == 1
    assert conf.producer_acks == -1
    assert conf.topic_allow_declare is False
