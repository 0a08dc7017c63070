"""The jobs of a run: issued once at first sight, again where results are lost, and at last given up by name."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from confluent_kafka import KafkaException

from processors.aggregate import JobKey
from schemas import cloudevents
from schemas.ids import identity
from schemas.manifest import Offsets, RepairCheck
from schemas.plan import Job, Plan, Reanalysis
from schemas.types import SCHEMA_OF, EventType
from schemas.versions import TASK_VERSION
from streams import topics
from streams.aggregator import anew
from streams.aggregator.emit import Emit, event_headers
from streams.aggregator.live import Live
from streams.aggregator.repair import Issued, Waiting, waiting
from streams.aggregator.store import RunStore
from streams.metrics import Aggregating

log = structlog.get_logger(__name__)

Observe = Callable[[list[Waiting]], tuple[dict[str, Offsets], Offsets]]
"""Asks Kafka where the readers of what is waited for are: committed offsets by group, and the starts of logs. Blocks."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """How lost results are replaced: a job is issued ``attempts`` times at most, ``grace`` seconds after the loss is known."""

    observe: Observe
    attempts: int = 3
    grace: float = 60.0


class Jobs:
    """Issues jobs and repairs runs. Without ``repairs`` nothing is ever issued again."""

    def __init__(self, store: RunStore, emit: Emit, repairs: Repairs | None, metrics: Aggregating) -> None:
        self._metrics = metrics
        self._store = store
        self._emit = emit
        self._repairs = repairs

    async def issue(self, run: str, plan: Plan, job: Job) -> Issued:
        """Publish a job, and keep where it lies."""
        topic = topics.SEGMENTS_URGENT if plan.priority == "urgent" else topics.SEGMENTS
        head = event_headers(EventType.JOB, identity("job", plan.run, job.stream, job.segment, job.attempt), plan)
        issued = Issued(job.attempt, *await self._emit(topic.name, job.key, job.model_dump_json().encode(), head))
        self._store.put_issued(run, (job.stream, job.segment), issued)
        return issued

    async def plan_anew(self, live: Live, reanalysis: Reanalysis | None = None) -> None:
        """Ask once for the object again, as the upload event did: it is another version now, or ``reanalysis`` says why."""
        if self._store.marked(live.run, "planned-anew"):
            return
        plan = live.aggregate.plan
        await anew.upload(self._emit, plan.run, plan.created, anew.request(plan, reanalysis))
        self._store.mark(live.run, "planned-anew")

    @property
    def repairs(self) -> bool:
        """Whether what is missing will be issued again."""
        return self._repairs is not None

    def give_up(self, live: Live, reason: str, message: str, job: JobKey | None = None) -> None:
        """Account for what is missing, of one job or of all, as failed."""
        given_up = live.aggregate.abandon(reason, message, job)
        for failure in given_up.jobs:
            live.aggregate.fail_job(failure)
            self._store.put_failure(live.run, failure)
        for cell in given_up.cells:
            live.aggregate.add_cell(cell)
            self._store.put_cell(live.run, cell)

    async def look(self, runs: Sequence[Live]) -> None:
        """Look where the readers are of what is waited for, and write it behind what they have published. Keeps nothing."""
        for live in runs:
            if live.over:  # nothing more will come for it: the check alone lets it be closed
                await self.wake(live.aggregate.plan.asset.id, live.aggregate.plan.run)
        wanted = {live.run: list(waiting(live.aggregate, live.issued)) for live in runs}
        everything = [item for items in wanted.values() for item in items]
        if self._repairs is None or not everything:
            return
        try:
            committed, starts = await asyncio.to_thread(self._repairs.observe, everything)
        except KafkaException as error:
            log.warning("not looked for lost results", error=str(error))  # the next look asks again
            return
        for live in runs:
            plan = live.aggregate.plan
            check = RepairCheck(asset=plan.asset.id, run=plan.run, committed=committed, starts=starts)
            if not any(item.passed(check) for item in wanted[live.run]):
                live.overdue.clear()
                continue
            await self._send(check, plan.created)

    async def wake(self, asset: str, run: str) -> None:
        """Have a run looked at, from its own partition, whatever it waits for."""
        await self._send(RepairCheck(asset=asset, run=run, committed={}, starts={}), datetime.now(UTC).isoformat())

    async def _send(self, check: RepairCheck, created: str) -> None:
        head = cloudevents.headers(
            id=str(uuid.uuid4()),
            type=EventType.CHECK,
            source="dailies/aggregator",
            subject=check.asset,
            time=created,
            schema=SCHEMA_OF[EventType.CHECK],
        )
        await self._emit(topics.INFERENCES.name, check.asset.encode(), check.model_dump_json().encode(), head)

    async def repair(self, live: Live, check: RepairCheck) -> None:
        """Replace what a check shows to be lost, once it is known for long enough."""
        if self._repairs is None:
            return
        now = time.monotonic()
        lost = {item.job: item for item in waiting(live.aggregate, live.issued) if item.passed(check)}
        live.overdue = {job: live.overdue.get(job, now) for job in lost}
        for job, since in list(live.overdue.items()):
            if now - since >= self._repairs.grace:
                del live.overdue[job]
                await self._replace(live, job, lost[job].what, self._repairs.attempts)

    async def _replace(self, live: Live, key: JobKey, what: str, attempts: int) -> None:
        attempt = live.issued[key].attempt + 1
        if attempt >= attempts:
            self._metrics.repairs.labels("given_up").inc()
            other = live.aggregate.others.get(key)
            log.error("results given up", run=live.run, job=key, lost=what, attempts=attempt, other_version=other)
            if other is None:
                self.give_up(live, "lost", f"{what} did not come in {attempt} attempts", key)
            else:
                self.give_up(live, TASK_VERSION, f"{other}, in {attempt} attempts", key)
            return
        self._metrics.repairs.labels("issued").inc()
        log.warning("job issued again", run=live.run, job=key, lost=what, attempt=attempt)
        plan = live.aggregate.plan
        job = next(job for job in plan.jobs if (job.stream, job.segment) == key)
        live.issued[key] = await self.issue(live.run, plan, job.model_copy(update={"attempt": attempt}))
