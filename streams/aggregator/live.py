"""A run under way, in memory: what is known of it, what was said of it, where its jobs are."""

from __future__ import annotations

from dataclasses import dataclass, field

from processors.aggregate import Aggregate, JobKey
from processors.reactions import Entry, ReactionLog
from processors.task_versions import lacking
from schemas.plan import Plan
from schemas.versions import STATE_VERSION, TASK_VERSION
from streams.aggregator.repair import Issued
from streams.aggregator.store import OtherFormat, RunStore


@dataclass(slots=True)
class Live:
    """``unsent`` are reactions, each with its cause, that a former life of this process may not have published;
    ``told`` is when progress was last told, ``overdue`` since when a job's results are known to be lost (monotonic seconds).

    A run that this version cannot go on with is ``over``: all of it is given up, and it is only to be closed. Where it is not
    known what was said of it either, it is ``mute``: no number may stand for two reactions.
    """

    run: str
    aggregate: Aggregate
    log: ReactionLog
    issued: dict[JobKey, Issued]
    unsent: list[tuple[Entry, str]] = field(default_factory=list)
    told: float = 0.0
    overdue: dict[JobKey, float] = field(default_factory=dict)
    over: bool = False
    mute: bool = False

    @classmethod
    def load(cls, store: RunStore, run: str) -> Live | None:
        """The run as the table has it; None if its plan is not known. Raises ``OtherFormat`` if its plan cannot be read."""
        plan = store.plan(run)
        if plan is None:
            return None
        if wrong := lacking(plan.tasks):
            return cls._over(store, run, plan, TASK_VERSION, "; ".join(wrong.values()))
        try:
            aggregate = store.load(run)
            assert aggregate is not None
            log = ReactionLog(aggregate)
            log.restore(store.reactions(run))
            return cls(run, aggregate, log, store.issued(run), store.outbox(run))
        except OtherFormat as error:
            return cls._over(store, run, plan, STATE_VERSION, str(error))

    @classmethod
    def _over(cls, store: RunStore, run: str, plan: Plan, reason: str, message: str) -> Live:
        aggregate = Aggregate(without(plan, set(lacking(plan.tasks))))
        for failure in aggregate.abandon(reason, message).jobs:
            aggregate.fail_job(failure)
        log = ReactionLog(aggregate)
        try:
            log.restore(store.reactions(run))
            return cls(run, aggregate, log, {}, store.outbox(run), over=True)
        except OtherFormat:
            return cls(run, aggregate, log, {}, over=True, mute=True)


def without(plan: Plan, tasks: set[str]) -> Plan:
    """A plan without some of its tasks."""
    streams = [s.model_copy(update={"tasks": tuple(t for t in s.tasks if t not in tasks)}) for s in plan.streams]
    left = tuple(task for task in plan.tasks if task.name not in tasks)
    return plan.model_copy(update={"streams": tuple(streams), "tasks": left})
