"""How much of an asset was looked at: frames and samples, cells, and the gaps by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from processors.aggregate import Aggregate, StreamState
from processors.renditions import RENDITIONS
from schemas.chunk import hop_edge
from schemas.errors import SourceChanged
from schemas.events import AssetCoverage, ChunkCoverage, Coverage, Gap, Status
from schemas.manifest import ChunkRecord, Manifest
from schemas.versions import STATE_VERSION, TASK_VERSION

NOT_THE_MATERIAL = frozenset(
    {"cancelled", "superseded", "lost", "digest_mismatch", SourceChanged.reason, TASK_VERSION, STATE_VERSION}
)
"""Reasons of failed jobs that say nothing of what was to be decoded."""

NOTHING_DECODED = "nothing_decoded: neither a picture nor a sample came out of any decoder"


def coverage(aggregate: Aggregate) -> AssetCoverage:
    """Coverage of every analysed stream, the cells by outcome, and the gaps by name."""
    streams = {name: _stream_coverage(aggregate, state) for name, state in aggregate.streams.items()}
    videos = [c for name, c in streams.items() if aggregate.streams[name].plan.kind == "video"]
    lanes = aggregate.lanes.values()
    ok = sum(lane.tally.ok for lane in lanes)
    failed = sum(len(lane.tally.failures) for lane in lanes)
    skipped = sum(lane.tally.skipped for lane in lanes)
    return AssetCoverage(
        video_frames=videos[0] if videos else None,
        streams=streams,
        chunks=ChunkCoverage(expected=ok + failed + skipped, ok=ok, failed=failed, skipped=skipped),
        gaps=tuple(_gaps(aggregate)),
    )


def ending(aggregate: Aggregate, gaps: Sequence[Gap]) -> tuple[Status, str | None]:
    """How a run ended, and why not better.

    ``unprocessable`` means that nothing came out of any decoder, and that the material is why: its jobs failed in every
    attempt, or gave nothing. What could not be done for another reason is ``incomplete``, and so is what was done in part.
    """
    failures = [state.failed[segment] for state in aggregate.streams.values() for segment in sorted(state.failed)]
    decoded = any(state.decoded for state in aggregate.streams.values())
    if not decoded and not any(failure.reason in NOT_THE_MATERIAL for failure in failures):
        reasons = [f"{failure.reason}: {failure.message}" for failure in failures]
        return "unprocessable", reasons[0] if reasons else NOTHING_DECODED
    return ("incomplete", gaps[0].reason) if gaps else ("complete", None)


def _stream_coverage(aggregate: Aggregate, state: StreamState) -> Coverage:
    decoded = state.decoded
    expected = decoded
    if state.plan.frames is not None:
        expected = max(decoded, state.plan.frames)
    concealed = sum(m.concealed for m in state.manifests.values())
    failed = min(decoded - concealed, _failed_units(aggregate, state))
    return Coverage(
        expected=expected,
        decoded=decoded,
        analysed=decoded - concealed - failed,
        concealed=concealed,
        failed=failed,
        missing=expected - decoded,
    )


def _failed_units(aggregate: Aggregate, state: StreamState) -> int:
    """Frames or samples that at least one task failed on, each counted once. A still is one frame, which one is not known."""
    stills = len({second for rows in _failed_rows(aggregate, state, by_second=True) for second in range(*rows)})
    spans = sorted(_failed_rows(aggregate, state, by_second=False))
    total, reach = stills, 0
    for low, high in spans:
        low = max(low, reach)
        if high > low:
            total += _units(state, high) - _units(state, low)
            reach = high
    return total


def _failed_rows(aggregate: Aggregate, state: StreamState, *, by_second: bool) -> Iterator[tuple[int, int]]:
    for (stream, _), lane in aggregate.lanes.items():
        rendition = RENDITIONS.get(lane.task.rendition)
        if stream != state.plan.id or (rendition is not None and rendition.row == "second") is not by_second:
            continue
        for segment, n in lane.tally.failures:
            if segment in state.manifests:
                record = lane.record(state.manifests[segment], n)
                yield record.first_row, record.first_row + record.rows[0]


def _units(state: StreamState, row: int) -> int:
    audio = state.plan.audio
    return row if audio is None else min(state.decoded, hop_edge(audio.rate, row))


def _gaps(aggregate: Aggregate) -> list[Gap]:
    gaps = []
    jobs = {(job.stream, job.segment): job for job in aggregate.plan.jobs}
    for name, state in aggregate.streams.items():
        clock = state.plan.clock
        for segment, failure in sorted(state.failed.items()):
            job = jobs[name, segment]
            start, end = (None if t is None else clock.event_time(t) for t in (job.start, job.end))
            gaps.append(Gap(stream=name, clock=name, start=start, end=end, reason=f"{failure.reason}: {failure.message}"))
        for (stream, task), lane in aggregate.lanes.items():
            if stream != name:
                continue
            for (segment, n), reason in sorted(lane.tally.failures.items()):
                manifest = state.manifests.get(segment)
                if manifest is None:
                    continue  # the whole job is a gap
                start, end = _record_span(state, lane.record(manifest, n), manifest)
                gaps.append(Gap(stream=name, clock=name, start=start, end=end, task=task, reason=reason))
    return list(_joined(gaps))


def _joined(gaps: Iterable[Gap]) -> Iterator[Gap]:
    """Neighbours that say the same as one gap: an asset given up early has thousands of cells without a result."""
    last: Gap | None = None
    for gap in gaps:
        if last is not None and _touch(last, gap):
            last = last.model_copy(update={"end": gap.end})
            continue
        if last is not None:
            yield last
        last = gap
    if last is not None:
        yield last


def _touch(one: Gap, other: Gap) -> bool:
    if (one.stream, one.task, one.reason) != (other.stream, other.task, other.reason):
        return False
    return one.end == other.start or (one.start, one.end) == (other.start, other.end)


def _record_span(state: StreamState, record: ChunkRecord, manifest: Manifest) -> tuple[int | None, int | None]:
    """Event times of a chunk: exact for sound; for video of its segment (the manifest has no pts of every frame)."""
    clock, audio = state.plan.clock, state.plan.audio
    if audio is not None:
        low, high = record.first_row, record.first_row + record.rows[0]
        return clock.event_time(hop_edge(audio.rate, low)), clock.event_time(hop_edge(audio.rate, high))
    edges = manifest.first_pts, manifest.end_pts
    start, end = (None if t is None else clock.event_time(t) for t in edges)
    return start, end
