"""What is lost, and when that is known: a job or chunk that its readers have passed without a result.

Nothing counts as lost by mere time: a backlog is no gap. A reader publishes its result before it commits, and the check
travels on the results' own topic, behind them. So what a check shows as passed and the aggregator has not seen was never
published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from processors.aggregate import Aggregate, JobKey, StreamState
from processors.lane import Lane
from processors.tasks.base import NATIVE
from schemas.manifest import Manifest, Offsets, RepairCheck
from streams.chunklog import ChunkLog
from streams.groups import DECODERS, inference_group
from streams.secure import Bootstrap


@dataclass(frozen=True, slots=True)
class Issued:
    """Where a job was last published, and how often it had been before (``attempt``)."""

    attempt: int
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A result that is waited for: the job it belongs to, and the record that its maker has to read first."""

    job: JobKey
    group: str
    topic: str
    partition: int
    offset: int
    what: str

    @property
    def place(self) -> str:
        """``topic/partition``."""
        return f"{self.topic}/{self.partition}"

    def passed(self, check: RepairCheck) -> bool:
        """Whether the reader, or the start of the log, is past the record."""
        return max(check.committed.get(self.group, {}).get(self.place, 0), check.starts.get(self.place, 0)) > self.offset


def waiting(aggregate: Aggregate, issued: Mapping[JobKey, Issued]) -> Iterator[Waiting]:
    """Everything that a run waits for: manifests of jobs, and cells of chunks that a manifest names."""
    for name, state in aggregate.streams.items():
        lanes = [lane for (stream, _), lane in aggregate.lanes.items() if stream == name]
        for segment in range(state.segments):
            job = issued.get((name, segment))
            if job is not None and segment not in state.failed:
                yield from _of_job(state, (name, segment), job, lanes)


def _of_job(state: StreamState, key: JobKey, job: Issued, lanes: list[Lane]) -> Iterator[Waiting]:
    manifest = state.manifests.get(key[1])
    read_by_decoder = (DECODERS, job.topic, job.partition, job.offset)
    if manifest is None or manifest.attempt < job.attempt:
        if manifest is None or any(_missing(lane, manifest) for lane in lanes):
            yield Waiting(key, *read_by_decoder, "its manifest")
        return
    for lane in lanes:
        for n in _missing(lane, manifest):
            record = lane.records(manifest)[n]
            what = f"{lane.task.name} on {record.rendition}/{n}"
            if record.rendition == NATIVE or record.topic is None or record.partition is None or record.offset is None:
                yield Waiting(key, *read_by_decoder, what)
            else:
                yield Waiting(key, inference_group(lane.task.group), record.topic, record.partition, record.offset, what)


def _missing(lane: Lane, manifest: Manifest) -> list[int]:
    return [n for (_, n), _ in lane.missing(manifest)]


class Observer:
    """Asks Kafka where readers are. Blocks; raises ``KafkaException`` where the broker does not answer."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._bootstrap = bootstrap
        self._log: ChunkLog | None = None

    def __call__(self, wanted: list[Waiting]) -> tuple[dict[str, Offsets], Offsets]:
        """Committed offsets by group, and where the logs begin, of everything that is waited for."""
        if self._log is None:
            self._log = ChunkLog(self._bootstrap)
        by_group: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
        for item in wanted:
            by_group[item.group].add((item.topic, item.partition))
        committed = {
            group: {f"{topic}/{partition}": offset for (topic, partition), offset in self._log.committed(group, tps).items()}
            for group, tps in by_group.items()
        }
        places = {tp for tps in by_group.values() for tp in tps}
        starts = {f"{topic}/{partition}": offset for (topic, partition), offset in self._log.starts(places).items()}
        return committed, starts

    def close(self) -> None:
        """Let go of the connections."""
        if self._log is not None:
            self._log.close()
