"""Everything that a run left on the topics, from an upload's id to its final event, in the order in which it was written.

Written means written by the broker: the topics that the oracle compares in time are set to the broker's append time, so that
one clock orders the records of all of them.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec
from pydantic import ValidationError

from schemas import cloudevents
from schemas.cell import CellKey, CellStatus
from schemas.chunk import ChunkHeader
from schemas.errors import WireError
from schemas.events import ContentMetadata
from schemas.ids import digest
from schemas.manifest import JobFailed, Manifest
from schemas.plan import Cancel, Job, NoPlan, Plan
from schemas.reactions import Progress, Reaction
from schemas.types import EventType
from streams import topics
from streams.connect import QUIET, admin_client, offsets, watermarks
from streams.deadletters import DeadLetter
from streams.record import Record

ASK_SECONDS = 5.0

READ = tuple(topic for topic in topics.TOPICS if topic is not topics.AGGREGATOR_CHANGELOG)
CHUNK_TOPICS = frozenset(topic.name for topic in topics.CHUNKS.values())
SEGMENT_TOPICS = (topics.SEGMENTS.name, topics.SEGMENTS_URGENT.name)

JobKey = tuple[str, str, int]
"""Run, stream, segment."""
CellPlace = tuple[str, str, int, str, int]
"""Run, stream, segment, task, chunk number."""
Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """One record. ``at`` is the broker's append time in milliseconds; of chunks and cells only the value's digest is kept."""

    topic: str
    partition: int
    offset: int
    at: int
    key: bytes | None
    value: bytes
    headers: cloudevents.Headers
    digest: str

    @property
    def place(self) -> Place:
        return self.topic, self.partition, self.offset

    @property
    def type(self) -> str:
        return self.headers.get("ce_type", b"").decode(errors="replace")

    @property
    def id(self) -> str:
        return self.headers.get("ce_id", b"").decode(errors="replace")

    @classmethod
    def from_message(cls, message: Message) -> Seen:
        head, value = cloudevents.as_mapping(message.headers()), message.value() or b""
        bulky = message.topic() in CHUNK_TOPICS or head.get("ce_type") == EventType.CELL.encode()
        place = (message.topic(), message.partition(), message.offset())
        return cls(*place, message.timestamp()[1], message.key(), b"" if bulky else value, head, digest(value))


@dataclass(frozen=True, slots=True)
class CellSeen:
    """A result: of which data (``digest``), and what it says."""

    seen: Seen
    digest: str
    status: CellStatus


@dataclass(slots=True)
class Ledger:
    """Records by what they are about. ``add`` takes them in any order between partitions, and in order within one."""

    uploads: defaultdict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    plans: defaultdict[str, list[tuple[Seen, Plan | NoPlan]]] = field(default_factory=lambda: defaultdict(list))
    jobs: defaultdict[JobKey, list[tuple[Seen, Job]]] = field(default_factory=lambda: defaultdict(list))
    chunks: defaultdict[tuple[str, str, int, str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    manifests: defaultdict[JobKey, list[tuple[Seen, Manifest]]] = field(default_factory=lambda: defaultdict(list))
    failures: defaultdict[JobKey, list[tuple[Seen, JobFailed]]] = field(default_factory=lambda: defaultdict(list))
    cells: defaultdict[CellPlace, list[CellSeen]] = field(default_factory=lambda: defaultdict(list))
    reactions: defaultdict[str, list[tuple[Seen, Reaction]]] = field(default_factory=lambda: defaultdict(list))
    finals: defaultdict[str, list[tuple[Seen, ContentMetadata]]] = field(default_factory=lambda: defaultdict(list))
    letters: list[tuple[Seen, DeadLetter]] = field(default_factory=list)
    malformed: list[tuple[Seen, str]] = field(default_factory=list)
    of_run: defaultdict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    """Every record that belongs to a run."""
    places: dict[Place, str] = field(default_factory=dict)
    """Of each record, the run or the upload that it belongs to."""
    caused: dict[str, set[str]] = field(default_factory=dict)
    """Upload id → the runs that were planned for it."""

    def add_all(self, records: Iterable[Seen]) -> None:
        for seen in records:
            self.add(seen)

    def add(self, seen: Seen) -> None:
        try:
            owner = self._sort(seen)
        except (WireError, ValidationError, KeyError, ValueError) as error:
            self.malformed.append((seen, repr(error)[:300]))
            return
        if owner is not None:
            self.places[seen.place] = owner

    def _sort(self, seen: Seen) -> str | None:
        if seen.topic == topics.DEAD_LETTERS.name:
            record = Record(*seen.place, seen.key, seen.value, seen.headers)
            self.letters.append((seen, DeadLetter.from_record(record)))
            return None
        if seen.topic == topics.UPLOADS.name:
            if not seen.id:
                raise WireError("an upload without an id")
            self.uploads[seen.id].append(seen)
            return seen.id
        run = self._of_a_run(seen)
        if run is not None:
            self.of_run[run].append(seen)
        return run

    def _of_a_run(self, seen: Seen) -> str | None:
        match seen.type:
            case EventType.PLANNED | EventType.UNPROCESSABLE:
                kind: type[Plan] | type[NoPlan] = Plan if seen.type == EventType.PLANNED else NoPlan
                plan = kind.model_validate_json(seen.value)
                self.plans[plan.run].append((seen, plan))
                self.caused.setdefault(plan.caused_by, set()).add(plan.run)
                return plan.run
            case EventType.JOB:
                job = Job.model_validate_json(seen.value)
                self.jobs[job.run, job.stream, job.segment].append((seen, job))
                return job.run
            case EventType.CHUNK:
                header = ChunkHeader.from_bytes(seen.headers["chunk"])
                if header.digest != seen.digest:
                    raise WireError("a chunk whose value is not what its digest says")
                self.chunks[header.run, header.stream, header.segment, header.rendition, header.n].add(header.digest)
                return header.run
            case EventType.CELL:
                key, result = CellKey.from_bytes(seen.headers["cell"]), orjson.loads(seen.headers["result"])
                found = CellSeen(seen, result["digest"], CellStatus(result["status"]))
                self.cells[key.run, key.stream, key.segment, key.task, key.n].append(found)
                return key.run
            case EventType.MANIFEST:
                manifest = Manifest.model_validate_json(seen.value)
                self.manifests[manifest.run, manifest.stream, manifest.segment].append((seen, manifest))
                return manifest.run
            case EventType.JOB_FAILED:
                failed = JobFailed.model_validate_json(seen.value)
                self.failures[failed.run, failed.stream, failed.segment].append((seen, failed))
                return failed.run
            case EventType.REACTION:
                body = orjson.loads(seen.value)
                if "stage" in body:
                    return Progress.model_validate(body).run
                reaction = Reaction.model_validate(body)
                self.reactions[reaction.run].append((seen, reaction))
                return reaction.run
            case EventType.METADATA:
                event = ContentMetadata.model_validate_json(seen.value)
                self.finals[event.run.id].append((seen, event))
                return event.run.id
            case EventType.CHECK:
                return str(orjson.loads(seen.value)["run"])
            case EventType.CANCEL:
                return Cancel.model_validate_json(seen.value).run
            case EventType.TICK:
                return None
        raise WireError(f"no event of Dailies: {seen.type!r}")

    def ended(self, upload: str) -> bool:
        """Whether every run of an upload has its final event, or the upload its dead letter."""
        runs = self.caused.get(upload, set())
        return bool(runs and all(run in self.finals for run in runs)) or self.refused(upload)

    def refused(self, upload: str) -> bool:
        """Whether a dead letter says why the upload, or the plan made for it, was not processed."""
        for _, letter in self.letters:
            original = letter.original
            if (
                letter.stage == f"planner/{upload}"
                or self.places.get((original.topic, original.partition, original.offset)) == upload
            ):
                return True
            if original.topic == topics.ASSETS.name and self._owner(letter) in self.caused.get(upload, set()):
                return True
        return False

    def _owner(self, letter: DeadLetter) -> str | None:
        original = letter.original
        return self.places.get((original.topic, original.partition, original.offset))

    def runs_of(self, uploads: Iterable[str]) -> set[str]:
        """The runs that were planned for some uploads."""
        return {run for upload in uploads for run in self.caused.get(upload, ())}

    def where(self, upload: str) -> str:
        """Where an upload stands, for people."""
        runs = self.caused.get(upload, set())
        if not runs:
            return "published, no plan" if upload in self.uploads else "not published"
        return "; ".join(self._stage(run) for run in sorted(runs))

    def _stage(self, run: str) -> str:
        if run in self.finals:
            return f"{run}: final event"
        (_, plan), *_ = self.plans[run]
        if isinstance(plan, NoPlan):
            return f"{run}: no plan ({plan.reason}), no final event"
        jobs = [(run, job.stream, job.segment) for job in plan.jobs]
        told = [key for key in jobs if key in self.manifests or key in self.failures]
        cells = sum(key[0] == run for key in self.cells)
        letters = [letter.stage for _, letter in self.letters if self._owner(letter) == run]
        issued = sum(key in self.jobs for key in jobs)
        return (
            f"{run}: planned, {issued} of {len(jobs)} jobs issued, {len(told)} ended, {cells} cells, "
            f"attempts {[len(self.jobs[key]) for key in jobs]}, dead letters {letters}"
        )


class Reader:
    """Reads every topic from where it ends at the start, in a thread of its own, around the network under test."""

    def __init__(self, bootstrap: str) -> None:
        self._admin = admin_client(bootstrap)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "chaos-oracle",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "reconnect.backoff.max.ms": 500,
            },
            logger=QUIET,
        )
        places = [TopicPartition(topic.name, partition) for topic in READ for partition in range(topic.partitions)]
        for place in places:
            place.offset = watermarks(self._consumer, place)[1]
        self._next = {(place.topic, place.partition): place.offset for place in places}
        """What is to be read next, by topic and partition."""
        self._consumer.assign(places)
        self._new: list[Seen] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oracle", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, timeout=0.1):
                if message.error() is None:
                    seen = Seen.from_message(message)
                    with self._lock:
                        self._new.append(seen)
                        self._next[seen.topic, seen.partition] = seen.offset + 1

    def take(self) -> list[Seen]:
        """What has come since the last call."""
        with self._lock:
            new, self._new = self._new, []
        return new

    def drained(self) -> bool:
        """Whether everything that lies on the topics is read. False also where Kafka does not answer."""
        with self._lock:
            read = dict(self._next)
        try:
            ends = offsets(self._admin, read, OffsetSpec.latest(), ASK_SECONDS)
            starts = offsets(self._admin, read, OffsetSpec.earliest(), ASK_SECONDS)
        except KafkaException:
            return False
        return all(max(read[place], starts[place]) >= end for place, end in ends.items())

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()


def follow(reader: Reader, ledger: Ledger, seconds: float = 0.1) -> None:
    """Wait a moment and take in what has come."""
    time.sleep(seconds)
    ledger.add_all(reader.take())
