"""What the aggregator does with each event, apart from Faust: state in a table, effects through one ``emit``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from processors import assemble
from processors.aggregate import Aggregate
from processors.lane import Lane
from processors.sidecar import SidecarWriter
from schemas import cloudevents
from schemas.cell import CellResult
from schemas.errors import WireError
from schemas.events import ContentMetadata, Progress
from schemas.ids import identity
from schemas.manifest import JobFailed, Manifest
from schemas.plan import AssetRef, NoPlan, Plan
from schemas.types import SCHEMA_OF, EventType
from streams import topics
from streams.aggregator.store import RunStore, Table

log = structlog.get_logger(__name__)

Emit = Callable[[str, bytes, bytes, cloudevents.Headers], Awaitable[None]]
"""Publishes (topic, key, value, headers); returns when the broker has acknowledged it."""

M = TypeVar("M", bound=BaseModel)

CHECKPOINT_CELLS = 32
PROGRESS_SECONDS = 1.0


@dataclass(slots=True)
class Live:
    """A run under way, in memory."""

    aggregate: Aggregate
    told: float = 0.0


class Service:
    """The aggregator's logic. One event at a time; every method is done when its effects are acknowledged."""

    def __init__(self, table: Table, sidecar: SidecarWriter, emit: Emit) -> None:
        self._store = RunStore(table)
        self._sidecar = sidecar
        self._emit = emit
        self._live: dict[str, Live] = {}

    def forget(self) -> None:
        """Partitions came or went: what is in memory may be another worker's now."""
        self._live.clear()
        self._store.forget()

    async def handle(self, headers: cloudevents.Headers, value: bytes) -> None:
        """Take one event of media.assets or media.inferences. Raises ``WireError`` if it is none.

        After any error what is in memory is dropped and read from the table again, so that a retry finds no half-done step.
        """
        try:
            await self._dispatch(headers, value)
        except BaseException:
            self.forget()
            raise

    async def _dispatch(self, headers: cloudevents.Headers, value: bytes) -> None:
        match headers.get("ce_type", b"").decode():
            case EventType.PLANNED:
                await self._on_plan(_parse(Plan, value))
            case EventType.UNPROCESSABLE:
                await self._on_no_plan(_parse(NoPlan, value))
            case EventType.CELL:
                await self._on_cell(CellResult.from_message(headers, value))
            case EventType.MANIFEST:
                await self._on_manifest(_parse(Manifest, value))
            case EventType.JOB_FAILED:
                await self._on_failure(_parse(JobFailed, value))
            case other:
                raise WireError(f"the aggregator knows no event of type {other!r}")

    async def _on_plan(self, plan: Plan) -> None:
        run = f"{plan.asset.id}/{plan.run}"
        if self._store.closed(run):
            # The same upload again: who waits for it learns that its final event is there.
            await self._tell(Live(Aggregate(plan)), "complete", force=True)
            return
        if self._store.has_plan(run):
            return
        # Jobs before the plan's record: a crash in between issues them again, which does no harm; the other way round
        # a run could wait for jobs that nobody was given.
        for job in plan.jobs:
            topic = topics.SEGMENTS_URGENT if plan.priority == "urgent" else topics.SEGMENTS
            head = _headers(EventType.JOB, identity("job", plan.run, job.stream, job.segment, job.attempt), plan)
            await self._emit(topic.name, job.key, job.model_dump_json().encode(), head)
        self._store.put_plan(run, plan)
        live = self._at(run)
        if live is not None:
            await self._tell(live, "planned", force=True)
            await self._settle(run, live)

    async def _on_no_plan(self, no_plan: NoPlan) -> None:
        run = f"{no_plan.asset.id}/{no_plan.run}"
        if not self._store.closed(run):
            await self._publish(run, assemble.unprocessable(no_plan), no_plan)

    async def _on_cell(self, result: CellResult) -> None:
        run = f"{result.key.asset}/{result.key.run}"
        live = self._at(run)
        if live is None:
            if not self._store.closed(run):
                self._store.put_cell(run, result)  # its plan is still to come: any order is legal
            return
        if live.aggregate.add_cell(result):
            self._store.put_cell(run, result)
        await self._settle(run, live)

    async def _on_manifest(self, manifest: Manifest) -> None:
        run = f"{manifest.asset}/{manifest.run}"
        live = self._at(run)
        if live is None:
            if not self._store.closed(run):
                self._store.put_manifest(run, manifest)
            return
        if live.aggregate.add_manifest(manifest):
            self._store.put_manifest(run, manifest)
        await self._settle(run, live)

    async def _on_failure(self, failure: JobFailed) -> None:
        run = f"{failure.asset}/{failure.run}"
        live = self._at(run)
        if live is None:
            if not self._store.closed(run):
                self._store.put_failure(run, failure)
            return
        if live.aggregate.fail_job(failure):
            self._store.put_failure(run, failure)
        await self._settle(run, live)

    def _at(self, run: str) -> Live | None:
        if run not in self._live:
            aggregate = self._store.load(run)
            if aggregate is None:
                return None
            self._live[run] = Live(aggregate)
        return self._live[run]

    async def _settle(self, run: str, live: Live) -> None:
        """Fold what has become contiguous, keep it, tell how far it is, and close the run if it is complete."""
        aggregate = live.aggregate
        for stream in aggregate.streams:
            aggregate.advance(stream)
        if aggregate.complete:
            await self._close(run, live)
            return
        for lane in aggregate.lanes.values():
            if len(lane.fresh_folded()) >= CHECKPOINT_CELLS:
                await self._save_signals(aggregate, lane)
                self._store.put_checkpoint(run, lane)
        decoding = not all(state.settled for state in aggregate.streams.values())
        await self._tell(live, "decoding" if decoding else "analysing")

    async def _save_signals(self, aggregate: Aggregate, lane: Lane) -> None:
        if lane.recent:
            plan = aggregate.plan
            where = (plan.asset.id, plan.run, lane.stream, lane.task.name, lane.parts)
            await asyncio.to_thread(self._sidecar.write_part, *where, list(lane.recent))

    async def _close(self, run: str, live: Live) -> None:
        aggregate = live.aggregate
        for lane in aggregate.lanes.values():
            await self._save_signals(aggregate, lane)
        plan = aggregate.plan
        dataref = self._sidecar.dataref(plan.asset.id, plan.run)
        event = await asyncio.to_thread(assemble.metadata, aggregate, dataref=dataref)
        await self._publish(run, event, plan)
        await self._tell(live, "complete", force=True)

    async def _publish(self, run: str, event: ContentMetadata, plan: Plan | NoPlan) -> None:
        ce_id = identity("final", plan.asset.id, plan.run)
        head = _headers(EventType.METADATA, ce_id, plan)
        await self._emit(topics.METADATA.name, plan.asset.id.encode(), event.model_dump_json().encode(), head)
        # The record that the run is closed comes last: a crash before it publishes the same event again, under the same id.
        self._store.close(run, ce_id, datetime.now(UTC).isoformat())
        self._live.pop(run, None)
        log.info("asset closed", asset=plan.asset.id, uri=plan.asset.uri, run=plan.run, status=event.run.status)

    async def _tell(self, live: Live, stage: str, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - live.told < PROGRESS_SECONDS:
            return
        live.told = now
        plan = live.aggregate.plan
        body = Progress.model_validate(
            {
                "asset": plan.asset,
                "correlation": plan.correlation,
                "run": plan.run,
                "stage": stage,
                "progress": 1.0 if stage == "complete" else round(live.aggregate.progress(), 4),
            }
        )
        head = _headers(EventType.REACTION, identity("progress", plan.run, stage, body.progress), plan)
        await self._emit(topics.REACTIONS.name, plan.asset.id.encode(), body.model_dump_json().encode(), head)


def _parse(model: type[M], value: bytes) -> M:
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        raise WireError(f"not a {model.__name__}: {error.error_count()} errors, first: {error.errors()[0]['msg']}") from error


def _headers(type: str, id: str, plan: Plan | NoPlan) -> cloudevents.Headers:
    asset: AssetRef = plan.asset
    return cloudevents.headers(
        id=id, type=type, source="dailies/aggregator", subject=asset.id, time=plan.created, schema=SCHEMA_OF.get(type)
    )
