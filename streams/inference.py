"""The inference role: agent tasks of one group on the renditions they read. One chunk is one batch, and one result a task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import faust
import orjson

from processors.infer import failed_cell, infer, other_version_cell
from processors.task_versions import differs
from processors.tasks import agent_task, registry
from processors.tasks.base import Runner, TaskSpec
from schemas import cloudevents
from schemas.cell import CellResult, CellStatus
from schemas.chunk import Chunk, ChunkHeader
from schemas.errors import SetupError, WireError
from schemas.plan import TaskRef
from schemas.types import EventType
from schemas.versions import compatible, expect_type
from streams.app import BUFFERED_CHUNKS, make_app, publish, raw_topic
from streams.attempts import AttemptLedger
from streams.deadletters import DeadLetters
from streams.groups import SIGNALS, inference_group
from streams.guard import Guard, Killed, ProcessLost, Retries
from streams.log import get_logger
from streams.metrics import GpuMemory, Inferring
from streams.record import Record
from streams.secure import Bootstrap
from streams.settings import Settings
from streams.surroundings import REFUSED_SECONDS
from streams.topics import CHUNKS, INFERENCES
from streams.vitals import Vitals

TRACEPARENT = "traceparent"

COMMIT_SECONDS = 0.05
"""Decoders go by what is committed: a chunk that is read soon makes room for the next."""

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A task that is ready to run."""

    task: TaskRef
    runner: Runner


@dataclass(frozen=True, slots=True)
class Planned:
    """The version of a task that a chunk's plan wants, and the group that is to run it."""

    version: str
    group: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a chunk message says outside its value: the chunk, the tasks that are to read it, the plan's time, the trace.

    ``tasks`` has None for a task of which a decoder of old has said the name alone.
    """

    header: ChunkHeader
    tasks: Mapping[str, Planned | None]
    time: str
    traceparent: bytes | None

    @classmethod
    def of(cls, record: Record) -> Envelope:
        """Parse a message's headers. Raises ``WireError``."""
        try:
            expect_type(record.headers.get("ce_type"), EventType.CHUNK)
            header = ChunkHeader.from_bytes(record.headers["chunk"])
            tasks = orjson.loads(record.headers["tasks"])
            refs = orjson.loads(record.headers.get("task_refs", b"[]"))
            time = record.headers["ce_time"].decode()
        except KeyError as error:
            raise WireError(f"a chunk without the header {error}") from error
        except ValueError as error:
            raise WireError(f"not a chunk's headers: {error}") from error
        if not isinstance(tasks, list) or not all(isinstance(name, str) for name in tasks):
            raise WireError("the header tasks is not a list of names")
        return cls(header, dict.fromkeys(tasks) | _planned(refs), time, record.headers.get(TRACEPARENT))


def _planned(refs: Any) -> dict[str, Planned | None]:
    try:
        return {ref["name"]: Planned(str(ref["version"]), str(ref["group"])) for ref in refs}
    except (TypeError, KeyError) as error:
        raise WireError(f"the header task_refs is not a list of tasks: {error!r}") from error


def make(
    settings: Settings, bootstrap: Bootstrap, *, group: str, tasks: Sequence[str] | None = None, vitals: Vitals | None = None
) -> faust.App:
    """The inference app of one task group, its tasks loaded, not yet started.

    ``tasks`` narrows the group down; whoever does so must run the others elsewhere, under a group of their own. Raises
    ``SetupError`` for a group without tasks, and for tasks that are not in it.
    """
    vitals = vitals or Vitals()
    metrics = Inferring(vitals.registry)
    device = _device(settings, group)
    loaded = load(select(group, tasks), device)
    _watch_gpu(device, vitals)
    app = make_app(
        inference_group(group),
        settings,
        bootstrap=bootstrap,
        stream_buffer_maxsize=BUFFERED_CHUNKS,
        broker_commit_interval=COMMIT_SECONDS,
    )
    letters, retries = DeadLetters(app, sent=vitals.dead_lettered), Retries(settings.attempts, refused=REFUSED_SECONDS)
    guard = Guard(app, f"inference-{group}", letters, retries, settled=vitals.settled, retried=vitals.retried)
    ledger = AttemptLedger(settings.data_dir / "attempts" / f"inference-{group}", settings.attempts)
    # One thread for all: tasks take turns, so that one GPU is never used by two, and the event loop stays free.
    pool = ThreadPoolExecutor(1, thread_name_prefix="inference")
    for rendition, readers in loaded.items():
        agent = Inference(app, group, readers, letters, retries, ledger, pool, device, vitals, metrics)
        body = guard.agent(agent.handle, given_up=agent.given_up)
        app.agent(raw_topic(app, CHUNKS[rendition].name), name=f"{group}-{rendition}", concurrency=1)(body)
    return app


def select(group: str, names: Iterable[str] | None = None) -> list[TaskRef]:
    """The agent tasks of a group, or those of them that are named. Raises ``SetupError``."""
    specs = [task.spec for task in registry().values() if task.spec.where == "agent"]
    mine = {spec.name: spec.ref() for spec in specs if spec.group == group}
    if not mine:
        groups = sorted({spec.group for spec in specs})
        raise SetupError(f"there are no tasks in a group {group!r}; there are the groups {', '.join(groups)}")
    wanted = set(mine if names is None else names)
    if unknown := wanted - set(mine):
        raise SetupError(f"not in the group {group}: {', '.join(sorted(unknown))}; in it are {', '.join(mine)}")
    return [ref for name, ref in mine.items() if name in wanted]


def load(tasks: Iterable[TaskRef], device: str) -> dict[str, list[Loaded]]:
    """Load tasks on a device; by rendition."""
    found: dict[str, list[Loaded]] = {}
    for ref in tasks:
        runner = agent_task(ref.name).load(device)
        logger.info("task loaded", task=ref.name, version=ref.version, device=device, runtime=runner.runtime)
        found.setdefault(ref.rendition, []).append(Loaded(ref, runner))
    return found


def _device(settings: Settings, group: str) -> str:
    if group == SIGNALS:
        return "cpu"
    from processors.device import choose_device

    return choose_device(settings.device)


def _watch_gpu(device: str, vitals: Vitals) -> None:
    if device != "cpu":
        from processors.device import memory

        GpuMemory(vitals.registry, lambda: memory(device))


def _device_works(device: str) -> bool:
    if device == "cpu":
        return True
    from processors.device import works

    return works(device)


ABSENT = "none"
"""The version of a task that does not exist here."""

_NOT_WANTED = Planned("", "")


def _fits(task: TaskRef, planned: Planned | None) -> bool:
    return planned is None or compatible(task.version, planned.version)


def _reads(spec: TaskSpec, group: str, envelope: Envelope) -> bool:
    return (spec.where, spec.group, spec.rendition) == ("agent", group, envelope.header.rendition)


@dataclass(frozen=True, slots=True)
class Inference:
    """The work on one rendition's chunks. Attempts are counted on disk for each task on each chunk, so that a task which
    kills its process is told from its neighbours; its cell is published as failed, and theirs as ever.
    """

    app: faust.App
    group: str
    readers: Sequence[Loaded]
    dead_letters: DeadLetters
    retries: Retries
    ledger: AttemptLedger
    pool: ThreadPoolExecutor
    device: str
    vitals: Vitals
    metrics: Inferring

    async def handle(self, record: Record) -> None:
        """Run the group's tasks that the chunk's plan wants, and publish a cell for each."""
        envelope = Envelope.of(record)
        chunk = Chunk(envelope.header, record.value)
        if not chunk.intact():
            raise WireError("the chunk's value is not what its digest says")
        self.metrics.chunks.labels(chunk.header.rendition).inc()
        self.metrics.bytes.labels(chunk.header.rendition).inc(len(record.value))
        for reader in self._wanted(envelope):
            result = await self._result(record, chunk, reader)
            await self._publish(result, envelope)
            self.vitals.health.sign(chunk.header.rendition)
            self.ledger.done(self._attempt(record, reader.task))
        for name, version, reason in self._lacking(envelope):
            logger.warning("another version is planned", place=record.place, run=envelope.header.run, reason=reason)
            await self._publish(other_version_cell(name, version, envelope.header, reason), envelope)

    async def given_up(self, record: Record, error: BaseException, attempts: int) -> None:
        """For a chunk that no task could look at: failed cells, where its headers say which."""
        try:
            envelope = Envelope.of(record)
        except WireError:
            return
        for reader in self._wanted(envelope):
            await self._publish(failed_cell(reader.task, envelope.header, error), envelope)

    def _wanted(self, envelope: Envelope) -> list[Loaded]:
        return [reader for reader in self.readers if _fits(reader.task, envelope.tasks.get(reader.task.name, _NOT_WANTED))]

    def _lacking(self, envelope: Envelope) -> list[tuple[str, str, str]]:
        """What is wanted of this group and not here in that version: the task, the version here, and the reason in words.

        Another worker may have it; this one says so instead of nothing, so that nobody takes the chunk's result for lost.
        """
        here = {spec.name: spec.version for task in registry().values() if _reads(spec := task.spec, self.group, envelope)}
        return [
            (name, version, differs(name, planned.version, version))
            for name, planned in envelope.tasks.items()
            if planned is not None and planned.group == self.group
            for version in [here.get(name, ABSENT)]
            if not compatible(version, planned.version)
        ]

    async def _result(self, record: Record, chunk: Chunk, reader: Loaded) -> CellResult:
        while True:
            attempts = self.ledger.begin(self._attempt(record, reader.task))
            if attempts > self.retries.attempts:
                error: Exception = Killed("each attempt ended the process")
                attempts -= 1
                break
            try:
                result = await asyncio.get_running_loop().run_in_executor(self.pool, self._infer, reader, chunk)
            except Exception as caught:  # one task's failure must leave the others' results alone
                logger.warning("a task failed", task=reader.task.name, place=record.place, attempts=attempts, exc_info=caught)
                if not await asyncio.get_running_loop().run_in_executor(self.pool, _device_works, self.device):
                    raise ProcessLost(f"the device {self.device} no longer computes") from caught
                error = caught
            else:
                # What may fail from here on (a topic that refuses the result) says nothing of the task.
                self.ledger.done(self._attempt(record, reader.task))
                return result
            if attempts == self.retries.attempts:
                break
            self.vitals.retried(record.topic)
            await asyncio.sleep(self.retries.wait(attempts))
        self.metrics.failures.labels(reader.task.name).inc()
        stage = f"inference-{self.group}/{reader.task.name}"
        await self.dead_letters.send(record, stage=stage, attempts=attempts, error=error)
        return failed_cell(reader.task, chunk.header, error)

    def _infer(self, reader: Loaded, chunk: Chunk) -> CellResult:
        begun = time.monotonic()
        result = infer(reader.task, reader.runner, chunk)
        self.metrics.seconds.labels(reader.task.name).observe(time.monotonic() - begun)
        return result

    def _attempt(self, record: Record, task: TaskRef) -> str:
        return f"{record.delivery}/{task.name}/{task.version}"

    async def _publish(self, result: CellResult, envelope: Envelope) -> None:
        await publish(self.app, INFERENCES.name, result.key.asset.encode(), result.value, self._headers(result, envelope))

    def _headers(self, result: CellResult, envelope: Envelope) -> Mapping[str, bytes]:
        found = cloudevents.headers(
            id=result.key.id,
            type=EventType.CELL,
            source=f"dailies/inference-{self.group}",
            subject=result.key.asset,
            time=envelope.time,
            content_type=cloudevents.SAFETENSORS if result.status is CellStatus.OK else cloudevents.JSON,
        )
        if envelope.traceparent is not None:
            found[TRACEPARENT] = envelope.traceparent
        return found | result.headers()
