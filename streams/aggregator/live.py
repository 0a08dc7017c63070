"""A run under way, in memory: what is known of it, what was said of it, where its jobs are."""

from __future__ import annotations

from dataclasses import dataclass, field

from processors.aggregate import Aggregate
from processors.reactions import Entry, ReactionLog
from streams.aggregator.repair import Issued, JobKey
from streams.aggregator.store import RunStore


@dataclass(slots=True)
class Live:
    """``unsent`` are reactions, each with its cause, that a former life of this process may not have published;
    ``told`` is when progress was last told, ``overdue`` since when a job's results are known to be lost (monotonic seconds).
    """

    run: str
    aggregate: Aggregate
    log: ReactionLog
    issued: dict[JobKey, Issued]
    unsent: list[tuple[Entry, str]] = field(default_factory=list)
    told: float = 0.0
    overdue: dict[JobKey, float] = field(default_factory=dict)

    @classmethod
    def load(cls, store: RunStore, run: str) -> Live | None:
        """The run as the table has it; None if its plan is not known."""
        aggregate = store.load(run)
        if aggregate is None:
            return None
        log = ReactionLog(aggregate)
        log.restore(store.reactions(run))
        return cls(run, aggregate, log, store.issued(run), store.outbox(run))
