"""Real Apache Kafka for tests: one broker for the session, and fresh ones for tests that stop or break theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams import admin
from streams.local.broker import Broker
from streams.topics import TOPICS

BrokerFactory = Callable[..., Broker]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker with every topic applied; ``.bootstrap`` for clients. Tests share it: use your own keys, groups or topics."""
    with Broker(tmp_path_factory.mktemp("kafka")) as broker:
        admin.apply(broker.bootstrap, TOPICS)
        yield broker


@pytest.fixture
def new_broker(tmp_path: Path) -> Iterator[BrokerFactory]:
    """Makes brokers that are stopped after the test: ``new_broker(name="kafka", topics=TOPICS, **Broker's arguments)``.

    With ``topics=None`` the broker is returned without having been started. The same name again is the same folder.
    """
    made: list[Broker] = []

    def make(name: str = "kafka", *, topics: tuple[object, ...] | None = TOPICS, **options: object) -> Broker:
        broker = Broker(tmp_path / name, **options)
        made.append(broker)
        if topics is not None:
            broker.start()
            admin.apply(broker.bootstrap, topics)
        return broker

    yield make
    for broker in made:
        broker.stop()
