"""The planner role: an upload event in, a plan out, or why there is none. Probing runs in a sandboxed child."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import faust

from processors.plan import DEFAULT_PROFILES, PlanRequest, make_plan, no_plan
from processors.probe.child import parse
from processors.probe.index import MediaIndex
from processors.profiles import load_named
from processors.sandbox import Child, Limits
from processors.source import SourcePolicy
from schemas import cloudevents
from schemas.errors import ChildCrashed, ChildError, ProfileError, Unprocessable
from schemas.ids import identity
from schemas.plan import NoPlan, Plan
from schemas.types import SCHEMA_OF, EventType
from schemas.uploads import Ignored, Upload, parse_upload
from streams.app import make_app, publish, raw_topic
from streams.attempts import AttemptLedger
from streams.deadletters import DeadLetters
from streams.guard import Guard, Killed, Retries
from streams.log import get_logger
from streams.record import Record
from streams.settings import Settings
from streams.surroundings import REFUSED_SECONDS
from streams.topics import ASSETS, UPLOADS
from streams.version import code_version

APP = "dailies-planner"

HANDLER = "processors.probe.child:handle"

SOURCE = "dailies/planner"

logger = get_logger(__name__)


def make(settings: Settings, bootstrap: str, *, handler: str = HANDLER) -> faust.App:
    """The planner's app, not yet started. ``handler`` is what the child runs."""
    app = make_app(APP, settings, bootstrap=bootstrap)
    limits = Limits(wall_seconds=settings.probe_seconds, stall_seconds=None, memory_bytes=settings.probe_memory_bytes)
    letters, retries = DeadLetters(app), Retries(settings.attempts, refused=REFUSED_SECONDS)
    prober = Prober(Child(handler, limits), SourcePolicy(settings.schemes, settings.roots))
    ledger = AttemptLedger(settings.data_dir / "attempts" / "planner", settings.attempts)
    planner = Planner(app, prober, letters, retries, ledger, cores=settings.decoders or len(os.sched_getaffinity(0)))
    guard = Guard(app, "planner", letters, retries)

    async def stop_child(*_: object, **__: object) -> None:
        prober.close()

    app.on_before_shutdown.connect(stop_child, weak=False)
    app.agent(raw_topic(app, UPLOADS.name), name="planner", concurrency=1)(guard.agent(planner.handle))
    return app


class Prober:
    """Probes in one persistent child process, from one thread, so that the event loop stays free."""

    def __init__(self, child: Child, policy: SourcePolicy) -> None:
        self._child = child
        self._policy = asdict(policy)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="probe")

    async def probe(self, uri: str) -> MediaIndex:
        """The index of what lies at a URI. Raises ``Unprocessable`` or ``ChildError``."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._call, uri)

    def _call(self, uri: str) -> MediaIndex:
        bodies = [message.body for message in self._child.call({"uri": uri, "policy": self._policy})]
        if len(bodies) != 1:
            raise ChildCrashed(f"probing {uri} gave {len(bodies)} answers")
        return parse(bodies[0])

    def close(self) -> None:
        """End the child, and with it what it is doing."""
        self._child.kill()
        self._thread.shutdown(wait=False)


@dataclass(frozen=True, slots=True)
class Planner:
    """Handles uploads. Each one that can be parsed gives one plan, or one reason why there is none: never only silence.

    Attempts are counted on disk for each upload, so that one which kills this process is known when it comes back.
    """

    app: faust.App
    prober: Prober
    dead_letters: DeadLetters
    retries: Retries
    ledger: AttemptLedger
    cores: int

    async def handle(self, record: Record) -> None:
        """Plan every object that a message of media.uploads names. Raises ``WireError`` for what is no upload event."""
        received = datetime.fromtimestamp(record.timestamp, UTC).isoformat()
        found = parse_upload(record.value, record.headers, position=record.place, received=received)
        if isinstance(found, Ignored):
            logger.info("nothing to do", place=record.place, reason=found.reason, records=found.count)
            return
        if found.ignored:
            logger.info("records passed over", place=record.place, records=found.ignored)
        for upload in found:
            attempt = f"{record.delivery}/{upload.id}"
            await self._publish(await self._plan(record, upload, attempt), record)
            self.ledger.done(attempt)

    async def _plan(self, record: Record, upload: Upload, attempt: str) -> Plan | NoPlan:
        request = self._request(upload)
        while True:
            attempts = self.ledger.begin(attempt)
            error: Exception
            if attempts > self.retries.attempts:
                attempts, error = attempts - 1, Killed("each attempt to plan it ended the planner")
                break
            try:
                for name in request.profiles:
                    load_named(name)
                plan = make_plan(await self.prober.probe(upload.uri), request)
                self.ledger.done(attempt)  # a topic that refuses the plan says nothing of the upload
                return plan
            except Unprocessable as refused:
                return self._refuse(upload, request, refused)
            except ProfileError as unknown:
                return self._refuse(
                    upload, replace(request, profiles=()), Unprocessable(str(unknown), reason="unknown_profile")
                )
            except Exception as caught:  # whatever goes wrong, the upload ends in an event
                known = isinstance(caught, ChildError)
                logger.warning("planning failed", uri=upload.uri, attempts=attempts, exc_info=None if known else caught)
                error = caught
            if attempts == self.retries.attempts:
                break
            await asyncio.sleep(self.retries.wait(attempts))
        await self.dead_letters.send(record, stage=f"planner/{upload.id}", attempts=attempts, error=error)
        reason = error.reason if isinstance(error, ChildError) else "planner_failed"
        return self._refuse(upload, request, Unprocessable(str(error), reason=reason))

    def _refuse(self, upload: Upload, request: PlanRequest, error: Unprocessable) -> NoPlan:
        logger.info("unprocessable", uri=upload.uri, upload=upload.id, reason=error.reason, message=str(error))
        return no_plan(upload.uri, upload.version, error, request)

    def _request(self, upload: Upload) -> PlanRequest:
        return PlanRequest(
            caused_by=upload.id,
            created=upload.time,
            code=code_version(),
            correlation=upload.correlation,
            priority=upload.priority,
            profiles=DEFAULT_PROFILES if upload.profiles is None else upload.profiles,
            tasks=upload.tasks,
            cores=self.cores,
        )

    async def _publish(self, plan: Plan | NoPlan, record: Record) -> None:
        kind = EventType.PLANNED if isinstance(plan, Plan) else EventType.UNPROCESSABLE
        headers = cloudevents.headers(
            id=identity("plan", plan.run, plan.caused_by),
            type=kind,
            source=SOURCE,
            subject=plan.asset.id,
            time=plan.created,
            schema=SCHEMA_OF[kind],
        )
        if "traceparent" in record.headers:
            headers["traceparent"] = record.headers["traceparent"]
        await publish(self.app, ASSETS.name, plan.asset.id.encode(), plan.model_dump_json().encode(), headers)
        logger.info("planned", asset=plan.asset.id, uri=plan.asset.uri, run=plan.run, type=kind.value)
