"""What a task is: what it sees, where it runs, the signals it makes and the fold that turns them into results.

A task is one module in ``processors/tasks/`` with a module-level ``TASK``. Everything about it is pure: a chunk's signals
depend on the chunk alone, and a fold's result on the signals in presentation order alone, however they were cut. So
whole-file analysis is the same fold in one call, and equals the analysis chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from processors.findings import FoldEvent, MeasurementDraft, ShotDraft
from schemas.cell import Signals
from schemas.chunk import Chunk
from schemas.clock import Clock
from schemas.plan import AudioFormat, FieldOrder, Job, TaskRef, VideoFormat

if TYPE_CHECKING:
    from processors.decode.frame import NativeFrame

NATIVE = "native"
"""The rendition name of decode tasks: the frame itself, which never travels."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What a task declares.

    ``before`` and ``after`` are the rows (frames, or 10 ms hops) of context around each output row; with ``grid`` > 1
    outputs come in whole blocks of ``grid`` rows counted from the stream's first, and the context is around the block.
    ``group`` names the consumer group that runs an agent task. A new ``version`` means that results differ.
    """

    name: str
    version: str
    kind: Literal["video", "audio"]
    where: Literal["decode", "agent"]
    rendition: str
    summary: str
    before: int = 0
    after: int = 0
    grid: int = 1
    group: str = "signals"
    params: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str | None = None
    findings: tuple[str, ...] = ()
    """The finding codes that the task looks for: where it ran and gave none, there is none."""
    second_opinion: bool = False
    """Whether another task is the first to speak of these codes: then the findings have ids of their own, so that both stand
    even where they begin with the same frame."""

    @property
    def halo(self) -> int:
        """Rows past a chunk's owned ones that the task must see: all its context lies there (DESIGN: halos lie only after)."""
        return self.before + self.after + self.grid - 1

    def output_rows(self, first: int, owned: int, after: int, *, fresh: bool) -> tuple[int, int]:
        """The half-open rows that a chunk's result holds.

        A chunk owning ``[start, end)`` gives ``[B(start), B(end))`` where ``B(x)`` is the first block edge with its whole
        ``before`` context at or after ``x``; a fresh chunk gives from its first row on; where the stream ends inside
        the halo the result goes to that end.
        """
        end = first + owned
        total = end + after
        low = first if fresh else self._edge(first)
        return min(low, total), min(self._edge(end), total)

    def _edge(self, row: int) -> int:
        return -(-(row + self.before) // self.grid) * self.grid

    def ref(self) -> TaskRef:
        """The task as a plan names it."""
        return TaskRef(
            name=self.name,
            version=self.version,
            where=self.where,
            rendition=self.rendition,
            group=self.group,
            params=dict(self.params),
        )


@dataclass(frozen=True, slots=True)
class StreamContext:
    """What a fold knows of its stream before the first row."""

    stream: str
    kind: Literal["video", "audio"]
    clock: Clock
    video: VideoFormat | None = None
    audio: AudioFormat | None = None
    field_order: FieldOrder | None = None
    """What the container, else the codec, says of the fields of a video stream."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """What a fold learns at the end: rows in all, and the raw pts (or sample position) just past the last one."""

    rows: int
    end: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one fold step gives.

    ``state`` replaces the last one: a JSON-able dict that may also hold numpy arrays at its top level; it stays small
    (kilobytes) however long the stream is. What must grow with the stream goes to ``journal``: rows to append, by name;
    :meth:`Fold.finish` is given each name's rows of all steps, joined. ``events`` are findings as they become certain.
    """

    state: dict[str, Any]
    events: tuple[FoldEvent, ...] = ()
    journal: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished fold gives for its stream. ``events`` end (or withdraw) what was still open."""

    events: tuple[FoldEvent, ...] = ()
    measurements: tuple[MeasurementDraft, ...] = ()
    shots: tuple[ShotDraft, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Facts about the stream for ``technical``, by field name: e.g. ``active_area: {x, y, w, h}``."""


class Fold(Protocol):
    """Turns a stream's signals, in presentation order, into findings and measurements. Pure: state in, state out."""

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """The state before the first row."""

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Fold in the next rows. ``signals.first_row`` is where the last step ended, unless rows are lost: then it is
        further on, and no interval may reach across the hole.
        """

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """The results, after the last row."""


@runtime_checkable
class RunningFold(Protocol):
    """A fold with figures that can only get worse, such as a peak: what they are so far may already break a limit for good."""

    def so_far(self, stream: StreamContext, state: dict[str, Any]) -> tuple[MeasurementDraft, ...]:
        """These figures up to the last row."""


class DecodeAnalyser(Protocol):
    """A decode task at work on one job. Frames come in presentation order, the job's own first, then those after it."""

    def feed(self, frame: NativeFrame, *, owned: bool) -> None:
        """See one frame at native resolution and depth. The frame's planes are only valid during the call."""

    def hungry(self) -> bool:
        """After the last owned frame: whether a further frame (if the stream has one) is needed for exact results."""

    def ready(self) -> int:
        """How many of the owned frames, from the first not yet taken on, have complete signals."""

    def take(self, rows: int) -> tuple[dict[str, NDArray[Any]], tuple[dict[str, Any], ...]]:
        """The signals and observations of the next ``rows`` owned frames (``rows <= ready()``)."""

    def close(self) -> None:
        """There are no more frames: all owned frames become ready; what is missing is null (NaN)."""


class DecodeTask(Protocol):
    """A task that runs in the decode child: numpy and OpenCV only, about 1 ms a 1080p frame."""

    spec: TaskSpec
    fold: Fold

    def open(self, job: Job) -> DecodeAnalyser:
        """Begin one job."""


class Runner(Protocol):
    """An agent task, loaded on a device."""

    runtime: str
    """Library and device, e.g. ``torch 2.15 cpu``: goes into the producers of the final event."""

    def __call__(self, chunk: Chunk) -> Signals:
        """Signals of ``spec.output_rows(...)`` of this chunk. Pure; raises on what it cannot digest."""


class AgentTask(Protocol):
    """A task that runs in an inference agent, on a rendition's chunks."""

    spec: TaskSpec
    fold: Fold

    def load(self, device: str) -> Runner:
        """Make a runner for ``cpu`` or ``cuda``. Importing the module must not import torch: only this does."""


Task = DecodeTask | AgentTask


def chunk_rows(spec: TaskSpec, chunk: Chunk) -> tuple[int, int]:
    """The rows that the task's result on this chunk holds."""
    h = chunk.header
    return spec.output_rows(h.first_row, h.rows[0], h.rows[1], fresh=h.fresh)


@dataclass(slots=True)
class FoldRun:
    """One fold under way: its state, how far it is, and what it has said so far. The pipeline and ``analyse`` share it."""

    fold: Fold
    stream: StreamContext
    state: dict[str, Any]
    next_row: int = 0
    findings: dict[tuple[str, int], FoldEvent] = field(default_factory=dict)
    journal: dict[str, list[NDArray[Any]]] = field(default_factory=dict)

    @classmethod
    def begin(cls, fold: Fold, stream: StreamContext) -> FoldRun:
        """A fold before its first row."""
        return cls(fold, stream, fold.start(stream))

    def step(self, signals: Signals) -> Step:
        """Fold the next signals in."""
        step = self.fold.step(self.stream, self.state, signals)
        self.state = step.state
        self.next_row = signals.end_row
        self.hear(step.events)
        for name, rows in step.journal.items():
            self.journal.setdefault(name, []).append(rows)
        return step

    def finish(self, end: StreamEnd) -> Outcome:
        """End the fold. Its findings are in :attr:`findings` then."""
        joined = {name: np.concatenate(parts) for name, parts in self.journal.items()}
        outcome = self.fold.finish(self.stream, self.state, joined, end)
        self.hear(outcome.events)
        return outcome

    def hear(self, events: Sequence[FoldEvent]) -> None:
        """Take in what the fold says about its findings."""
        for event in events:
            key = (event.finding.code, event.finding.start)
            if event.phase == "withdrawn":
                self.findings.pop(key, None)
            else:
                self.findings[key] = event

    def final_findings(self) -> Iterator[FoldEvent]:
        """What is left after :meth:`finish`, in order of time and code."""
        return iter(sorted(self.findings.values(), key=lambda e: (e.finding.start, e.finding.code)))
