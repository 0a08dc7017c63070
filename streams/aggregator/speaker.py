"""What subscribers hear while an asset is in progress: reactions by way of an outbox, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from processors.reactions import Entry
from schemas.ids import identity
from schemas.plan import NoPlan, Plan
from schemas.reactions import Progress
from schemas.types import EventType
from streams import topics
from streams.aggregator.emit import Emit, event_headers
from streams.aggregator.live import Live
from streams.aggregator.store import RunStore
from streams.metrics import Aggregating

PROGRESS_SECONDS = 1.0


class Speaker:
    """Publishes on media.reactions. ``persist`` waits until what was written to the table is durable."""

    def __init__(self, store: RunStore, emit: Emit, persist: Callable[[], Awaitable[None]], metrics: Aggregating) -> None:
        self._metrics = metrics
        self._store = store
        self._emit = emit
        self._persist = persist

    async def react(self, live: Live, entries: Sequence[Entry], cause: str) -> None:
        """Publish reactions, which the event ``cause`` (its ``ce_id``) has brought about.

        Each is durable before it is published, with its number: a restart repeats it as it was, and never gives the
        number to another.
        """
        for entry in entries:
            self._store.put_reaction(live.run, entry, cause)
        if entries:
            await self._persist()
        plan = live.aggregate.plan
        for entry, why in [*live.unsent, *((entry, cause) for entry in entries)]:
            head = event_headers(EventType.REACTION, entry.id, plan) | {"ce_causationid": why.encode()}
            await self._emit(topics.REACTIONS.name, plan.asset.id.encode(), entry.reaction.model_dump_json().encode(), head)
            self._store.published(live.run, entry)
            self._metrics.reactions.labels(entry.reaction.phase).inc()
        live.unsent = []

    async def tell(self, live: Live, stage: str, *, force: bool = False) -> None:
        """Say how far a run is; at most once a second unless forced."""
        now = time.monotonic()
        if force or now - live.told >= PROGRESS_SECONDS:
            live.told = now
            done = 1.0 if stage == "complete" else round(live.aggregate.progress(), 4)
            await self.tell_stage(live.aggregate.plan, stage, done)

    async def tell_stage(self, plan: Plan | NoPlan, stage: str, progress: float) -> None:
        """Say that a run is at a stage."""
        said = {"asset": plan.asset, "correlation": plan.correlation, "run": plan.run, "stage": stage, "progress": progress}
        body = Progress.model_validate(said)
        head = event_headers(EventType.REACTION, identity("progress", plan.run, stage, body.progress), plan)
        await self._emit(topics.REACTIONS.name, plan.asset.id.encode(), body.model_dump_json().encode(), head)
