"""A bench for Faust apps on a real broker: topics of its own, records in and out, an app run until something holds."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import faust
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams import admin
from streams.connect import watermarks
from streams.record import Record
from streams.settings import Settings
from streams.topics import Topic
from tests.tools import end_all

WAIT_SECONDS = 150.0
_serial = itertools.count()


def set_topic(client: AdminClient, topic: Topic, name: str, value: str, **options: float) -> None:
    """Set one of a topic's settings. ``options`` are the request's, such as ``request_timeout``."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
    for future in client.incremental_alter_configs([resource], **options).values():
        future.result()


@dataclass
class Lab:
    """One test's corner of a broker."""

    bootstrap: str
    folder: Path
    made: list[subprocess.Popen[bytes]] = field(default_factory=list)
    members: dict[str, Consumer] = field(default_factory=dict)

    @cached_property
    def client(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap})

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=self.folder / "data", state_file=self.folder / "state.json")

    def name(self, what: str) -> str:
        """A name that no other test has."""
        return f"{what}-{os.getpid()}-{next(_serial)}"

    def topic(self, what: str, partitions: int = 1, *, compact: bool = False, name: str | None = None) -> Topic:
        made = Topic(name or self.name(what), partitions, "any", retention_ms=None if compact else 3_600_000, compact=compact)
        admin.apply(self.bootstrap, [made])
        return made

    def limit(self, topic: Topic, size: int) -> None:
        """Set a topic's largest record."""
        set_topic(self.client, topic, "max.message.bytes", str(size))

    def send(
        self, topic: Topic, records: Iterable[tuple[bytes | None, bytes | None]], partition: int = -1, **headers: str
    ) -> None:
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random", "message.max.bytes": 9 << 20}
        )
        for key, value in records:
            producer.produce(topic.name, value, key, partition=partition, headers=list(headers.items()))
            producer.poll(0)
        assert producer.flush(30) == 0

    def read(self, topic: Topic, *, until: Callable[[list[Record]], bool] | None = None) -> list[Record]:
        """Every record that lies there now, or until something holds of them."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.name("lab"), "fetch.wait.max.ms": 20})
        places = [TopicPartition(topic.name, p, 0) for p in range(topic.partitions)]
        ends = sum(high - low for low, high in (watermarks(consumer, place) for place in places))
        consumer.assign(places)
        found: list[Record] = []
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline and not (until(found) if until else len(found) >= ends):
            message = consumer.poll(0.2)
            if message is not None and not message.error():
                found.append(Record.from_confluent(message))
        consumer.close()
        assert until is None or until(found), f"{len(found)} records in {topic.name}"
        return found

    def committed(self, group: str, topic: Topic) -> list[int]:
        """The group's committed offset of each partition; 0 where there is none."""
        # Not the admin client's list_consumer_group_offsets: it dies of SIGSEGV where the group has no coordinator yet.
        places = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return [max(0, place.offset) for place in self._member(group).committed(places, timeout=60)]
            except KafkaException as error:  # the coordinator is being found, or the broker is away
                if time.monotonic() > deadline:
                    raise AssertionError("no committed offsets") from error
            time.sleep(0.1)

    def ends(self, topic: Topic) -> list[int]:
        """The next offset of each partition's log."""
        member = self._member("ends")
        return [watermarks(member, TopicPartition(topic.name, p), 60)[1] for p in range(topic.partitions)]

    def lag(self, group: str, topic: Topic) -> int:
        """How many records the group has not committed."""
        places = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
        ends = sum(watermarks(self._member(group), place, 60)[1] for place in places)
        return ends - sum(self.committed(group, topic))

    def _member(self, group: str) -> Consumer:
        """A client with the group's name that never joins it."""
        if group not in self.members:
            self.members[group] = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group})
        return self.members[group]

    def await_committed(self, group: str, topic: Topic, wanted: Sequence[int]) -> None:
        wait_for(lambda: self.committed(group, topic) == list(wanted), f"{group} to commit {wanted}")

    def start(self, worker: str, **options: Any) -> subprocess.Popen[bytes]:
        """A worker of ``tests.integration.workers`` in a process of its own."""
        body = json.dumps({"bootstrap": self.bootstrap, "folder": str(self.folder), **options})
        log = (self.folder / "worker.log").open("ab")
        self.made.append(
            subprocess.Popen([sys.executable, "-m", "tests.integration.workers", worker, body], stdout=log, stderr=log)
        )
        return self.made[-1]

    def end(self) -> None:
        end_all(self.made)

    def run(self, make: Callable[[], faust.App], until: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Run an app in this process until something holds."""

        async def main() -> None:
            async with running(make):
                await until_async(until, seconds)

        asyncio.run(main())


@asynccontextmanager
async def running(make: Callable[[], faust.App]) -> AsyncIterator[faust.App]:
    """An app that is started and has its partitions; stopped in good order afterwards."""
    app = make()
    ready = asyncio.Event()

    async def started() -> None:
        ready.set()

    app.on_startup_finished = started
    starting = asyncio.create_task(app.start())
    try:
        await asyncio.wait_for(ready.wait(), WAIT_SECONDS)
        yield app
    finally:
        await app.stop()
        await starting


async def until_async(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline, "it did not come to hold"
        await asyncio.sleep(0.02)


def wait_for(holds: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
