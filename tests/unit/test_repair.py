"""Repair: what readers have passed without a result is issued again, a bounded number of times, and at last a named gap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from processors import tasks
from processors.sidecar import SidecarWriter
from schemas.events import ContentMetadata
from schemas.manifest import JobFailed, Manifest, Offsets
from schemas.plan import Cancel, Job
from schemas.types import EventType
from streams.aggregator.jobs import Repairs
from streams.aggregator.repair import Waiting
from streams.aggregator.service import Service
from streams.groups import DECODERS, inference_group
from tests.sums import CHUNKS, PLANNED, SEGMENTS, Kafka, SumTask, cell, manifest, messages_of, plan, seeded

TICK = ({"ce_type": EventType.TICK.encode()}, b"{}")


@pytest.fixture(autouse=True)
def only_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "registry", lambda: {"sum": SumTask()})


class Rig:
    """An aggregator, and a Kafka in which ``committed`` and ``starts`` are what the test says."""

    def __init__(self, tmp_path: Path, *, grace: float = 0.0, attempts: int = 3) -> None:
        self.kafka, self.table = Kafka(), {}
        self.committed: dict[str, Offsets] = {}
        self.starts: Offsets = {}
        self.asked: list[Waiting] = []
        self.writer = SidecarWriter((tmp_path / "side").as_uri())
        self.repairs = Repairs(self.observe, attempts, grace)
        self.restart()

    def restart(self) -> None:
        self.service = Service(self.table, self.writer, self.kafka.emit, repairs=self.repairs)

    def observe(self, wanted: list[Waiting]) -> tuple[dict[str, Offsets], Offsets]:
        self.asked = wanted
        return self.committed, self.starts

    async def look(self) -> None:
        """A tick, and then the check that it may have sent, which comes behind everything else."""
        before = len(self.kafka.on("media.inferences"))
        await self.service.handle(*TICK)
        for check in self.kafka.on("media.inferences")[before:]:
            await self.service.handle({"ce_type": EventType.CHECK.encode()}, check)

    def jobs(self) -> list[Job]:
        return [Job.model_validate_json(body) for body in self.kafka.on("media.segments")]

    def decoded(self) -> None:
        """The decoders have committed every job so far."""
        self.committed[DECODERS] = {"media.segments/0": len(self.kafka.sent)}

    def final(self) -> ContentMetadata:
        (body,) = self.kafka.finals()
        return ContentMetadata.model_validate_json(body)


Drive = Callable[[Rig], Awaitable[None]]


def go(drive: Drive, rig: Rig) -> None:
    asyncio.run(drive(rig))


def test_a_backlog_is_no_loss(tmp_path: Path) -> None:
    async def drive(rig: Rig) -> None:
        await rig.service.handle(*PLANNED)
        for _ in range(5):
            await rig.look()

    rig = Rig(tmp_path)
    go(drive, rig)
    assert len(rig.jobs()) == SEGMENTS
    assert {item.job for item in rig.asked} == {("v0", s) for s in range(SEGMENTS)}
    assert EventType.CHECK.value not in {h["ce_type"].decode() for *_, h in rig.kafka.sent}


def test_a_job_without_a_manifest_is_issued_again_and_completes(tmp_path: Path) -> None:
    messages = messages_of(seeded())
    per_job = CHUNKS + 1

    async def drive(rig: Rig) -> None:
        await rig.service.handle(*PLANNED)
        for message in messages[: 2 * per_job]:  # nothing of segment 2 comes
            await rig.service.handle(*message)
        rig.decoded()
        await rig.look()
        rig.restart()
        for headers, value in messages[2 * per_job :]:
            if headers["ce_type"] == EventType.MANIFEST.encode():
                value = Manifest.model_validate_json(value).model_copy(update={"attempt": 1}).to_bytes()
            await rig.service.handle(headers, value)

    rig = Rig(tmp_path)
    go(drive, rig)
    assert [(job.segment, job.attempt) for job in rig.jobs()] == [(0, 0), (1, 0), (2, 0), (2, 1)]
    assert rig.final().run.status == "complete"


def test_a_lost_result_is_replaced_by_doing_its_job_again(tmp_path: Path) -> None:
    messages = messages_of(seeded())

    async def drive(rig: Rig) -> None:
        await rig.service.handle(*PLANNED)
        for message in [m for i, m in enumerate(messages) if i != 1]:  # cell 1 of segment 0 is lost
            await rig.service.handle(*message)
        await rig.look()
        assert len(rig.jobs()) == SEGMENTS, "the decoder's offset has not passed the job"
        rig.decoded()
        await rig.look()
        await rig.look()
        assert [(j.segment, j.attempt) for j in rig.jobs()][SEGMENTS:] == [(0, 1)], "and only once while it is under way"
        await rig.service.handle(*messages[1])

    rig = Rig(tmp_path)
    go(drive, rig)
    assert rig.final().run.status == "complete"


def test_the_loss_must_be_known_for_some_time(tmp_path: Path) -> None:
    async def drive(rig: Rig) -> None:
        await rig.service.handle(*PLANNED)
        rig.decoded()
        for _ in range(3):
            await rig.look()

    rig = Rig(tmp_path, grace=3600)
    go(drive, rig)
    assert len(rig.jobs()) == SEGMENTS


def test_what_never_comes_is_a_named_gap_at_last(tmp_path: Path) -> None:
    messages = messages_of(seeded())

    async def drive(rig: Rig) -> None:
        await rig.service.handle(*PLANNED)
        for message in messages[: -(CHUNKS + 1)]:
            await rig.service.handle(*message)
        for _ in range(3):
            rig.decoded()
            await rig.look()

    rig = Rig(tmp_path, attempts=3)
    go(drive, rig)
    assert [j.attempt for j in rig.jobs() if j.segment == 2] == [0, 1, 2]
    event = rig.final()
    assert event.run.status == "incomplete"
    (gap,) = event.coverage.gaps
    assert gap.reason == "lost: its manifest did not come in 3 attempts"
    assert event.coverage.streams["v0"].missing == 20


def test_a_chunk_is_lost_when_its_group_or_its_log_has_passed_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with a rendition: the group of the task reads it, not the decoder."""
    from dataclasses import replace

    monkeypatch.setattr(SumTask, "spec", replace(SumTask.spec, where="agent", rendition="proxy", group="signals"))
    values = seeded()
    cells = [cell(0, n, values) for n in range(CHUNKS)]
    cells = [replace(c, key=replace(c.key, rendition="proxy")) for c in cells]
    whole = plan().model_copy(update={"tasks": (SumTask.spec.ref(),), "jobs": plan().jobs[:1]})
    records = [
        r.model_copy(
            update={
                "rendition": "proxy",
                "digests": {"": r.digests["sum"]},
                "topic": "media.chunks.proxy",
                "partition": 3,
                "offset": 10 + r.n,
            }
        )
        for r in manifest(0, cells).chunks
    ]
    said = manifest(0, cells).model_copy(update={"chunks": tuple(records)})

    def lost(committed: int, start: int) -> int:
        rig = Rig(tmp_path)

        async def drive(rig: Rig) -> None:
            await rig.service.handle(PLANNED[0], whole.model_dump_json().encode())
            for c in cells[:2]:
                await rig.service.handle({"ce_type": EventType.CELL.encode(), **c.headers()}, c.value)
            await rig.service.handle({"ce_type": EventType.MANIFEST.encode()}, said.to_bytes())
            rig.decoded()
            rig.committed[inference_group("signals")] = {"media.chunks.proxy/3": committed}
            rig.starts = {"media.chunks.proxy/3": start}
            await rig.look()

        go(drive, rig)
        return len(rig.jobs()) - 1

    assert (lost(12, 0), lost(13, 0), lost(12, 12), lost(0, 13)) == (0, 1, 0, 1)


def test_cancel_ends_an_asset_with_what_is_missing_named(tmp_path: Path) -> None:
    messages = messages_of(seeded())
    cancel = ({"ce_type": EventType.CANCEL.encode()}, Cancel(asset="a" * 32, reason="wrong reel").model_dump_json().encode())

    async def drive(rig: Rig) -> None:
        await rig.service.handle(*cancel)  # of nothing that is under way
        await rig.service.handle(*PLANNED)
        for message in [m for i, m in enumerate(messages[: 2 * (CHUNKS + 1)]) if i not in (1, 2)]:
            await rig.service.handle(*message)
        await rig.service.handle(*cancel)
        await rig.service.handle(*cancel)
        for message in messages:
            await rig.service.handle(*message)

    rig = Rig(tmp_path)
    go(drive, rig)
    event = rig.final()
    assert event.run.status == "incomplete"
    assert {(g.task, g.reason) for g in event.coverage.gaps} == {(None, "cancelled: wrong reel"), ("sum", "wrong reel")}
    assert event.coverage.streams["v0"].missing == 20
    assert event.coverage.streams["v0"].failed == 10


def test_a_source_that_changed_is_planned_anew_once(tmp_path: Path) -> None:
    def failed(segment: int) -> tuple[dict[str, bytes], bytes]:
        failure = JobFailed(
            run="r", asset="a" * 32, stream="v0", segment=segment, reason="source_changed", message="it grew", attempts=1
        )
        return {"ce_type": EventType.JOB_FAILED.encode()}, failure.model_dump_json().encode()

    async def drive(rig: Rig) -> None:
        await rig.service.handle(*PLANNED)
        for segment in range(SEGMENTS):
            await rig.service.handle(*failed(segment))
            rig.restart()

    rig = Rig(tmp_path)
    go(drive, rig)
    (upload,) = rig.kafka.on("media.uploads")
    assert b'"uri":"file:///x.mp4"' in upload
    event = rig.final()
    assert event.run.status == "incomplete"
    assert event.run.reason is not None and event.run.reason.startswith("source_changed")


def test_a_late_manifest_of_a_job_that_was_given_up_changes_nothing(tmp_path: Path) -> None:
    """What comes behind the job is folded already: to take it in would make a hole that nothing tells of."""
    messages = messages_of(seeded())
    per_job = CHUNKS + 1
    failure = JobFailed(run="r", asset="a" * 32, stream="v0", segment=0, reason="child_crashed", message="x", attempts=3)

    async def drive(rig: Rig) -> None:
        await rig.service.handle(*PLANNED)
        for message in messages[per_job : 2 * per_job]:
            await rig.service.handle(*message)
        await rig.service.handle({"ce_type": EventType.JOB_FAILED.encode()}, failure.model_dump_json().encode())
        for message in [*messages[:per_job], *messages[2 * per_job :]]:
            await rig.service.handle(*message)

    rig = Rig(tmp_path)
    go(drive, rig)
    assert rig.final().run.status == "incomplete"
    assert rig.final().coverage.streams["v0"].missing == 20
