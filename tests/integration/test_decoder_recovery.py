"""A decoder that is killed or stopped, whose records Kafka refuses, or whose chunks nobody reads."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.ids import digest
from streams import topics
from streams.chunklog import ChunkLog
from streams.decoder.source_of_jobs import JobMessage, JobSource
from streams.decoder.worker import EXIT_SOFTWARE
from streams.local.broker import Broker
from tests.integration.decoder_rig import (
    committed,
    failures,
    make_job,
    manifests,
    process,
    records,
    running,
    settings,
    submit,
    until_committed,
)
from tests.kafka import BrokerFactory
from tests.lab import set_topic
from tests.waiting import until

pytestmark = pytest.mark.kafka

AUDIO = topics.CHUNKS["audio"]
PARTITIONS = [(AUDIO.name, n) for n in range(AUDIO.partitions)]
SIGNALS = "dailies-inference-signals"


@contextlib.contextmanager
def reading(bootstrap: str, group: str) -> Iterator[Consumer]:
    """An inference group at work: reads all of the topic, and commits by hand."""
    base = {"bootstrap.servers": bootstrap, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer({**base, "group.id": group})
    consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in PARTITIONS])
    try:
        yield consumer
    finally:
        consumer.close()


class Sources(Protocol):
    """Makes job sources."""

    def __call__(self, on_abandoned: Callable[[JobMessage], None] = ...) -> JobSource: ...


@pytest.fixture
def sources(kafka: Broker) -> Iterator[Sources]:
    """Sources that are closed whatever happens: one left open would keep the test process from ending."""
    with contextlib.ExitStack() as stack:

        def make(on_abandoned: Callable[[JobMessage], None] = lambda _: None) -> JobSource:
            source = JobSource(kafka.bootstrap, on_assigned=lambda: None, on_abandoned=on_abandoned)
            stack.callback(source.close)
            return source

        yield make


def test_urgent_jobs_go_first_then_the_oldest(kafka: Broker, sources: Sources) -> None:
    bootstrap = kafka.bootstrap
    source = sources()
    names = ["queue-1", "queue-2", "queue-3"]
    for name in names:
        submit(bootstrap, make_job(name, chunks=1))
    submit(bootstrap, make_job("queue-urgent", chunks=1), urgent=True)
    until(lambda: source.poll(0.1) or source.waiting == 4, "all are read")
    taken = [source.take(0) for _ in range(4)]
    assert [m and m.record.key for m in taken] == [f"{name}/a0/0".encode() for name in ["queue-urgent", *names]]
    assert source.take(0) is None
    for message in taken:
        assert message is not None
        source.done(message)


def take_all(source: JobSource, taken: dict[str, JobMessage]) -> int:
    """Poll once and take what has come; how many there are now."""
    source.poll(0.05)
    taken.update({message.record.place: message for message in iter(lambda: source.take(0), None)})
    return len(taken)


def test_jobs_of_a_partition_that_moves_are_abandoned_and_go_to_its_new_decoder(kafka: Broker, sources: Sources) -> None:
    bootstrap = kafka.bootstrap
    abandoned: list[JobMessage] = []
    old = sources(abandoned.append)
    until(lambda: old.poll(0.1) or old.assigned, "the first has all partitions", 120)
    places = submit(bootstrap, *(make_job(f"moving-{n}", chunks=1) for n in range(24)))
    taken: dict[str, JobMessage] = {}
    until(lambda: take_all(old, taken) == 24, "all are taken")
    new = sources()
    until(lambda: old.poll(0.05) or new.poll(0.05) or (abandoned and new.assigned), "partitions have moved", 120)
    moved = {m.record.place for m in abandoned}
    assert 0 < len(moved) < 24
    assert all(m.abandoned.is_set() == (place in moved) for place, m in taken.items())
    for message in taken.values():
        old.done(message)
    kept = [f"{p.topic}/{p.partition}/{p.offset}" not in moved for p in places]

    def as_kept() -> bool:
        old.poll(0.1)  # commits; refused while the rebalance settles, and tried again
        return [committed(bootstrap, p) for p in places] == kept

    until(as_kept, "what was kept is committed, and nothing else")
    again: dict[str, JobMessage] = {}
    until(lambda: old.poll(0.05) or take_all(new, again) == len(moved), "the others are taken again")
    assert again.keys() == moved
    for message in again.values():
        new.done(message)

    def all_committed() -> bool:
        old.poll(0.05)
        new.poll(0.05)
        return all(committed(bootstrap, p) for p in places)

    until(all_committed, "everything is committed in the end")


@pytest.mark.chaos
def test_a_full_partition_that_goes_away_and_comes_back_is_read_again(kafka: Broker, sources: Sources) -> None:
    """What is read far enough ahead is paused, and the client would keep the pause of a partition that comes back."""
    old = sources()
    until(lambda: old.poll(0.1) or old.assigned == 16, "the first has all partitions", 120)
    places = submit(kafka.bootstrap, *(make_job(f"coming-back-{n}", chunks=1) for n in range(80)))
    until(lambda: old.poll(0.05) or old.waiting >= 32, "every partition is full")
    new = sources()
    until(lambda: old.poll(0.05) or new.poll(0.05) or (new.assigned and old.assigned < 16), "partitions have moved", 120)
    new.close()
    until(lambda: old.poll(0.05) or old.assigned == 16, "they have come back", 120)
    taken: dict[str, JobMessage] = {}
    until(lambda: take_all(old, taken) >= len(places), "all are taken")
    assert taken.keys() == {f"{p.topic}/{p.partition}/{p.offset}" for p in places}
    for message in taken.values():
        old.done(message)
    until(lambda: old.poll(0.05) or all(committed(kafka.bootstrap, p) for p in places), "everything is committed")


def test_a_refused_chunk_ends_the_process_and_nothing_is_committed(kafka: Broker, tmp_path: Path) -> None:
    bootstrap, config = kafka.bootstrap, settings(tmp_path)
    client = AdminClient({"bootstrap.servers": bootstrap})
    set_topic(client, AUDIO, "max.message.bytes", "50000")
    try:
        with process(bootstrap, config) as decoder:
            (place,) = submit(bootstrap, make_job("refused"))
            assert decoder.wait(60) == EXIT_SOFTWARE
        assert not committed(bootstrap, place)
        assert manifests(bootstrap, "refused") == []
    finally:
        set_topic(client, AUDIO, "max.message.bytes", str(topics.MAX_MESSAGE_BYTES))
    with running(bootstrap, config):
        until_committed(bootstrap, place)
    assert len(manifests(bootstrap, "refused")) == 1


@pytest.mark.chaos
def test_a_job_that_kills_the_decoder_itself_is_given_up(kafka: Broker, tmp_path: Path) -> None:
    bootstrap, config = kafka.bootstrap, settings(tmp_path, attempts=2)
    (place,) = submit(bootstrap, make_job("deadly", hold=str(tmp_path / "never")))
    for attempt in range(2):
        with process(bootstrap, config) as decoder:
            until(lambda n=attempt: len(records(bootstrap, AUDIO.name, "deadly")) == n + 1, "the first chunk is out")
            decoder.kill()
            decoder.wait()
    with running(bootstrap, config):
        until_committed(bootstrap, place)
    assert [(f["reason"], f["attempts"]) for f in failures(bootstrap, "deadly")] == [("decoder_killed", 2)]


def test_decoding_waits_until_chunks_are_read_and_then_deletes_them(new_broker: BrokerFactory, tmp_path: Path) -> None:
    bootstrap = new_broker().bootstrap
    log = ChunkLog(bootstrap)
    with running(bootstrap, settings(tmp_path, chunk_budget_bytes=350_000, decode_stall_seconds=1)):
        (place,) = submit(bootstrap, make_job("slow", chunks=12))
        until(lambda: sum(log.ends(PARTITIONS).values()) == 3, "the budget is used")
        # Longer than the stall limit: a child that may not send is not one that hangs.
        unread = time.monotonic() + 2.5
        until(lambda: time.monotonic() > unread, "time passes")
        assert sum(log.ends(PARTITIONS).values()) == 3
        assert sum(log.starts(PARTITIONS).values()) == 0
        assert set(log.committed(SIGNALS, PARTITIONS).values()) == {0}

        seen = []
        with reading(bootstrap, SIGNALS) as consumer:
            while len(seen) < 12:
                message = consumer.poll(60)
                assert message is not None and message.error() is None
                assert sum(log.ends(PARTITIONS).values()) <= len(seen) + 3
                seen.append(digest(message.value()))
                consumer.commit(message, asynchronous=False)
        until_committed(bootstrap, place)
        until(lambda: log.starts(PARTITIONS) == log.ends(PARTITIONS), "all is deleted")
    (manifest,) = manifests(bootstrap, "slow")
    assert {r.digests[""] for r in manifest.chunks if r.rendition == "audio"} == set(seen)
    assert failures(bootstrap, "slow") == []


@pytest.mark.chaos
def test_a_killed_decoder_leaves_its_job_to_the_next_which_makes_the_same(kafka: Broker, tmp_path: Path) -> None:
    bootstrap, hold = kafka.bootstrap, tmp_path / "go-on"
    config = settings(tmp_path)
    with process(bootstrap, config) as first:
        (place,) = submit(bootstrap, make_job("killed", hold=str(hold)))
        until(lambda: records(bootstrap, AUDIO.name, "killed"), "the first chunk is out")
        first.kill()
        first.wait()
    assert not committed(bootstrap, place)
    hold.mkdir()
    with running(bootstrap, config):
        until_committed(bootstrap, place)
    found = records(bootstrap, AUDIO.name, "killed")
    assert len(found) == 5
    assert len({(r.key, digest(r.value), r.headers["chunk"]) for r in found}) == 4
    assert len(manifests(bootstrap, "killed")) == 1


@pytest.mark.chaos
def test_a_stopped_decoder_does_not_commit_nor_count_what_it_had_begun(kafka: Broker, tmp_path: Path) -> None:
    bootstrap, hold = kafka.bootstrap, tmp_path / "go-on"
    with running(bootstrap, settings(tmp_path)):
        (place,) = submit(bootstrap, make_job("stopped", hold=str(hold)))
        until(lambda: records(bootstrap, AUDIO.name, "stopped"), "the first chunk is out")
    assert not committed(bootstrap, place)
    assert list((tmp_path / "attempts" / "decoder").iterdir()) == []
    hold.mkdir()
    with running(bootstrap, settings(tmp_path)):
        until_committed(bootstrap, place)
    assert len(manifests(bootstrap, "stopped")) == 1
