"""Clocks that are hours off decide nothing in the aggregator; and a run that could not be closed is closed at a tick."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from processors import tasks
from processors.sidecar import SidecarWriter
from schemas.types import EventType
from streams import topics
from streams.aggregator.service import Service
from tests.sums import PLANNED, Kafka, SumTask, messages_of, seeded

Message = tuple[dict[str, bytes], bytes]


@pytest.fixture(autouse=True)
def only_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "registry", lambda: {"sum": SumTask()})


def tick(hours: float) -> Message:
    at = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    return {"ce_type": EventType.TICK.encode(), "ce_time": at.encode()}, b"{}"


def drive(messages: list[Message], folder: Path) -> Kafka:
    kafka = Kafka()
    service = Service({}, SidecarWriter(folder.as_uri()), kafka.emit)

    async def main() -> None:
        for headers, value in messages:
            await service.handle(headers, value)

    asyncio.run(main())
    return kafka


@pytest.mark.parametrize("hours", [-48.0, -1.0, 1.0, 48.0])
def test_ticks_of_a_clock_that_is_off_do_no_harm(tmp_path: Path, hours: float) -> None:
    quiet = [PLANNED, *messages_of(seeded())]
    skewed = [
        ({**headers, "ce_time": tick(-hours)[0]["ce_time"]}, value) if number else (headers, value)
        for number, (headers, value) in enumerate(quiet)
    ]
    among = [message for one in skewed for message in (one, tick(hours))]
    found, reference = drive(among, tmp_path / "side"), drive(quiet, tmp_path / "side")
    assert found.finals() == reference.finals()
    assert len(found.finals()) == 1
    assert found.on(topics.SEGMENTS.name) == reference.on(topics.SEGMENTS.name), "no job is issued again"


def test_a_run_whose_last_event_was_given_up_is_closed_at_the_next_tick(tmp_path: Path) -> None:
    kafka, refusing = Kafka(), True

    async def emit(topic: str, key: bytes, value: bytes, headers: dict[str, bytes]) -> tuple[str, int, int]:
        if refusing and topic == topics.METADATA.name:
            raise ConnectionError("refused")
        return await kafka.emit(topic, key, value, headers)

    service = Service({}, SidecarWriter((tmp_path / "side").as_uri()), emit)

    async def main() -> None:
        nonlocal refusing
        *before, last = [PLANNED, *messages_of(seeded())]
        for headers, value in before:
            await service.handle(headers, value)
        with pytest.raises(ConnectionError):
            await service.handle(*last)
        refusing = False
        await service.handle(*tick(0))
        assert kafka.finals() == [], "a key is only written from its own partition, and the tick's is any"
        ((_, key, value, headers),) = [sent for sent in kafka.sent if sent[3]["ce_type"] == EventType.CHECK.encode()]
        assert key == b"a" * 32
        await service.handle(headers, value)

    asyncio.run(main())
    assert kafka.finals() == drive([PLANNED, *messages_of(seeded())], tmp_path / "side").finals()
