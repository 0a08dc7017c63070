"""One decode child and the thread that feeds it: takes jobs, publishes what the child makes, and settles each job.

The order of one job, and what a kill between two steps leaves behind:

1. note the attempt on disk                                     (killed: the job is tried again, and counted)
2. decode in the child; queue each chunk and cell as it comes   (killed: the same bytes are published again)
3. wait until every chunk and cell is in Kafka                  (killed: as above)
4. publish the manifest, which says where they are, and wait    (killed: the job is done twice, with equal results)
5. forget the attempts; let the offset be committed             (killed before the commit: the job is done twice)

A record that Kafka refuses for good ends the process at once, so that nothing further is committed. That is no attempt at the
job, for as long as it may be the topic's fault, and never one at the jobs that other threads were at.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

from confluent_kafka import Producer
from pydantic import ValidationError

from processors.decode.child import outputs
from processors.sandbox import Limits
from processors.sandbox_pair import ChildPair
from schemas.cell import CellResult
from schemas.chunk import Chunk
from schemas.errors import ChildError, DailiesError, DeliveryFailed, Unprocessable, WireError
from schemas.ids import view
from schemas.manifest import Manifest
from schemas.plan import Job
from schemas.types import EventType
from schemas.versions import expect_type
from streams.attempts import AttemptLedger
from streams.deadletters import dead_letter
from streams.decoder import needs
from streams.decoder.budget import Budget
from streams.decoder.cancellations import Cancellations
from streams.decoder.pace import Pace
from streams.decoder.publish import TRACEPARENT, Cancelled, JobPublisher
from streams.decoder.source_of_jobs import JobMessage, JobSource
from streams.log import get_logger
from streams.metrics import Decoding
from streams.producer import Deliveries
from streams.settings import Settings
from streams.topics import DEAD_LETTERS
from streams.vitals import Vitals

HANDLER = "processors.decode.child:handle"

STAGE = "decoder"

EXIT_SOFTWARE = 70
"""The exit status of a process that ended itself."""

TAKE_SECONDS = 0.5

REFUSALS = 8
"""How often a job's records may be refused before that counts as attempts at it: with the pauses of a supervisor, a minute."""

logger = get_logger(__name__)


class Killed(ChildError):
    """The job was begun as often as allowed, and each time the decoder's process ended before it was done."""

    reason = "decoder_killed"


class BadJob(WireError):
    """A message of a segments topic that is no job."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workers of a process share."""

    settings: Settings
    cancellations: Cancellations
    source: JobSource
    producer: Producer
    budget: Budget
    pace: Pace
    attempts: AttemptLedger
    stop: threading.Event
    vitals: Vitals
    metrics: Decoding
    handler: str = HANDLER
    at_work: set[str] = field(default_factory=set)
    """The attempts' keys of the jobs that are worked on now."""

    def limits(self) -> Limits:
        """A child's limits. Decoding a feature takes hours, so only silence is limited, and not the whole."""
        settings = self.settings
        return Limits(None, settings.decode_stall_seconds, settings.decode_memory_bytes, settings.decode_cpu_seconds)


class Worker:
    """A thread with a child of its own, which works on one job at a time."""

    def __init__(self, shared: Shared, number: int, *, fatal: Callable[[BaseException], NoReturn] | None = None) -> None:
        self._shared = shared
        self._fatal = fatal or end_process
        self._name = f"decode-{number}"
        self._child = ChildPair(shared.handler, shared.limits(), heard=self._heard)
        self._message: JobMessage | None = None
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def abandon(self, message: JobMessage) -> None:
        """End the child if it works on this job. Safe from any thread."""
        if self._message is message:
            self._child.kill()

    def kill(self) -> None:
        """End the child, whatever it does. Safe from any thread; the process is stopping."""
        self._child.kill()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout)

    def _heard(self) -> None:
        """The child lives. It may be silent until its own limit ends it: only what comes after that is ours."""
        self._shared.vitals.health.sign(self._name, self._shared.settings.decode_stall_seconds)

    def _run(self) -> None:
        try:
            self._warm()
            while not self._shared.stop.is_set():
                message = self._shared.source.take(TAKE_SECONDS)
                if message is not None:
                    self._message = message
                    with self._shared.metrics.active.track_inprogress():
                        self._settle(message)
                    self._message = None
        except BaseException as error:  # what nobody foresaw, and DeliveryFailed: nothing may be committed after it
            for key in tuple(self._shared.at_work):
                self._shared.attempts.withdraw(key)  # it ends with the process, and not by its own doing
            self._fatal(error)
        finally:
            self._child.close()

    def _warm(self) -> None:
        """Start the child before the first job needs it: its imports take a second."""
        try:
            self._child.start()
        except ChildError as error:
            logger.warning("child not started", error=str(error))

    def _settle(self, message: JobMessage) -> None:
        """Bring a job to its end: done, failed or taken away."""
        key = message.record.delivery
        self._shared.at_work.add(key)
        try:
            outcome = self._try(message, key)
        except Cancelled:
            self._shared.attempts.withdraw(key)
            logger.info("job left to another decoder", place=message.record.place)
            return
        except DeliveryFailed:
            if self._shared.attempts.begin(_refusals(key)) <= REFUSALS:
                self._shared.attempts.withdraw(key)
            raise
        finally:
            self._shared.at_work.discard(key)
        self._shared.attempts.done(key)
        self._shared.attempts.done(_refusals(key))
        self._shared.source.done(message)
        self._shared.vitals.health.sign(self._name)
        self._shared.vitals.acked(message.record.topic, outcome)

    def _cancelled(self, message: JobMessage) -> bool:
        return message.abandoned.is_set() or self._shared.stop.is_set()

    def _try(self, message: JobMessage, key: str) -> str:
        """How the job ended: ``done``, ``dropped`` or ``failed``."""
        try:
            expect_type(message.record.headers.get("ce_type"), EventType.JOB)
            job = Job.model_validate_json(message.record.value)
        except (ValidationError, WireError) as error:
            self._send_dead_letter(message, BadJob(f"not a job: {error}"), 1)
            return "failed"
        failure: DailiesError = Killed("the decoder's process ended each time that it worked on this job")
        while (attempt := self._shared.attempts.begin(key)) <= self._shared.attempts.limit:
            if self._dropped(job, message):
                logger.info("job dropped", job=job.key.decode())
                return "dropped"
            try:
                self._attempt(job, message, attempt)
                return "done"
            except (Unprocessable, WireError) as error:
                self._give_up(job, message, error, attempt)
                return "failed"
            except (Cancelled, DeliveryFailed) as error:
                if self._cancelled(message):
                    raise Cancelled(str(error)) from error
                if not self._dropped(job, message):
                    raise
            except DailiesError as error:
                if self._cancelled(message):
                    raise Cancelled(str(error)) from error
                failure = error
                logger.warning("attempt failed", job=job.key.decode(), attempt=attempt, error=repr(error))
                if attempt < self._shared.attempts.limit:
                    self._shared.vitals.retried(message.record.topic)
        self._give_up(job, message, failure, attempt - 1)
        return "failed"

    def _dropped(self, job: Job, message: JobMessage) -> bool:
        return self._shared.cancellations.concern(job, message.record.timestamp)

    def _attempt(self, job: Job, message: JobMessage, attempt: int) -> None:
        begun = time.monotonic()
        needs.check(job)
        publisher = self._publisher(job, message)
        settings = self._shared.settings
        policy = asdict(settings.source_policy())
        limits = settings.media_limits()
        request = {"job": job.model_dump(mode="json"), "policy": policy, "limits": asdict(limits)}
        with closing(publisher):
            for output in outputs(self._child.call(job.asset.uri, request), job, limits):
                publisher.publish(output)
                self._count(output)
            publisher.finish()
        self._shared.metrics.jobs.labels(job.kind).observe(time.monotonic() - begun)
        logger.info(
            "job done",
            job=publisher.name,
            attempt=attempt,
            seconds=round(time.monotonic() - begun, 3),
            chunks=publisher.chunks,
            bytes=publisher.bytes,
        )

    def _count(self, output: Chunk | CellResult | Manifest) -> None:
        metrics = self._shared.metrics
        match output:
            case Chunk():
                metrics.chunks.labels(output.header.rendition).inc()
                metrics.bytes.labels(output.header.rendition).inc(view(output.data).nbytes)
            case Manifest():
                (metrics.frames if output.kind == "video" else metrics.samples).inc(output.decoded)
                for stage, seconds in output.seconds.items():
                    metrics.cpu.labels(stage).inc(seconds)

    def _publisher(self, job: Job, message: JobMessage) -> JobPublisher:
        def cancelled() -> bool:
            return self._cancelled(message) or self._dropped(job, message)

        return JobPublisher(
            job,
            Deliveries(self._shared.producer, cancelled=cancelled),
            self._shared.budget,
            self._shared.pace,
            time=job.created or _rfc3339(message.record.timestamp),
            traceparent=message.record.headers.get(TRACEPARENT),
            cancelled=cancelled,
        )

    def _give_up(self, job: Job, message: JobMessage, error: DailiesError, attempts: int) -> None:
        """Say that the job will not deliver. Why it cannot be processed is the asset's matter; all else is a dead letter."""
        if self._cancelled(message):
            raise Cancelled(str(error)) from error
        logger.error("job failed", job=job.key.decode(), attempts=attempts, error=repr(error))
        publisher = self._publisher(job, message)
        publisher.failed(reason=getattr(error, "reason", "bad_job"), message=str(error), attempts=attempts)
        if not isinstance(error, Unprocessable):
            self._send_dead_letter(message, error, attempts)

    def _send_dead_letter(self, message: JobMessage, error: DailiesError, attempts: int) -> None:
        key, value, headers = dead_letter(message.record, stage=STAGE, attempts=attempts, error=error)
        deliveries = Deliveries(self._shared.producer, cancelled=lambda: self._cancelled(message))
        deliveries.produce(DEAD_LETTERS.name, key=key, value=value, headers=headers)
        deliveries.flush_all()
        self._shared.vitals.dead_lettered()


def _refusals(key: str) -> str:
    return f"{key}/refused"


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def end_process(error: BaseException) -> NoReturn:
    """End the process without any clean-up: a commit on the way out would lose what was not delivered."""
    logger.critical("the decoder cannot go on", error=repr(error), exc_info=error)
    sys.stderr.flush()
    os._exit(EXIT_SOFTWARE)
