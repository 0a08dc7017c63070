"""The planner role: an upload event in, a plan out, or why there is none. Probing runs in a sandboxed child."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import faust

from processors.limits import MediaLimits
from processors.plan import DEFAULT_PROFILES, PlanRequest, make_plan, no_plan
from processors.probe.child import parse
from processors.probe.index import MediaIndex
from processors.profiles import Shelf, carried
from processors.sandbox import START_SECONDS, Limits
from processors.sandbox_pair import ChildPair
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
from streams.groups import PLANNERS
from streams.guard import Guard, Killed, Retries
from streams.log import get_logger
from streams.metrics import Planning
from streams.record import Record
from streams.secure import Bootstrap
from streams.settings import Settings
from streams.surroundings import REFUSED_SECONDS
from streams.topics import ASSETS, UPLOADS
from streams.version import code_version
from streams.vitals import Vitals

HANDLER = "processors.probe.child:handle"

SOURCE = "dailies/planner"

logger = get_logger(__name__)


def make(settings: Settings, bootstrap: Bootstrap, *, handler: str = HANDLER, vitals: Vitals | None = None) -> faust.App:
    """The planner's app, not yet started. ``handler`` is what the child runs."""
    vitals = vitals or Vitals()
    metrics = Planning(vitals.registry)
    app = make_app(PLANNERS, settings, bootstrap=bootstrap)
    limits = Limits(settings.probe_seconds, None, settings.probe_memory_bytes, settings.probe_cpu_seconds)
    letters, retries = DeadLetters(app, sent=vitals.dead_lettered), Retries(settings.attempts, refused=REFUSED_SECONDS)
    policy = settings.source_policy()
    prober = Prober(ChildPair(handler, limits), policy, settings.media_limits(), vitals, metrics)
    ledger = AttemptLedger(settings.data_dir / "attempts" / "planner", settings.attempts)
    cores = settings.decoders or len(os.sched_getaffinity(0))
    shelf = settings.shelf()
    for problem in shelf.problems():
        logger.error("a profile that cannot be used", problem=problem)
    planner = Planner(app, prober, letters, retries, ledger, cores, shelf, vitals, metrics)
    guard = Guard(app, "planner", letters, retries, settled=vitals.settled, retried=vitals.retried)

    async def stop_child(*_: object, **__: object) -> None:
        prober.close()

    app.on_before_shutdown.connect(stop_child, weak=False)
    app.agent(raw_topic(app, UPLOADS.name), name="planner", concurrency=1)(guard.agent(planner.handle))
    return app


class Prober:
    """Probes in persistent child processes, from one thread, so that the event loop stays free."""

    def __init__(self, child: ChildPair, policy: SourcePolicy, limits: MediaLimits, vitals: Vitals, metrics: Planning) -> None:
        self._child = child
        self._asked = {"policy": asdict(policy), "limits": asdict(limits)}
        self._vitals = vitals
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="probe")

    async def probe(self, uri: str) -> MediaIndex:
        """The index of what lies at a URI. Raises ``Unprocessable`` or ``ChildError``."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._call, uri)

    def _call(self, uri: str) -> MediaIndex:
        begun = time.monotonic()
        # The child's own limit ends a probe, however silent: only what comes after that counts as silence.
        self._vitals.health.sign("probe", START_SECONDS + (self._child.limits.wall_seconds or 0.0))
        try:
            bodies = [message.body for message in self._child.call(uri, {"uri": uri, **self._asked})]
        finally:
            self._vitals.health.sign("probe")
            self._metrics.probing.observe(time.monotonic() - begun)
        if len(bodies) != 1:
            raise ChildCrashed(f"probing {uri} gave {len(bodies)} answers")
        return parse(bodies[0])

    def close(self) -> None:
        """End the children, and with them what they are doing."""
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
    shelf: Shelf
    vitals: Vitals
    metrics: Planning

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
                judges = tuple(carried(self.shelf.load_named(name)) for name in request.profiles)
                return self._decided(
                    attempt, make_plan(await self.prober.probe(upload.uri), replace(request, judged_by=judges))
                )
            except Unprocessable as refused:
                return self._decided(attempt, self._refuse(upload, request, refused))
            except ProfileError as unknown:
                why = Unprocessable(unknown.public, reason="unknown_profile" if not unknown.problems else "bad_profile")
                logger.error("a profile that cannot be used", problem=str(unknown))
                return self._decided(attempt, self._refuse(upload, replace(request, profiles=()), why))
            except Exception as caught:  # whatever goes wrong, the upload ends in an event
                known = isinstance(caught, ChildError)
                logger.warning("planning failed", uri=upload.uri, attempts=attempts, exc_info=None if known else caught)
                error = caught
            if attempts == self.retries.attempts:
                break
            self.vitals.retried(record.topic)
            await asyncio.sleep(self.retries.wait(attempts))
        await self.dead_letters.send(record, stage=f"planner/{upload.id}", attempts=attempts, error=error)
        reason = error.reason if isinstance(error, ChildError) else "planner_failed"
        return self._refuse(upload, request, Unprocessable(str(error), reason=reason))

    def _decided(self, attempt: str, plan: Plan | NoPlan) -> Plan | NoPlan:
        """Attempts are over: what comes now, such as a topic that refuses the plan, says nothing of the upload."""
        self.ledger.done(attempt)
        return plan

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
            reanalysis=upload.reanalysis,
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
        self.metrics.plans.labels("planned" if isinstance(plan, Plan) else "unprocessable").inc()
        logger.info("planned", asset=plan.asset.id, uri=plan.asset.uri, run=plan.run, type=kind.value)
