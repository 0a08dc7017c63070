"""How the aggregator publishes: what it needs of a producer, and the headers of its events."""

from __future__ import annotations

from typing import Protocol

from schemas import cloudevents
from schemas.plan import NoPlan, Plan
from schemas.types import SCHEMA_OF

Place = tuple[str, int, int]
"""Topic, partition, offset."""


class Emit(Protocol):
    """Publishes a record; returns where it lies once the broker has acknowledged it."""

    async def __call__(self, topic: str, key: bytes, value: bytes, headers: cloudevents.Headers) -> Place:
        """Raises what the delivery raises."""


def event_headers(type: str, id: str, plan: Plan | NoPlan) -> cloudevents.Headers:
    """The CloudEvents headers of an event about a plan's asset. Its time is the plan's, so that it repeats exactly."""
    return cloudevents.headers(
        id=id, type=type, source="dailies/aggregator", subject=plan.asset.id, time=plan.created, schema=SCHEMA_OF.get(type)
    )
