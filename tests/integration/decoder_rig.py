"""What the decoder's tests share: jobs, running decoders, and looks at the topics."""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from schemas.clock import Clock
from schemas.manifest import Manifest
from schemas.plan import AssetRef, AudioFormat, Job
from schemas.types import EventType
from streams import topics
from streams.connect import Bystander, watermarks
from streams.groups import DECODERS
from streams.producer import Deliveries, make_producer
from streams.record import Record
from streams.settings import Settings
from tests.integration.decoder_child import HANDLER, SCHEME
from tests.waiting import until


def make_job(asset: str, *, segment: int = 0, **wish: Any) -> Job:
    """A job for the test child: ``wish`` says what it makes."""
    uri = SCHEME + json.dumps({"chunks": 4, "bytes": 100_000, **wish})
    return Job(
        run=f"run-{asset}",
        asset=AssetRef(id=asset, uri=uri, version="1"),
        stream="a0",
        index=0,
        kind="audio",
        segment=segment,
        last=True,
        clock=Clock(tick=(1, 48000)),
        audio=AudioFormat(rate=48000, channels=1),
        renditions=("audio",),
        agent_tasks=("loudness",),
        created="2026-01-01T00:00:00Z",
    )


def submit(bootstrap: str, *jobs: Job | bytes, urgent: bool = False, partition_key: bytes | None = None) -> list[Any]:
    """Publish jobs; where each one lies."""
    deliveries = Deliveries(make_producer(bootstrap))
    topic = topics.SEGMENTS_URGENT if urgent else topics.SEGMENTS
    for n, job in enumerate(jobs):
        value = job if isinstance(job, bytes) else job.model_dump_json().encode()
        key = partition_key or (b"bad" if isinstance(job, bytes) else job.key)
        deliveries.produce(topic.name, key=key, value=value, headers={"traceparent": b"00-trace"}, token=n)
    places = deliveries.flush_all(30)
    return [places[n] for n in range(len(jobs))]


def settings(folder: Path, **changes: Any) -> Settings:
    """Settings of a decoder with one child."""
    return Settings(data_dir=folder, decoders=1, **changes)


@contextlib.contextmanager
def process(bootstrap: str, config: Settings, handler: str = HANDLER) -> Iterator[subprocess.Popen[str]]:
    """A decoder in a process of its own, ready; killed at the end if it still lives."""
    command = [sys.executable, "-m", "tests.integration.decoder_process", bootstrap, config.model_dump_json(), handler]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as popen:
        try:
            assert popen.stdout is not None
            assert popen.stdout.readline() == "ready\n"
            yield popen
        finally:
            popen.kill()


@contextlib.contextmanager
def running(bootstrap: str, config: Settings, handler: str = HANDLER) -> Iterator[None]:
    """A decoder that is asked to stop at the end, and does."""
    with process(bootstrap, config, handler) as popen:
        yield
        assert popen.poll() is None
        popen.terminate()
        assert popen.wait(15) == 0


@functools.lru_cache(maxsize=4)
def _reader(bootstrap: str) -> Consumer:
    return Consumer({"bootstrap.servers": bootstrap, "group.id": "rig", "enable.auto.commit": False, "log_level": 0})


def records(bootstrap: str, topic: str, asset: str = "") -> list[Record]:
    """Everything that a topic holds now for an asset, by its key."""
    consumer = _reader(bootstrap)
    found = []
    for partition in range(next(t for t in topics.TOPICS if t.name == topic).partitions):
        low, high = watermarks(consumer, TopicPartition(topic, partition))
        if low == high:
            continue
        consumer.assign([TopicPartition(topic, partition, low)])
        position = low
        while position < high:
            message = consumer.poll(30)
            assert message is not None and message.error() is None
            found.append(Record.from_confluent(message))
            position = found[-1].offset + 1
    return [r for r in found if (r.key or b"").startswith(asset.encode())]


def of_type(found: list[Record], type: EventType) -> list[Record]:
    """The events of one type."""
    return [r for r in found if r.headers["ce_type"].decode() == type]


def manifests(bootstrap: str, asset: str) -> list[Manifest]:
    """An asset's manifests."""
    found = of_type(records(bootstrap, topics.INFERENCES.name, asset), EventType.MANIFEST)
    return [Manifest.model_validate_json(r.value) for r in found]


def failures(bootstrap: str, asset: str) -> list[dict[str, Any]]:
    """An asset's failed jobs."""
    found = of_type(records(bootstrap, topics.INFERENCES.name, asset), EventType.JOB_FAILED)
    return [json.loads(r.value) for r in found]


def committed(bootstrap: str, place: Any) -> bool:
    """Whether the decoder group has committed past a job."""
    asked = (place.topic, place.partition)
    with Bystander(bootstrap, DECODERS) as bystander:
        return bystander.committed([asked], 30).get(asked, 0) > place.offset


def until_committed(bootstrap: str, *places: Any) -> None:
    """Wait until the decoder group has committed past all of these jobs."""
    for place in places:
        until(lambda place=place: committed(bootstrap, place), f"{place} is committed", 120)  # type: ignore[misc]
