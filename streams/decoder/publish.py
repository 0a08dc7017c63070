"""Publishes what one decode job makes: its chunks, its native cells, and at last the manifest that proves them complete."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

from schemas import cloudevents
from schemas.cell import CellResult, CellStatus
from schemas.chunk import Chunk
from schemas.cloudevents import Headers
from schemas.errors import ChildError, DailiesError
from schemas.ids import identity, view
from schemas.manifest import JobFailed, Manifest
from schemas.plan import Job
from schemas.types import SCHEMA_OF, EventType
from streams.decoder.budget import Budget
from streams.decoder.needs import Need
from streams.decoder.pace import LEAD, Pace
from streams.producer import Delivered, Deliveries
from streams.topics import CHUNKS, INFERENCES

SOURCE = "dailies/decoder"

TRACEPARENT = "traceparent"


class Cancelled(DailiesError):
    """The job was taken away, or the process stops: nothing more is to be done for it."""


class JobPublisher:
    """One attempt at one job. ``time`` is the ``ce_time`` of everything, ``traceparent`` the W3C trace it belongs to.

    The bytes and headers depend on the job and its outputs alone, so that another attempt publishes the same again.
    """

    def __init__(
        self,
        job: Job,
        deliveries: Deliveries,
        budget: Budget,
        pace: Pace,
        *,
        time: str,
        traceparent: bytes | None,
        cancelled: Callable[[], bool],
    ) -> None:
        self._job = job
        self._deliveries = deliveries
        self._budget = budget
        self._pace = pace
        self._time = time
        self._traceparent = traceparent
        self._cancelled = cancelled
        self._needs: dict[str, Need] = {}
        self._complete = False
        self.chunks = 0
        self.bytes = 0

    def publish(self, output: Chunk | CellResult | Manifest) -> None:
        """Queue one output. Raises ``Cancelled``, and ``DeliveryFailed`` if Kafka refused one of this job's records."""
        if self._cancelled():
            raise Cancelled(self.name)
        match output:
            case Chunk():
                self._chunk(output)
            case CellResult():
                self._cell(output)
            case Manifest():
                self._manifest(output)

    @cached_property
    def name(self) -> str:
        """The job, for log lines."""
        return self._job.key.decode()

    def _chunk(self, chunk: Chunk) -> None:
        header = chunk.header
        need = self._need(header.rendition)
        size = view(chunk.data).nbytes
        paced = self._pace.group in need.groups
        if paced:
            self._pace.wait(self, LEAD[self._job.kind], self._cancelled)
        if not self._budget.admit(size, self._cancelled):
            raise Cancelled(self.name)
        found = self._headers(_chunk_id(chunk), EventType.CHUNK, cloudevents.RAW) | need.headers
        found["chunk"] = header.to_bytes()
        if TRACEPARENT not in found and header.traceparent:
            found[TRACEPARENT] = header.traceparent.encode()
        self._deliveries.produce(
            CHUNKS[header.rendition].name,
            key=header.key,
            value=chunk.data,
            headers=found,
            token=(header.rendition, header.n),
            on_report=partial(self._reported, size=size, groups=need.groups, paced=paced),
        )
        self.chunks += 1
        self.bytes += size

    def _reported(self, place: Delivered | None, *, size: int, groups: frozenset[str], paced: bool) -> None:
        self._budget.reported(place, size=size, groups=groups)
        if paced:
            self._pace.reported(self, None if place is None else ((place.topic, place.partition), place.offset))

    def _need(self, rendition: str) -> Need:
        need = self._needs.get(rendition)
        if need is None:
            need = self._needs[rendition] = Need.of(self._job, rendition)
            self._budget.require(rendition, need.groups, self._cancelled)
        return need

    def _cell(self, cell: CellResult) -> None:
        content = cloudevents.SAFETENSORS if cell.status is CellStatus.OK else cloudevents.JSON
        found = self._headers(cell.key.id, EventType.CELL, content) | cell.headers()
        self._deliveries.produce(INFERENCES.name, key=self._asset_key, value=cell.value, headers=found)

    def _manifest(self, manifest: Manifest) -> None:
        """Wait until everything before it lies in Kafka, write down where, and see it delivered too."""
        places = self._deliveries.flush_all()
        records = []
        for record in manifest.chunks:
            place = places.pop((record.rendition, record.n), None)
            if place is None and record.rendition in CHUNKS:
                raise ChildError(f"{self.name}: the manifest has {record.rendition}/{record.n}, which was not made")
            if place is not None:
                found = {"topic": place.topic, "partition": place.partition, "offset": place.offset}
                record = record.model_copy(update=found)
            records.append(record)
        if places:
            raise ChildError(f"{self.name}: the manifest lacks {sorted(map(str, places))}")
        whole = manifest.model_copy(update={"chunks": tuple(records)})
        self._event(EventType.MANIFEST, whole.to_bytes())
        self._deliveries.flush_all()
        self._complete = True

    def finish(self) -> None:
        """The child is done. Raises ``ChildError`` if the job's manifest was not the last thing that it gave."""
        if not self._complete:
            raise ChildError(f"{self.name}: the child ended without a manifest")

    def close(self) -> None:
        """The attempt has ended, however it did."""
        self._pace.forget(self)

    def failed(self, *, reason: str, message: str, attempts: int) -> None:
        """Say that the job will not deliver, and wait until that is in Kafka."""
        job = self._job
        event = JobFailed(
            run=job.run,
            asset=job.asset.id,
            stream=job.stream,
            segment=job.segment,
            reason=reason,
            message=message,
            attempts=attempts,
            attempt=job.attempt,
        )
        self._event(EventType.JOB_FAILED, event.model_dump_json().encode())
        self._deliveries.flush_all()

    def _event(self, type: EventType, value: bytes) -> None:
        job = self._job
        event_id = identity(type.value, job.run, job.asset.id, job.stream, job.segment, job.attempt)
        self._deliveries.produce(INFERENCES.name, key=self._asset_key, value=value, headers=self._headers(event_id, type))

    @cached_property
    def _asset_key(self) -> bytes:
        return self._job.asset.id.encode()

    def _headers(self, id: str, type: EventType, content_type: str = cloudevents.JSON) -> Headers:
        found = cloudevents.headers(
            id=id,
            type=type.value,
            source=SOURCE,
            subject=self._job.asset.id,
            time=self._time,
            schema=SCHEMA_OF.get(type),
            content_type=content_type,
        )
        if self._traceparent is not None:
            found[TRACEPARENT] = self._traceparent
        return found


def _chunk_id(chunk: Chunk) -> str:
    h = chunk.header
    return identity("chunk", h.asset, h.run, h.stream, h.segment, h.rendition, h.n)
