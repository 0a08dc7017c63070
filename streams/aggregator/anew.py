"""Asking for an asset again, where a run cannot become right: the object, or a version of the program, is another."""

from __future__ import annotations

from typing import Any

import orjson
import structlog

from schemas import cloudevents
from schemas.errors import WireError
from schemas.events import ContentMetadata
from schemas.ids import identity
from schemas.plan import Plan, Reanalysis
from schemas.types import SCHEMA_OF, EventType
from schemas.versions import STATE_VERSION, TASK_VERSION
from streams import topics
from streams.aggregator.emit import Emit

log = structlog.get_logger(__name__)

ROUNDS = 3
"""How often in a row an asset is planned anew since versions did not fit: two planners could go on so for ever."""

REASONS = (TASK_VERSION, STATE_VERSION, "digest_mismatch")
"""Gaps that another run may close by itself. Two decoders of different versions may give different bytes for one job."""


def another_run(plan: Plan, event: ContentMetadata) -> Reanalysis | None:
    """The run that is to follow one which ends with this event; None if it would not help, or there were enough."""
    reason = next((reason for gap in event.coverage.gaps for reason in REASONS if gap.reason.startswith(reason)), None)
    if reason is None:
        return None
    done = 0 if plan.reanalysis is None else plan.reanalysis.round
    if done >= ROUNDS:
        log.error("not planned anew again", asset=plan.asset.id, run=plan.run, reason=reason, rounds=done)
        return None
    return Reanalysis(cause=f"{reason} in run {plan.run}", round=done + 1)


def request(plan: Plan, reanalysis: Reanalysis | None) -> dict[str, Any]:
    """The data of the upload event that asks for what a plan was made for."""
    return {
        "uri": plan.asset.uri,
        "tasks": plan.tasks_wanted,
        "profiles": plan.profiles,
        "priority": plan.priority,
        "correlation": plan.correlation.model_dump(mode="json", exclude_none=True),
        "reanalysis": None if reanalysis is None else reanalysis.model_dump(mode="json"),
    }


def request_of_unknown(run: str, plan: bytes) -> dict[str, Any]:
    """The same of a plan that another version has written, as far as it reads like one of ours. Raises ``WireError``."""
    try:
        body = orjson.loads(plan)
        known = {name: body.get(name) for name in ("profiles", "priority", "correlation")}
        rounds = int((body.get("reanalysis") or {}).get("round", 0))
        again = Reanalysis(cause=f"{STATE_VERSION} in run {run.rpartition('/')[2]}", round=rounds + 1)
        asked = {"uri": str(body["asset"]["uri"]), "tasks": body.get("tasks_wanted"), **known}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WireError(f"the plan of run {run} cannot be read: {error!r}") from error
    if again.round > ROUNDS:
        raise WireError(f"the plan of run {run} cannot be read, and it was planned anew {rounds} times")
    return asked | {"reanalysis": again.model_dump(mode="json")}


async def upload(emit: Emit, run: str, created: str, asked: dict[str, Any]) -> None:
    """Publish the upload event that replaces a run: the same one, however often."""
    body = orjson.dumps({name: value for name, value in asked.items() if value is not None})
    head = cloudevents.headers(
        id=identity("planned-anew", run),
        type=EventType.UPLOAD,
        source="dailies/aggregator",
        subject=asked["uri"],
        time=created,
        schema=SCHEMA_OF[EventType.UPLOAD],
    )
    log.warning("planned anew", uri=asked["uri"], run=run, reanalysis=asked.get("reanalysis"))
    await emit(topics.UPLOADS.name, asked["uri"].encode(), body, head)
