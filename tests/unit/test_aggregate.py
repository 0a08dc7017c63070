"""The aggregate and its store: any order, any number of times, any crash in between give the same result."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from processors import tasks
from processors.aggregate import Aggregate
from processors.sidecar import SidecarWriter
from schemas.cell import CellStatus
from schemas.events import ContentMetadata
from schemas.manifest import JobFailed
from schemas.types import EventType
from streams.aggregator.service import Service
from streams.aggregator.store import RunStore, decode_cell, encode_cell
from tests.sums import CHUNKS, PLANNED, SEGMENTS, Kafka, SumTask, cell, manifest, messages_of, plan, seeded


@pytest.fixture(autouse=True)
def only_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "registry", lambda: {"sum": SumTask()})


def _reference(tmp_path: Path) -> bytes:
    kafka = Kafka()
    service = Service({}, SidecarWriter((tmp_path / "side").as_uri()), kafka.emit)

    async def drive() -> None:
        await service.handle(*PLANNED)
        for headers, value in messages_of(seeded()):
            await service.handle(headers, value)

    asyncio.run(drive())
    (final,) = kafka.finals()
    return final


def test_quiet_run_is_complete_and_right(tmp_path: Path) -> None:
    event = ContentMetadata.model_validate_json(_reference(tmp_path))
    assert event.run.status == "complete"
    assert event.coverage.chunks.ok == SEGMENTS * CHUNKS
    total = 0.0
    for value in seeded():
        total = total * 0.5 + value
    found = {m.id: m.value for m in event.measurements}
    assert found == {"video.luma_mean": total, "video.frames": 60.0}
    assert event.findings, "the seeded values hold runs of ones"


@pytest.mark.parametrize("seed", range(12))
def test_any_order_duplicates_and_restarts_give_the_same_event(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.aggregator.service.CHECKPOINT_CELLS", 3)
    reference = _reference(tmp_path)
    rng = random.Random(seed)
    messages = messages_of(seeded()) * 2
    rng.shuffle(messages)
    messages.insert(rng.randrange(6), PLANNED)
    kafka, table, writer = Kafka(), {}, SidecarWriter((tmp_path / "side").as_uri())

    async def drive() -> None:
        service = Service(table, writer, kafka.emit)
        for headers, value in messages:
            if rng.random() < 0.2:
                service = Service(table, writer, kafka.emit)  # killed and recovered: only the table is left
            await service.handle(headers, value)

    asyncio.run(drive())
    finals = kafka.finals()
    assert finals and set(finals) == {reference}
    assert [key.rsplit("/", 1)[1] for key in table] == ["closed"]


def test_a_broken_emit_loses_nothing(tmp_path: Path) -> None:
    """The guard retries a handler whose emit failed: half-done steps must not count as done."""
    reference = _reference(tmp_path)
    rng = random.Random(3)
    kafka = Kafka()

    async def flaky(topic: str, key: bytes, value: bytes, headers: dict[str, bytes]) -> tuple[str, int, int]:
        if rng.random() < 0.5:
            raise ConnectionError("the broker went away")
        return await kafka.emit(topic, key, value, headers)

    service = Service({}, SidecarWriter((tmp_path / "side").as_uri()), flaky)

    async def drive() -> None:
        for headers, value in [
            ({"ce_type": EventType.PLANNED.encode()}, plan().model_dump_json().encode()),
            *messages_of(seeded()),
        ]:
            while True:
                try:
                    await service.handle(headers, value)
                    break
                except ConnectionError:
                    continue

    asyncio.run(drive())
    assert set(kafka.finals()) == {reference}


def test_failed_cell_and_failed_job_are_named_gaps(tmp_path: Path) -> None:
    kafka, values = Kafka(), seeded()
    service = Service({}, SidecarWriter((tmp_path / "side").as_uri()), kafka.emit)
    failure = JobFailed(
        run="r", asset="a" * 32, stream="v0", segment=2, reason="child_crashed", message="signal 11", attempts=3
    )

    async def drive() -> None:
        await service.handle(*PLANNED)
        for segment in range(2):
            cells = [
                cell(segment, n, values, CellStatus.FAILED if (segment, n) == (1, 1) else CellStatus.OK) for n in range(CHUNKS)
            ]
            for c in cells:
                await service.handle({"ce_type": EventType.CELL.encode(), **c.headers()}, c.value)
            await service.handle({"ce_type": EventType.MANIFEST.encode()}, manifest(segment, cells).to_bytes())
        await service.handle({"ce_type": EventType.JOB_FAILED.encode()}, failure.model_dump_json().encode())

    asyncio.run(drive())
    (final,) = kafka.finals()
    event = ContentMetadata.model_validate_json(final)
    assert event.run.status == "incomplete"
    assert {(g.task, g.reason.split(":")[0]) for g in event.coverage.gaps} == {(None, "child_crashed"), ("sum", "it broke")}
    coverage = event.coverage.streams["v0"]
    assert (coverage.expected, coverage.decoded, coverage.failed, coverage.missing) == (60, 40, 5, 20)


def test_result_of_other_data_than_the_manifest_names_is_ignored() -> None:
    values = seeded()
    aggregate = Aggregate(plan())
    other = cell(0, 0, values + 1)
    cells = [cell(0, n, values) for n in range(CHUNKS)]
    aggregate.add_manifest(manifest(0, cells))
    aggregate.add_cell(other)
    aggregate.advance("v0")
    assert aggregate.lanes["v0", "sum"].at == (0, 0)
    for c in cells:
        aggregate.add_cell(c)
    aggregate.advance("v0")
    assert aggregate.lanes["v0", "sum"].at == (1, 0)


def test_result_folded_before_a_contradicting_manifest_is_a_gap() -> None:
    values = seeded()
    aggregate = Aggregate(plan())
    aggregate.add_cell(cell(0, 0, values + 1))
    aggregate.advance("v0")
    aggregate.add_manifest(manifest(0, [cell(0, n, values) for n in range(CHUNKS)]))
    assert aggregate.streams["v0"].failed[0].reason == "digest_mismatch"


@pytest.mark.parametrize(("changed", "named"), [(0.0, False), (1.0, True)])
def test_what_is_folded_takes_no_room_and_is_known_all_the_same(changed: float, named: bool) -> None:
    values, aggregate = seeded(), Aggregate(plan())
    first = [cell(0, n, values, CellStatus.FAILED if n == 2 else CellStatus.OK) for n in range(CHUNKS)]
    for one in first:
        aggregate.add_cell(one)
    aggregate.add_manifest(manifest(0, first))
    aggregate.advance("v0")
    state = aggregate.streams["v0"]
    assert [record.n for record in state.manifests[0].chunks] == [2], "only what failed is asked for again"
    again = manifest(0, [*first[:3], cell(0, 3, values + changed)]).model_copy(update={"attempt": 1})
    assert aggregate.add_manifest(again)
    assert (0 in state.failed) == named
    assert [record.n for record in state.manifests[0].chunks] == [2]


def test_cell_survives_the_table() -> None:
    one = cell(1, 2, seeded())
    assert decode_cell(encode_cell(one)) == one


def test_store_starts_empty() -> None:
    store = RunStore({})
    assert store.load("a/r") is None
    assert store.closed("a/r") is None
