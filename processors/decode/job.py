"""One decode job from its source to its chunks, cells and manifest."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from av.container import InputContainer

from processors.container import open_container
from processors.decode.audio import AudioReader
from processors.decode.bounds import Bounds
from processors.decode.faults import FaultLog
from processors.decode.frame import NativeFrame
from processors.decode.native import NativeCells
from processors.decode.video import VideoReader
from processors.limits import MediaLimits
from processors.renditions import RENDITIONS
from processors.renditions.base import FrameBuilder
from processors.renditions.pyramid import Pyramid
from processors.source import Source
from schemas.cell import CellResult
from schemas.chunk import Chunk
from schemas.ids import view
from schemas.manifest import ChunkRecord, Manifest, TimestampGap
from schemas.plan import Job

Output = Chunk | CellResult | Manifest

DEFAULT = MediaLimits()


def run_job(job: Job, source: Source, limits: MediaLimits = DEFAULT) -> Iterator[Output]:
    """Decode a job; gives chunks and cells as they are complete, and the manifest last.

    A damaged stream gives what can be decoded, and errors in the manifest. Raises ``Unprocessable`` where the source cannot
    be opened, is not what was planned, or goes beyond the limits on its way.
    """
    bounds = Bounds(job, limits)
    with open_container(source, limits) as container:
        yield from _video(container, job, bounds) if job.kind == "video" else _audio(container, job, bounds)


@dataclass(slots=True)
class _Watch:
    """CPU time of this thread by stage."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _last: float = field(default_factory=time.thread_time)

    def lap(self, stage: str) -> None:
        """What passed since the last call belongs to ``stage``."""
        now = time.thread_time()
        self.seconds[stage] += now - self._last
        self._last = now

    def skip(self) -> None:
        """What passed since the last call is not the job's."""
        self._last = time.thread_time()


@dataclass(slots=True)
class _Tally:
    """What the manifest will say."""

    decoded: int = 0
    concealed: int = 0
    first_pts: int | None = None
    last_pts: int | None = None
    end_pts: int | None = None
    chunks: list[ChunkRecord] = field(default_factory=list)

    def count(self, frame: NativeFrame) -> None:
        """Count an owned frame."""
        self.decoded += 1
        self.concealed += frame.corrupt
        if self.first_pts is None:
            self.first_pts = frame.pts
        self.last_pts, self.end_pts = frame.pts, frame.pts + frame.duration

    def record(self, chunk: Chunk) -> Chunk:
        """Note a chunk."""
        h = chunk.header
        self.chunks.append(
            ChunkRecord(
                rendition=h.rendition,
                n=h.n,
                first_row=h.first_row,
                rows=h.rows,
                fresh=h.fresh,
                bytes=view(chunk.data).nbytes,
                digests={"": h.digest},
            )
        )
        return chunk

    def manifest(
        self, job: Job, faults: FaultLog, seconds: dict[str, float], gaps: Sequence[TimestampGap], gap_count: int
    ) -> Manifest:
        """The manifest."""
        return Manifest(
            run=job.run,
            asset=job.asset.id,
            stream=job.stream,
            segment=job.segment,
            kind=job.kind,
            decoded=self.decoded,
            concealed=self.concealed,
            first_pts=self.first_pts,
            last_pts=self.last_pts,
            end_pts=self.end_pts,
            chunks=tuple(self.chunks),
            errors=faults.entries(),
            gaps=tuple(gaps),
            gap_count=gap_count,
            seconds=seconds,
            attempt=job.attempt,
        )


def _video(container: InputContainer, job: Job, bounds: Bounds) -> Iterator[Output]:
    faults, tally, watch, pyramid = FaultLog(), _Tally(), _Watch(), Pyramid()
    native = NativeCells(job)
    builders = {name: _frame_builder(name, job) for name in job.renditions}

    def wants() -> bool:
        return any(builder.hungry() for builder in builders.values()) or native.hungry()

    reader = VideoReader(container, job, faults, wants, bounds)
    for frame, owned in reader.frames():
        watch.lap("decode")
        if owned:
            tally.count(frame)
        made: list[Output] = list(native.feed(frame, owned=owned))
        watch.skip()  # the tasks keep their own time
        pyramid.load(frame)
        for name, builder in builders.items():
            made += map(tally.record, builder.feed(pyramid, owned=owned))
            watch.lap(name)
        if made:
            yield from made
            watch.skip()
    watch.lap("decode")
    for name, builder in builders.items():
        chunks = list(map(tally.record, builder.close()))
        watch.lap(name)
        yield from chunks
        watch.skip()
    yield from native.close()
    tally.chunks += native.records
    clock = reader.clock
    yield tally.manifest(job, faults, {**watch.seconds, **native.seconds}, clock.gaps, clock.gap_count)


def _frame_builder(name: str, job: Job) -> FrameBuilder:
    make = RENDITIONS[name].frames
    if make is None:
        raise ValueError(f"rendition {name} is not one of video")
    return make(job)


def _audio(container: InputContainer, job: Job, bounds: Bounds) -> Iterator[Output]:
    faults, tally, watch = FaultLog(), _Tally(), _Watch()
    reader = AudioReader(container, job, faults, bounds)
    makers = {name: RENDITIONS[name].samples for name in job.renditions}
    builders = {name: make(job) for name, make in makers.items() if make is not None}
    if builders.keys() != makers.keys():
        raise ValueError(f"not all of {', '.join(makers)} are renditions of sound")
    for block in reader.blocks():
        watch.lap("decode")
        for name, builder in builders.items():
            chunks = _noted(tally, builder.feed(block))
            watch.lap(name)
            if chunks:
                yield from chunks
                watch.skip()
        tally.first_pts, tally.last_pts, tally.end_pts = 0, block.end - 1, block.end
    watch.lap("decode")
    for name, builder in builders.items():
        chunks = _noted(tally, builder.close())
        watch.lap(name)
        yield from chunks
        watch.skip()
    tally.decoded, tally.concealed = reader.samples, reader.concealed
    yield tally.manifest(job, faults, dict(watch.seconds), reader.gaps, reader.gap_count)


def _noted(tally: _Tally, chunks: Iterable[Chunk]) -> list[Chunk]:
    return [tally.record(chunk) for chunk in chunks]
