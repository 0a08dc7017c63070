"""How a run ends where decoding failed: unprocessable if the material is why nothing came out, incomplete if something did."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from processors import tasks
from processors.sidecar import SidecarWriter
from schemas.events import ContentMetadata
from schemas.manifest import JobFailed
from schemas.types import EventType
from streams.aggregator.service import Service
from streams.aggregator.store import RunStore
from tests.sums import CHUNKS, PLANNED, SEGMENTS, Kafka, SumTask, cell, manifest, seeded

Sent = tuple[dict[str, bytes], bytes]


@pytest.fixture(autouse=True)
def only_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "registry", lambda: {"sum": SumTask()})


def failed(segment: int, reason: str = "child_crashed") -> Sent:
    known = {"run": "r", "asset": "a" * 32, "stream": "v0", "segment": segment}
    event = JobFailed(**known, reason=reason, message=f"segment {segment}", attempts=3)
    return {"ce_type": EventType.JOB_FAILED.encode()}, event.model_dump_json().encode()


def cells_of(segment: int) -> list[Sent]:
    cells = [cell(segment, n, seeded()) for n in range(CHUNKS)]
    return [({"ce_type": EventType.CELL.encode(), **c.headers()}, c.value) for c in cells]


def done(segment: int) -> list[Sent]:
    whole = manifest(segment, [cell(segment, n, seeded()) for n in range(CHUNKS)])
    return [*cells_of(segment), ({"ce_type": EventType.MANIFEST.encode()}, whole.to_bytes())]


def empty(segment: int) -> Sent:
    nothing = {"decoded": 0, "first_pts": None, "last_pts": None, "end_pts": None}
    return {"ce_type": EventType.MANIFEST.encode()}, manifest(segment, []).model_copy(update=nothing).to_bytes()


def final(tmp_path: Path, messages: Sequence[Sent]) -> ContentMetadata:
    kafka = Kafka()
    service = Service({}, SidecarWriter((tmp_path / "side").as_uri()), kafka.emit)

    async def drive() -> None:
        for headers, value in [PLANNED, *messages]:
            await service.handle(headers, value)

    asyncio.run(drive())
    (body,) = kafka.finals()
    return ContentMetadata.model_validate_json(body)


@pytest.mark.parametrize("order", [*itertools.permutations(range(SEGMENTS))])
def test_an_asset_that_no_decoder_survives_is_unprocessable(tmp_path: Path, order: Sequence[int]) -> None:
    event = final(tmp_path, [failed(segment) for segment in order])
    assert (event.run.status, event.run.reason) == ("unprocessable", "child_crashed: segment 0")
    assert [gap.reason for gap in event.coverage.gaps] == [f"child_crashed: segment {n}" for n in range(SEGMENTS)]
    assert event.coverage.streams["v0"].missing == event.coverage.streams["v0"].expected
    assert {m.value for m in event.measurements} == {None}


def test_what_came_before_the_crash_does_not_count_as_decoded(tmp_path: Path) -> None:
    event = final(tmp_path, [*cells_of(0), failed(0, "child_out_of_memory"), failed(1), failed(2)])
    assert event.run.reason == "child_out_of_memory: segment 0"
    assert event.run.status == "unprocessable" and {m.value for m in event.measurements} == {None}


def test_one_segment_that_worked_makes_it_incomplete(tmp_path: Path) -> None:
    event = final(tmp_path, [failed(0), *done(1), failed(2)])
    assert (event.run.status, event.run.reason) == ("incomplete", "child_crashed: segment 0")
    assert event.coverage.streams["v0"].decoded == CHUNKS * 5


@pytest.mark.parametrize("reason", ["cancelled", "lost", "source_changed"])
def test_reasons_that_say_nothing_of_the_material(tmp_path: Path, reason: str) -> None:
    event = final(tmp_path, [failed(0), failed(1, reason), failed(2)])
    assert event.run.status == "incomplete"


def test_decoders_that_give_nothing(tmp_path: Path) -> None:
    event = final(tmp_path, [empty(segment) for segment in range(SEGMENTS)])
    assert event.run.status == "unprocessable"
    assert event.run.reason is not None and event.run.reason.startswith("nothing_decoded: ")
    assert not event.coverage.gaps


def test_closed_runs_are_forgotten_by_their_age() -> None:
    table: dict[str, bytes] = {}
    store = RunStore(table)
    for n in range(4):
        store.close(f"a{n}/r", f"e{n}", f"2026-01-0{n + 1}T00:00:00")

    def expire(before: str, partition: str = "a") -> list[str]:
        store.expire(before, like="a9/r", same=lambda key, like: key.startswith(partition))
        return [run for run in ("a0/r", "a1/r", "a2/r", "a3/r") if store.closed(run)]

    assert expire("2026-01-01T00:00:00") == ["a0/r", "a1/r", "a2/r", "a3/r"]
    assert expire("2026-01-02T12:00:00", partition="b") == ["a0/r", "a1/r", "a2/r", "a3/r"]
    assert expire("2026-01-02T12:00:00") == ["a2/r", "a3/r"]
    store.close("a0/r", "e0", "2026-01-05T00:00:00")
    assert expire("2026-01-03T12:00:00") == ["a0/r", "a3/r"]
    assert expire("2026-01-09T00:00:00") == []
    assert table == {}
