"""Everything known of one run: plan, manifests, lanes. Decides when the run is complete. Pure: no Kafka, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from processors import tasks
from processors.findings import FoldEvent
from processors.lane import Lane, Place
from processors.task_versions import differs
from processors.tasks.base import FoldRun, Outcome, StreamContext, StreamEnd
from schemas.cell import CellKey, CellResult, CellStatus
from schemas.chunk import hops
from schemas.manifest import JobFailed, Manifest
from schemas.plan import Plan, StreamPlan
from schemas.versions import TASK_VERSION, compatible

LaneKey = tuple[str, str]
"""Stream id, task name."""

JobKey = tuple[str, int]
"""Stream id, segment."""


class Heard(NamedTuple):
    """The ``number``-th event (from 1) that a lane's fold has given."""

    lane: LaneKey
    number: int
    event: FoldEvent


class Abandoned(NamedTuple):
    """What is given up: jobs that will not deliver, and cells that failed."""

    jobs: tuple[JobFailed, ...]
    cells: tuple[CellResult, ...]


@dataclass(slots=True)
class StreamState:
    """The jobs of one stream: what each made, or why it failed."""

    plan: StreamPlan
    segments: int
    manifests: dict[int, Manifest] = field(default_factory=dict)
    failed: dict[int, JobFailed] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether every job has ended."""
        return len(self.manifests.keys() | self.failed.keys()) == self.segments

    @property
    def decoded(self) -> int:
        """Frames, or samples, decoded so far."""
        return sum(m.decoded for m in self.manifests.values())

    def end(self, folded_rows: int) -> StreamEnd:
        """Where the stream ends, as far as decoding says. Raises nothing: without a manifest it ends where folding did."""
        ends = [m.end_pts for m in self.manifests.values() if m.end_pts is not None]
        if self.plan.kind == "audio" and self.plan.audio is not None:
            return StreamEnd(hops(self.plan.audio.rate, self.decoded), self.decoded)
        return StreamEnd(folded_rows, max(ends, default=0))


class Aggregate:
    """The state of one run. Takes manifests, cells and failures in any order, each any number of times.

    ``others`` has the jobs that workers of another major version of a task have answered for, each with what they said: nothing
    of that is a result. Raises ``KeyError`` for a plan with a task that does not exist here.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.others: dict[JobKey, str] = {}
        self.streams: dict[str, StreamState] = {}
        self.lanes: dict[LaneKey, Lane] = {}
        for stream in plan.streams:
            segments = sum(job.stream == stream.id for job in plan.jobs)
            if stream.decision != "analysed" or not segments:
                continue
            self.streams[stream.id] = StreamState(stream, segments)
            context = stream_context(stream)
            for name in stream.tasks:
                task = tasks.task(name)
                run = FoldRun.begin(task.fold, context)
                self.lanes[stream.id, name] = Lane(stream.id, plan.task(name), segments, run, task.spec.version)

    def add_manifest(self, manifest: Manifest) -> bool:
        """A job ended well. False if that was known, or is no job of this run."""
        state = self.streams.get(manifest.stream)
        if state is None or manifest.segment >= state.segments:
            return False
        known = state.manifests.get(manifest.segment)
        if known is not None and known.attempt >= manifest.attempt:
            return False
        if manifest.segment in state.failed and any(lane.at[0] > manifest.segment for lane in self._lanes_of(manifest.stream)):
            return False  # too late: what comes behind it is folded already
        state.manifests[manifest.segment] = manifest
        state.failed.pop(manifest.segment, None)
        for lane in self._lanes_of(manifest.stream):
            if lane.contradicted(manifest):
                message = f"results of {lane.task.name} were made from other data than the manifest names"
                failure = self._job_failed(manifest.stream, manifest.segment, "digest_mismatch", message)
                self.fail_job(failure, anyway=True)
        return True

    def fail_job(self, failure: JobFailed, *, anyway: bool = False) -> bool:
        """A job will not deliver. False if it did already (unless ``anyway``), or that was known."""
        state = self.streams.get(failure.stream)
        if state is None or failure.segment >= state.segments or failure.segment in state.failed:
            return False
        if failure.segment in state.manifests and not anyway:
            return False
        state.failed[failure.segment] = failure
        return True

    def abandon(self, reason: str, message: str, job: JobKey | None = None) -> Abandoned:
        """Account for what is missing, of one job (stream, segment) or of all, as failed: to be taken in and kept."""
        failures, cells = [], []
        for name, state in self.streams.items():
            for segment in range(state.segments):
                if job not in (None, (name, segment)) or segment in state.failed:
                    continue
                manifest = state.manifests.get(segment)
                if manifest is None:
                    failures.append(self._job_failed(name, segment, reason, message))
                    continue
                why = f"{reason}: {message}" if reason == TASK_VERSION else message
                for lane in self._lanes_of(name):
                    cells += [self._cell_failed(lane, place, wanted, why) for place, wanted in lane.missing(manifest)]
        return Abandoned(tuple(failures), tuple(cells))

    def _job_failed(self, stream: str, segment: int, reason: str, message: str) -> JobFailed:
        asset, run = self.plan.asset.id, self.plan.run
        return JobFailed(run=run, asset=asset, stream=stream, segment=segment, reason=reason, message=message, attempts=1)

    def _cell_failed(self, lane: Lane, place: Place, digest: str, message: str) -> CellResult:
        asset, run, task = self.plan.asset.id, self.plan.run, lane.task
        key = CellKey(asset, run, lane.stream, place[0], task.rendition, place[1], task.name, task.version)
        return CellResult(key, CellStatus.FAILED, digest, message.encode())

    def add_cell(self, result: CellResult) -> bool:
        """A result. False if it was known, comes too late to matter, or belongs to no lane (another major task version)."""
        lane = self.lanes.get((result.key.stream, result.key.task))
        if lane is None or result.key.run != self.plan.run or not compatible(result.key.task_version, lane.task.version):
            return False
        return lane.offer(result)

    def other_version(self, result: CellResult) -> str | None:
        """What is to be said of a result that another major version of its task has made; None if the planned one has."""
        lane = self.lanes.get((result.key.stream, result.key.task))
        if lane is None or compatible(result.key.task_version, lane.task.version):
            return None
        return differs(lane.task.name, lane.task.version, result.key.task_version)

    def advance(self, stream: str) -> list[Heard]:
        """Fold what has become contiguous on one stream; what the folds of its lanes say of findings."""
        state = self.streams[stream]
        return [
            Heard((stream, lane.task.name), number, event)
            for lane in self._lanes_of(stream)
            for number, event in lane.advance(state.manifests, state.failed)
        ]

    def contiguous_to(self, stream: str) -> int:
        """Up to which event time every task has seen the stream without a hole; conservative by one frame of video."""
        clock = self.streams[stream].plan.clock
        reached = [lane.reached for lane in self._lanes_of(stream)]
        known = [clock.event_time(at) for at in reached if at is not None]
        return min(known) if len(known) == len(reached) and known else 0

    def _lanes_of(self, stream: str) -> Iterable[Lane]:
        return [lane for (of, _), lane in self.lanes.items() if of == stream]

    @property
    def complete(self) -> bool:
        """Whether every job has ended and every cell is accounted for."""
        return all(s.settled for s in self.streams.values()) and all(lane.done for lane in self.lanes.values())

    def progress(self) -> float:
        """How much of the expected rows is folded, from 0 to 1; an estimate where the index gives no count."""
        shares = [min(1.0, lane.run.next_row / self._rows(lane.stream)) for lane in self.lanes.values()]
        return sum(shares) / len(shares) if shares else 1.0

    def _rows(self, stream: str) -> float:
        plan = self.streams[stream].plan
        if plan.frames:
            return plan.frames
        seconds = plan.duration or self.plan.duration or 1.0
        return max(1.0, seconds * (100 if plan.kind == "audio" else 25))

    def finish(self) -> dict[LaneKey, Outcome]:
        """End every fold. Their findings are in each lane's ``run`` then. May be called again: folds are pure."""
        return {key: lane.run.finish(self.streams[lane.stream].end(lane.run.next_row)) for key, lane in self.lanes.items()}


def stream_context(stream: StreamPlan) -> StreamContext:
    """What a fold knows of a stream, from its plan. Raises ``ValueError`` on a stream that is neither picture nor sound."""
    if stream.kind != "video" and stream.kind != "audio":
        raise ValueError(f"{stream.id} is {stream.kind}")
    return StreamContext(stream.id, stream.kind, stream.clock, stream.video, stream.audio, stream.field_order)
