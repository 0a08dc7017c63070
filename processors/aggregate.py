"""Everything known of one run: plan, manifests, lanes. Decides when the run is complete. Pure: no Kafka, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from processors import tasks
from processors.findings import FoldEvent
from processors.lane import Lane
from processors.tasks.base import FoldRun, Outcome, StreamContext, StreamEnd
from schemas.cell import CellResult
from schemas.chunk import hops
from schemas.manifest import JobFailed, Manifest
from schemas.plan import Plan, StreamPlan

LaneKey = tuple[str, str]
"""Stream id, task name."""


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
    """The state of one run. Takes manifests, cells and failures in any order, each any number of times."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.streams: dict[str, StreamState] = {}
        self.lanes: dict[LaneKey, Lane] = {}
        for stream in plan.streams:
            segments = sum(job.stream == stream.id for job in plan.jobs)
            if stream.decision != "analysed" or not segments:
                continue
            self.streams[stream.id] = StreamState(stream, segments)
            context = stream_context(stream)
            for name in stream.tasks:
                run = FoldRun.begin(tasks.task(name).fold, context)
                self.lanes[stream.id, name] = Lane(stream.id, plan.task(name), segments, run)

    def add_manifest(self, manifest: Manifest) -> bool:
        """A job ended well. False if that was known, or is no job of this run."""
        state = self.streams.get(manifest.stream)
        if state is None or manifest.segment >= state.segments or manifest.segment in state.manifests:
            return False
        state.manifests[manifest.segment] = manifest
        state.failed.pop(manifest.segment, None)
        for lane in self._lanes_of(manifest.stream):
            if lane.contradicted(manifest):
                message = f"results of {lane.task.name} were made from other data than the manifest names"
                self.fail_job(
                    JobFailed(
                        run=manifest.run,
                        asset=manifest.asset,
                        stream=manifest.stream,
                        segment=manifest.segment,
                        reason="digest_mismatch",
                        message=message,
                        attempts=1,
                    ),
                    anyway=True,
                )
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

    def add_cell(self, result: CellResult) -> bool:
        """A result. False if it was known, comes too late to matter, or belongs to no lane (another task version)."""
        lane = self.lanes.get((result.key.stream, result.key.task))
        if lane is None or result.key.task_version != lane.task.version or result.key.run != self.plan.run:
            return False
        return lane.offer(result)

    def advance(self, stream: str) -> list[tuple[LaneKey, FoldEvent]]:
        """Fold what has become contiguous on one stream; the findings that this made certain."""
        state = self.streams[stream]
        return [
            ((stream, lane.task.name), event)
            for lane in self._lanes_of(stream)
            for event in lane.advance(state.manifests, state.failed)
        ]

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
    return StreamContext(stream.id, stream.kind, stream.clock, stream.video, stream.audio)
