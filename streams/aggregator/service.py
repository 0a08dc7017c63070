"""What the aggregator does with each event, apart from Faust: state in a table, effects through one ``emit``."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ValidationError

from processors import assemble
from processors.aggregate import Aggregate, JobKey
from processors.fit import fit
from processors.lane import Lane
from processors.sidecar import SidecarWriter
from processors.task_versions import lacking
from schemas import cloudevents
from schemas.cell import CellResult
from schemas.errors import SourceChanged, WireError
from schemas.events import ContentMetadata
from schemas.ids import identity
from schemas.manifest import JobFailed, Manifest, RepairCheck
from schemas.plan import Cancel, NoPlan, Plan
from schemas.types import EventType
from schemas.versions import TASK_VERSION
from streams import topics
from streams.aggregator import anew
from streams.aggregator.emit import Emit, event_headers
from streams.aggregator.jobs import Jobs, Repairs
from streams.aggregator.live import Live
from streams.aggregator.speaker import Speaker
from streams.aggregator.store import OtherFormat, RunStore, Table, generation_of
from streams.metrics import Aggregating

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)

CHECKPOINT_CELLS = 32
KEEP_CLOSED = timedelta(days=30)
"""How long the id of a final event is known after its run is closed."""


async def nothing_to_wait_for() -> None:
    """For a table that is durable at once."""


class Service:
    """The aggregator's logic. One event at a time; every method is done when its effects are acknowledged.

    ``persist`` waits until what was written to the table is durable. Without ``repairs`` nothing is ever issued again.
    """

    def __init__(
        self,
        table: Table,
        sidecar: SidecarWriter,
        emit: Emit,
        *,
        persist: Callable[[], Awaitable[None]] = nothing_to_wait_for,
        repairs: Repairs | None = None,
        metrics: Aggregating | None = None,
    ) -> None:
        metrics = metrics or Aggregating(CollectorRegistry())
        self._metrics = metrics
        self._table = table
        self._store = RunStore(table)
        self._sidecar = sidecar
        self._emit = emit
        self._persist = persist
        self._jobs = Jobs(self._store, emit, repairs, metrics)
        self._speaker = Speaker(self._store, emit, persist, metrics)
        self._live: dict[str, Live] = {}
        self._generation = generation_of(table)
        self._cause = ""

    @property
    def busy(self) -> bool:
        """Whether any run is under way here."""
        return bool(self._live or self._store.open_runs())

    def in_flight(self) -> list[float]:
        """When the uploads of the runs under way happened, in seconds since the epoch."""
        return [datetime.fromisoformat(self._store.created(run)).timestamp() for run in self._store.open_runs()]

    def forget(self) -> None:
        """Partitions came or went: what is in memory may be another worker's now."""
        self._live.clear()
        self._store.forget()

    async def handle(self, headers: cloudevents.Headers, value: bytes) -> None:
        """Take one event of media.assets or media.inferences. Raises ``WireError`` if it is none.

        After any error what is in memory is dropped and read from the table again, so that a retry finds no half-done step.
        """
        if self._generation != (generation := generation_of(self._table)):
            self.forget()
            self._generation = generation
        try:
            await self._dispatch(headers, value)
        except BaseException:
            self.forget()
            raise

    async def _dispatch(self, headers: cloudevents.Headers, value: bytes) -> None:
        self._cause = headers.get("ce_id", b"").decode()
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
            case EventType.CANCEL:
                await self._on_cancel(_parse(Cancel, value))
            case EventType.TICK:
                await self._on_tick()
            case EventType.CHECK:
                await self._on_check(_parse(RepairCheck, value))
            case other:
                raise WireError(f"this version of the aggregator knows no event of type {other!r}")

    async def _on_plan(self, plan: Plan) -> None:
        run = f"{plan.asset.id}/{plan.run}"
        if self._store.closed(run):
            # The same upload again: who waits for it learns that its final event is there.
            await self._speaker.tell_stage(plan, "complete", 1.0)
            return
        if self._store.has_plan(run):
            return
        if plan.reanalysis is not None:
            await self._supersede(plan)
        # Jobs before the plan's record: a crash in between issues them again, which does no harm; the other way round
        # a run could wait for jobs that nobody was given. What cannot be folded here is not begun: it is over at once.
        for job in () if lacking(plan.tasks) else plan.jobs:
            await self._jobs.issue(run, plan, job)
        self._store.put_plan(run, plan)
        live = self._at(run)
        if live is not None:
            await self._speaker.tell(live, "planned", force=True)
            await self._settle(live)

    async def _supersede(self, plan: Plan) -> None:
        """An asset that is asked for again is analysed from the start: what is under way ends now, so that the new run's event
        is the last one. Its jobs are dropped by whoever has them.
        """
        for run in self._store.open_runs(plan.asset.id):
            live = self._at(run)
            if live is None:
                continue
            log.info("run superseded", run=run, by=plan.run)
            order = Cancel(asset=plan.asset.id, run=live.aggregate.plan.run, reason=f"superseded by run {plan.run}")
            await self._end(live, "superseded", f"by run {plan.run}")
            ce_id = identity("superseded", order.run, plan.run)
            head = event_headers(EventType.CANCEL, ce_id, plan)
            await self._emit(topics.ASSETS.name, plan.asset.id.encode(), order.model_dump_json().encode(), head)

    async def _on_no_plan(self, no_plan: NoPlan) -> None:
        run = f"{no_plan.asset.id}/{no_plan.run}"
        if self._store.closed(run):
            await self._speaker.tell_stage(no_plan, "complete", 1.0)
            return
        await self._emit_final(assemble.unprocessable(no_plan), no_plan)
        self._mark_closed(run, "unprocessable", no_plan)

    async def _on_cell(self, result: CellResult) -> None:
        run = f"{result.key.asset}/{result.key.run}"
        live = self._at(run)
        if live is None:
            if not self._store.closed(run):
                self._store.put_cell(run, result)  # its plan is still to come: any order is legal
            return
        if (other := live.aggregate.other_version(result)) is not None:
            self._note_other(live, (result.key.stream, result.key.segment), other)
            return
        fresh = live.aggregate.add_cell(result)
        if fresh:
            self._store.put_cell(run, result)
        # Also if it was known: an attempt before may have got no further than that.
        await self._settle(live, result if fresh else None)

    async def _on_manifest(self, manifest: Manifest) -> None:
        run = f"{manifest.asset}/{manifest.run}"
        live = self._at(run)
        if live is None:
            if not self._store.closed(run):
                self._store.put_manifest(run, manifest)
            return
        if live.aggregate.add_manifest(manifest):
            self._store.put_manifest(run, manifest)
        await self._settle(live)

    def _note_other(self, live: Live, job: JobKey, said: str) -> None:
        """A worker of another version has answered: that is no result, and whoever has the right one may still give it."""
        if live.aggregate.others.get(job) != said:
            log.warning("answered by another version", run=live.run, job=job, said=said)
            live.aggregate.others[job] = said
            self._store.put_other(live.run, job, said)

    async def _on_failure(self, failure: JobFailed) -> None:
        run = f"{failure.asset}/{failure.run}"
        live = self._at(run)
        if live is not None and failure.reason == TASK_VERSION and self._jobs.repairs:
            self._note_other(live, (failure.stream, failure.segment), failure.message)
            return
        if live is None:
            if not self._store.closed(run):
                self._store.put_failure(run, failure)
            return
        if live.aggregate.fail_job(failure):
            self._store.put_failure(run, failure)
        await self._settle(live)

    async def _on_cancel(self, cancel: Cancel) -> None:
        for run in self._store.open_runs(cancel.asset):
            live = self._at(run)
            if live is not None and cancel.run in (None, live.aggregate.plan.run):
                log.info("asset cancelled", run=run, reason=cancel.reason)
                await self._end(live, "cancelled", cancel.reason)

    async def _end(self, live: Live, reason: str, message: str) -> None:
        """End a run since somebody wants it ended: it is not planned anew."""
        self._store.mark(live.run, "ended")
        self._jobs.give_up(live, reason, message)
        await self._settle(live)

    async def _on_tick(self) -> None:
        """Look for lost results. A run that is only in the table is woken by an event of its own, since a key is only written
        from its own partition: it may be complete (the event that was to close it was given up, and no other one will come), or
        not to be read.
        """
        for run in self._store.open_runs():
            if run not in self._live:
                await self._jobs.wake(*run.split("/", 1))
        await self._jobs.look(list(self._live.values()))

    async def _on_check(self, check: RepairCheck) -> None:
        run = f"{check.asset}/{check.run}"
        live = self._at(run)
        if live is not None:
            await self._jobs.repair(live, check)
            await self._settle(live)
        elif self._store.has_plan(run):
            await self._replace_unreadable(run)

    async def _replace_unreadable(self, run: str) -> None:
        """Not even the plan can be read: what it was made for is asked for again, and the run forgotten."""
        try:
            asked = anew.request_of_unknown(run, self._store.raw_plan(run))
            await anew.upload(self._emit, run.rpartition("/")[2], datetime.now(UTC).isoformat(), asked)
        except WireError as error:
            log.error("run forgotten", run=run, error=str(error))
        self._store.close(run, "", datetime.now(UTC).isoformat())

    def _at(self, run: str) -> Live | None:
        if run not in self._live:
            try:
                live = Live.load(self._store, run)
            except OtherFormat as error:
                log.error("a run of another version", run=run, error=str(error))
                return None
            if live is None:
                return None
            self._live[run] = live
        return self._live[run]

    async def _settle(self, live: Live, fresh: CellResult | None = None) -> None:
        """Fold what has become contiguous, react to it, keep it, tell how far it is, and close the run if it is complete.

        ``fresh`` is the result that has just come: it may lie ahead of the prefix.
        """
        aggregate = live.aggregate
        if live.mute:
            for stream in aggregate.streams:
                aggregate.advance(stream)
            await self._close(live)
            return
        heard = [event for stream in aggregate.streams for event in aggregate.advance(stream)]
        entries = [entry for event in heard for entry in live.log.hear(event)]
        entries += [entry for stream in aggregate.streams for entry in live.log.decoded(stream)]
        entries += [entry for lane in aggregate.lanes for entry in live.log.passed(lane)]
        if fresh is not None:
            entries += live.log.ahead(fresh)
            entries += live.log.crossed((fresh.key.stream, fresh.key.task))
        await self._speaker.react(live, entries, self._cause)
        if any(f.reason == SourceChanged.reason for state in aggregate.streams.values() for f in state.failed.values()):
            await self._jobs.plan_anew(live)
        if aggregate.complete:
            await self._close(live)
            return
        for lane in aggregate.lanes.values():
            if len(lane.fresh_folded()) >= CHECKPOINT_CELLS:
                await self._save_signals(aggregate, lane)
                await self._store.put_checkpoint(live.run, lane, self._persist)
        decoding = not all(state.settled for state in aggregate.streams.values())
        await self._speaker.tell(live, "decoding" if decoding else "analysing")

    async def _save_signals(self, aggregate: Aggregate, lane: Lane) -> None:
        if lane.recent:
            plan = aggregate.plan
            where = (plan.asset.id, plan.run, lane.stream, lane.task.name, lane.parts)
            await asyncio.to_thread(self._sidecar.write_part, *where, list(lane.recent))

    async def _close(self, live: Live) -> None:
        aggregate = live.aggregate
        for lane in aggregate.lanes.values():
            await self._save_signals(aggregate, lane)
        plan = aggregate.plan
        dataref = self._sidecar.dataref(plan.asset.id, plan.run)
        put = functools.partial(self._sidecar.write_track, plan.asset.id, plan.run)
        event = await asyncio.to_thread(lambda: fit(assemble.metadata(aggregate, dataref=dataref), put))
        if not live.mute:
            await self._speaker.react(live, live.log.close(event.findings), self._cause)
        await self._emit_final(event, plan)
        # Behind the final event, so that the next run's comes later.
        again = None if self._store.marked(live.run, "ended") else anew.another_run(plan, event)
        if again is not None:
            await self._jobs.plan_anew(live, again)
        self._mark_closed(live.run, event.run.status, plan)
        await self._speaker.tell(live, "complete", force=True)

    async def _emit_final(self, event: ContentMetadata, plan: Plan | NoPlan) -> None:
        head = event_headers(EventType.METADATA, _final_id(plan), plan)
        await self._emit(topics.METADATA.name, plan.asset.id.encode(), event.model_dump_json().encode(), head)

    def _mark_closed(self, run: str, status: str, plan: Plan | NoPlan) -> None:
        """The record that the run is closed comes last: a crash before it publishes the same event again, under the same id."""
        self._store.close(run, _final_id(plan), datetime.now(UTC).isoformat())
        self._live.pop(run, None)
        self._store.expire((datetime.now(UTC) - KEEP_CLOSED).isoformat(), like=run, same=self._same_partition)
        self._metrics.events.labels(status).inc()
        log.info("asset closed", asset=plan.asset.id, uri=plan.asset.uri, run=plan.run, status=status)

    def _same_partition(self, one: str, other: str) -> bool:
        of = getattr(self._table, "partition_of", None)
        return of is None or of(one) == of(other)


def _final_id(plan: Plan | NoPlan) -> str:
    return identity("final", plan.asset.id, plan.run)


def _parse(model: type[M], value: bytes) -> M:
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        raise WireError(f"not a {model.__name__}: {error.error_count()} errors, first: {error.errors()[0]['msg']}") from error
