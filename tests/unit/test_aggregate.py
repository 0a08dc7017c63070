"""The aggregate and its store: any order, any number of times, any crash in between give the same result."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors import tasks
from processors.aggregate import Aggregate
from processors.findings import FindingDraft, FoldEvent, MeasurementDraft, Phase
from processors.sidecar import SidecarWriter
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd, TaskSpec
from schemas.cell import CellKey, CellResult, CellStatus, Signals
from schemas.clock import Clock
from schemas.events import ContentMetadata
from schemas.ids import digest
from schemas.manifest import ChunkRecord, JobFailed, Manifest
from schemas.plan import AssetRef, Job, Plan, StreamPlan, VideoFormat
from schemas.types import EventType
from streams.aggregator.service import Service
from streams.aggregator.store import RunStore, decode_cell, encode_cell

SPEC = TaskSpec("sum", "1", "video", "decode", "native", "adds up values; finds runs of ones")
SEGMENTS, CHUNKS, ROWS = 3, 4, 5


class SumFold:
    """Sums values, and finds runs of ones: enough to notice any loss, doubling or reordering."""

    def start(self, stream: StreamContext) -> dict[str, Any]:
        return {"total": 0.0, "since": None}

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        state, events = dict(state), []
        for row, value in enumerate(signals.arrays["x"], start=signals.first_row):
            state["total"] = state["total"] * 0.5 + float(value)
            if value == 1 and state["since"] is None:
                state["since"] = row
            elif value != 1 and state["since"] is not None:
                events.append(FoldEvent(Phase.END, _black(state["since"], row)))
                state["since"] = None
        return Step(state, tuple(events), {"x": signals.arrays["x"]})

    def finish(self, stream: StreamContext, state: dict[str, Any], journal: Any, end: StreamEnd) -> Outcome:
        events = () if state["since"] is None else (FoldEvent(Phase.END, _black(state["since"], end.end)),)
        rows = float(len(journal.get("x", ())))
        return Outcome(
            events,
            (MeasurementDraft("video.luma_mean", state["total"], "", "sum"), MeasurementDraft("video.frames", rows, "", "n")),
        )


def _black(start: int, end: int) -> FindingDraft:
    return FindingDraft("video.black", start, end, float(end - start), "s", "black", start_row=start, end_row=end)


class SumTask:
    spec = SPEC
    fold = SumFold()


@pytest.fixture(autouse=True)
def only_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "registry", lambda: {"sum": SumTask()})


def _plan() -> Plan:
    asset = AssetRef(id="a" * 32, uri="file:///x.mp4", version="1")
    clock = Clock(tick=(1, 25), frame_rate=(25, 1))
    jobs = tuple(
        Job(run="r", asset=asset, stream="v0", index=0, kind="video", segment=s, last=s == SEGMENTS - 1, clock=clock)
        for s in range(SEGMENTS)
    )
    stream = StreamPlan(
        id="v0",
        index=0,
        kind="video",
        decision="analysed",
        clock=clock,
        video=VideoFormat(width=8, height=8),
        frames=SEGMENTS * CHUNKS * ROWS,
        tasks=("sum",),
    )
    return Plan(
        run="r",
        asset=asset,
        caused_by="u",
        created="2026-01-01T00:00:00Z",
        code="1",
        container="mp4",
        streams=(stream,),
        tasks=(SPEC.ref(),),
        jobs=jobs,
    )


PLANNED = ({"ce_type": EventType.PLANNED.encode()}, _plan().model_dump_json().encode())


def _cell(segment: int, n: int, values: np.ndarray, status: CellStatus = CellStatus.OK) -> CellResult:
    first = (segment * CHUNKS + n) * ROWS
    value = Signals(first, ROWS, {"x": values[first : first + ROWS]}).to_bytes()
    key = CellKey("a" * 32, "r", "v0", segment, "native", n, "sum", "1")
    return CellResult(key, status, digest(value), value if status is CellStatus.OK else b"it broke", 0.25, "numpy")


def _manifest(segment: int, cells: list[CellResult]) -> Manifest:
    records = tuple(
        ChunkRecord(
            rendition="native",
            n=c.key.n,
            first_row=(segment * CHUNKS + c.key.n) * ROWS,
            rows=(ROWS, 0),
            fresh=segment == 0 and c.key.n == 0,
            bytes=len(c.value),
            digests={"sum": c.digest},
        )
        for c in cells
    )
    first = segment * CHUNKS * ROWS
    return Manifest(
        run="r",
        asset="a" * 32,
        stream="v0",
        segment=segment,
        kind="video",
        decoded=CHUNKS * ROWS,
        first_pts=first,
        last_pts=first + CHUNKS * ROWS - 1,
        end_pts=first + CHUNKS * ROWS,
        chunks=records,
    )


def _messages(values: np.ndarray) -> list[tuple[dict[str, bytes], bytes]]:
    messages = []
    for segment in range(SEGMENTS):
        cells = [_cell(segment, n, values) for n in range(CHUNKS)]
        messages += [({"ce_type": EventType.CELL.encode(), **c.headers()}, c.value) for c in cells]
        messages.append(({"ce_type": EventType.MANIFEST.encode()}, _manifest(segment, cells).to_bytes()))
    return messages


class Kafka:
    """Remembers what was emitted."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes, dict[str, bytes]]] = []

    async def emit(self, topic: str, key: bytes, value: bytes, headers: dict[str, bytes]) -> None:
        self.sent.append((topic, key, value, headers))

    def finals(self) -> list[bytes]:
        return [value for topic, _, value, _ in self.sent if topic == "media.metadata"]


def _values() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 3, SEGMENTS * CHUNKS * ROWS).astype(np.float64)


def _reference(tmp_path: Path) -> bytes:
    kafka = Kafka()
    service = Service({}, SidecarWriter((tmp_path / "side").as_uri()), kafka.emit)

    async def drive() -> None:
        await service.handle(*PLANNED)
        for headers, value in _messages(_values()):
            await service.handle(headers, value)

    asyncio.run(drive())
    (final,) = kafka.finals()
    return final


def test_quiet_run_is_complete_and_right(tmp_path: Path) -> None:
    event = ContentMetadata.model_validate_json(_reference(tmp_path))
    assert event.run.status == "complete"
    assert event.coverage.chunks.ok == SEGMENTS * CHUNKS
    total = 0.0
    for value in _values():
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
    messages = _messages(_values()) * 2
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

    async def flaky(topic: str, key: bytes, value: bytes, headers: dict[str, bytes]) -> None:
        if rng.random() < 0.5:
            raise ConnectionError("the broker went away")
        await kafka.emit(topic, key, value, headers)

    service = Service({}, SidecarWriter((tmp_path / "side").as_uri()), flaky)

    async def drive() -> None:
        for headers, value in [
            ({"ce_type": EventType.PLANNED.encode()}, _plan().model_dump_json().encode()),
            *_messages(_values()),
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
    kafka, values = Kafka(), _values()
    service = Service({}, SidecarWriter((tmp_path / "side").as_uri()), kafka.emit)
    failure = JobFailed(
        run="r", asset="a" * 32, stream="v0", segment=2, reason="child_crashed", message="signal 11", attempts=3
    )

    async def drive() -> None:
        await service.handle(*PLANNED)
        for segment in range(2):
            cells = [
                _cell(segment, n, values, CellStatus.FAILED if (segment, n) == (1, 1) else CellStatus.OK) for n in range(CHUNKS)
            ]
            for c in cells:
                await service.handle({"ce_type": EventType.CELL.encode(), **c.headers()}, c.value)
            await service.handle({"ce_type": EventType.MANIFEST.encode()}, _manifest(segment, cells).to_bytes())
        await service.handle({"ce_type": EventType.JOB_FAILED.encode()}, failure.model_dump_json().encode())

    asyncio.run(drive())
    (final,) = kafka.finals()
    event = ContentMetadata.model_validate_json(final)
    assert event.run.status == "incomplete"
    assert {(g.task, g.reason.split(":")[0]) for g in event.coverage.gaps} == {(None, "child_crashed"), ("sum", "it broke")}
    coverage = event.coverage.streams["v0"]
    assert (coverage.expected, coverage.decoded, coverage.failed, coverage.missing) == (60, 40, 5, 20)


def test_result_of_other_data_than_the_manifest_names_is_ignored() -> None:
    values = _values()
    aggregate = Aggregate(_plan())
    other = _cell(0, 0, values + 1)
    cells = [_cell(0, n, values) for n in range(CHUNKS)]
    aggregate.add_manifest(_manifest(0, cells))
    aggregate.add_cell(other)
    aggregate.advance("v0")
    assert aggregate.lanes["v0", "sum"].at == (0, 0)
    for c in cells:
        aggregate.add_cell(c)
    aggregate.advance("v0")
    assert aggregate.lanes["v0", "sum"].at == (1, 0)


def test_result_folded_before_a_contradicting_manifest_is_a_gap() -> None:
    values = _values()
    aggregate = Aggregate(_plan())
    aggregate.add_cell(_cell(0, 0, values + 1))
    aggregate.advance("v0")
    aggregate.add_manifest(_manifest(0, [_cell(0, n, values) for n in range(CHUNKS)]))
    assert aggregate.streams["v0"].failed[0].reason == "digest_mismatch"


def test_cell_survives_the_table() -> None:
    cell = _cell(1, 2, _values())
    assert decode_cell(encode_cell(cell)) == cell


def test_store_starts_empty() -> None:
    store = RunStore({})
    assert store.load("a/r") is None
    assert store.closed("a/r") is None
