"""The guard on a real broker: whatever a handler, an output topic or the process does, no message is lost or skipped."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import faust
import pytest

from schemas.errors import WireError
from streams.app import make_app, publish, raw_topic
from streams.deadletters import DeadLetter, DeadLetters
from streams.guard import EXIT_SOFTWARE, Guard, Outcome, Retries
from streams.local.broker import Broker
from streams.record import Record
from streams.topics import Topic
from tests.lab import WAIT_SECONDS, Lab

pytestmark = pytest.mark.kafka

QUICK = Retries(3, (0.01,))


@pytest.fixture
def lab(kafka: Broker, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(kafka.bootstrap, tmp_path)
    yield lab
    lab.end()


def dead(lab: Lab, topic: Topic) -> list[DeadLetter]:
    return [DeadLetter.from_record(record) for record in lab.read(topic)]


def test_a_handler_that_raises_loses_nothing_else(lab: Lab) -> None:
    topic, letters, group = lab.topic("raises", 2), lab.topic("letters"), lab.name("raises")
    values = [b"bad%d" % n if n % 7 == 3 else b"wire" if n == 20 else b"ok%d" % n for n in range(60)]
    lab.send(topic, [(b"%d" % n, value) for n, value in enumerate(values)], trace="abc")
    lab.send(topic, [(None, None)])
    tried: Counter[bytes] = Counter()
    settled: list[Outcome] = []

    def make() -> faust.App:
        app = make_app(group, lab.settings, bootstrap=lab.bootstrap)
        guard = Guard(app, "test", DeadLetters(app, letters.name), QUICK, settled=lambda _, outcome: settled.append(outcome))

        async def handle(record: Record) -> None:
            tried[record.value] += 1
            if record.value.startswith(b"bad"):
                raise KeyError(record.value)
            if record.value == b"wire":
                raise WireError("not a message")

        app.agent(raw_topic(app, topic.name))(guard.agent(handle))
        return app

    lab.run(make, lambda: len(settled) == 61)
    bad = {value for value in values if value.startswith(b"bad")}
    assert tried == {value: 3 if value in bad else 1 for value in [*values, b""]}
    found = {letter.original.value: letter for letter in dead(lab, letters)}
    assert set(found) == bad | {b"wire"}
    assert {(letter.error, letter.attempts) for letter in found.values()} == {("KeyError", 3), ("WireError", 1)}
    assert all(
        letter.original.headers == {"trace": b"abc"} and letter.original.topic == topic.name for letter in found.values()
    )
    assert sum(lab.committed(group, topic)) == 61


def test_an_output_topic_that_refuses_records_costs_no_input(lab: Lab) -> None:
    topic, out, letters, group = lab.topic("refused"), lab.topic("out"), lab.topic("letters"), lab.name("refused")
    lab.limit(out, 5_000)
    lab.send(topic, [(b"%d" % n, bytes(20_000) if n % 2 else b"small") for n in range(20)])
    done: list[Outcome] = []

    def make() -> faust.App:
        app = make_app(group, lab.settings, bootstrap=lab.bootstrap)
        guard = Guard(app, "test", DeadLetters(app, letters.name), QUICK, settled=lambda _, outcome: done.append(outcome))

        async def handle(record: Record) -> None:
            await publish(app, out.name, record.key, record.value, record.headers)

        app.agent(raw_topic(app, topic.name))(guard.agent(handle))
        return app

    lab.run(make, lambda: len(done) == 20)
    assert [record.key for record in lab.read(out)] == [b"%d" % n for n in range(0, 20, 2)]
    assert [letter.original.key for letter in dead(lab, letters)] == [b"%d" % n for n in range(1, 20, 2)]
    assert lab.committed(group, topic) == [20]


def test_without_a_dead_letter_nothing_is_acknowledged(lab: Lab) -> None:
    topic, letters, group = lab.topic("noletter"), lab.topic("letters"), lab.name("noletter")
    lab.send(topic, [(b"a", b"ok"), (b"b", b"ok"), (b"c", b"bad" + bytes(20_000)), (b"d", b"ok")])
    lab.limit(letters, 5_000)
    worker = lab.start("fails_on_bad", group=group, topic=topic.name, dead_letters=letters.name)
    assert worker.wait(WAIT_SECONDS) == EXIT_SOFTWARE
    assert lab.committed(group, topic)[0] <= 2
    lab.limit(letters, 1 << 20)
    worker = lab.start("fails_on_bad", group=group, topic=topic.name, dead_letters=letters.name)
    lab.await_committed(group, topic, [4])
    assert [letter.original.key for letter in dead(lab, letters)] == [b"c"]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WAIT_SECONDS) == 0


@pytest.mark.chaos
def test_a_message_that_kills_the_process_is_given_up_after_three_lives(lab: Lab) -> None:
    topic, letters, group = lab.topic("deadly"), lab.topic("letters"), lab.name("deadly")
    lab.send(topic, [(b"a", b"ok"), (b"b", b"deadly"), (b"c", b"ok")])
    for _ in range(3):
        worker = lab.start("kills_itself", group=group, topic=topic.name, dead_letters=letters.name)
        assert worker.wait(WAIT_SECONDS) == -signal.SIGKILL
    worker = lab.start("kills_itself", group=group, topic=topic.name, dead_letters=letters.name)
    lab.await_committed(group, topic, [3])
    (letter,) = dead(lab, letters)
    assert (letter.original.key, letter.attempts, letter.error) == (b"b", 3, "Killed")
    assert list((lab.folder / "data" / "attempts").iterdir()) == []
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WAIT_SECONDS) == 0


def test_one_partitions_failures_do_not_stop_the_loop(lab: Lab) -> None:
    """Waiting between attempts leaves the event loop free: heartbeats and commits go on."""
    topic, letters, group = lab.topic("waits"), lab.topic("letters"), lab.name("waits")
    lab.send(topic, [(b"a", b"bad")])
    ticks: list[float] = []
    done: list[Outcome] = []

    def make() -> faust.App:
        app = make_app(group, lab.settings, bootstrap=lab.bootstrap)
        guard = Guard(
            app, "test", DeadLetters(app, letters.name), Retries(2, (0.5,)), settled=lambda _, outcome: done.append(outcome)
        )

        async def handle(record: Record) -> None:
            raise ValueError

        @app.task
        async def tick() -> None:
            while not done:
                ticks.append(0.0)
                await asyncio.sleep(0.02)

        app.agent(raw_topic(app, topic.name))(guard.agent(handle))
        return app

    lab.run(make, lambda: bool(done))
    assert len(ticks) > 10
