"""The plan: what will be decoded, by which jobs, for which tasks. A pure function of an index and a request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

from processors.policy import to_uri
from processors.probe.index import IndexedStream, KeyFrame, MediaIndex, VideoIndex
from processors.tasks import registry
from processors.tasks.base import TaskSpec
from schemas.errors import SourceRefused, Unprocessable
from schemas.ids import asset_id, identity
from schemas.plan import PLAN_VERSION, AssetRef, Correlation, Job, NoPlan, Plan, Reanalysis, Seek, StreamPlan
from schemas.profiles import ProfileData

DEFAULT_PROFILES = ("ebu-r128", "feature-picture")
SEGMENT_SECONDS = 60
SEGMENT_GOPS = 10
SHORTEST_SECONDS = 4
"""A segment below this would spend its time on opening and seeking."""
NO_TASK = "none of the asked-for tasks reads it"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is asked for beside the object itself.

    ``caused_by`` is the upload event's id, ``created`` its RFC 3339 time, ``code`` this program's version. ``tasks`` None
    stands for all registered ones. A short asset is cut so that about ``cores`` decoders have work. ``single_segment``
    forbids cuts; ``cuts`` names the key frames to cut at, by frame number. ``judged_by`` are the profiles as they are now;
    of the others of ``profiles`` the plan carries the names. The same request is the same run, unless ``reanalysis`` names
    another cause.
    """

    caused_by: str
    created: str
    code: str
    correlation: Correlation = field(default_factory=Correlation)
    priority: Literal["normal", "urgent"] = "normal"
    profiles: tuple[str, ...] = DEFAULT_PROFILES
    judged_by: tuple[ProfileData, ...] = ()
    tasks: tuple[str, ...] | None = None
    reanalysis: Reanalysis | None = None
    cores: int = 4
    single_segment: bool = False
    cuts: tuple[int, ...] | None = None


def make_plan(index: MediaIndex, request: PlanRequest) -> Plan:
    """The plan for one version of one object; the same index and request give the same plan.

    Raises ``Unprocessable``: ``unknown_task``, or ``no_tasks`` where no asked-for task reads any of the streams; and
    ``ValueError`` if ``request.cuts`` names a frame where the stream cannot be cut.
    """
    specs = _specs(request.tasks)
    cuts = {stream.id: _cuts(stream, request) for stream in index.streams}
    streams = tuple(_stream(stream, specs) for stream in index.streams)
    analysed = [s for s, planned in zip(index.streams, streams, strict=True) if planned.decision == "analysed"]
    used = [spec for spec in specs if any(spec.kind == stream.kind for stream in analysed)]
    if not used:
        raise Unprocessable(f"no task that was asked for reads any stream of {index.uri}", reason="no_tasks")
    asset = AssetRef(id=asset_id(index.uri, index.version), uri=index.uri, version=index.version, bytes=index.size)
    tasks = tuple(spec.ref() for spec in used)
    layout = [(s.id, [key.frame for key in cuts[s.id]]) for s in analysed]
    made_by = [(task.name, task.version, sorted(task.params.items())) for task in tasks]
    again = () if request.reanalysis is None else (request.reanalysis.cause,)
    rules = ([(profile.name, profile.sha256) for profile in request.judged_by],) if request.judged_by else ()
    run = identity("run", asset.id, PLAN_VERSION, made_by, layout, request.profiles, *rules, *again)
    jobs: list[Job] = []
    for stream in analysed:
        base = _job_base(stream, [spec for spec in used if spec.kind == stream.kind], request)
        jobs += (Job(run=run, asset=asset, **base, **part) for part in _parts(stream, cuts[stream.id]))
    return Plan(
        run=run,
        asset=asset,
        correlation=request.correlation,
        caused_by=request.caused_by,
        created=request.created,
        code=request.code,
        priority=request.priority,
        profiles=request.profiles,
        judged_by=request.judged_by,
        container=index.container,
        duration=index.duration,
        bit_rate=index.bit_rate,
        streams=streams,
        tasks=tasks,
        tasks_wanted=request.tasks,
        reanalysis=request.reanalysis,
        # Sound first: it takes seconds where pictures take minutes, and what is wrong with it is known as much sooner.
        jobs=tuple(sorted(jobs, key=lambda job: job.kind == "video")),
    )


def no_plan(uri: str, version: str | None, error: Unprocessable, request: PlanRequest) -> NoPlan:
    """Why there is no plan. Without a version the asset's id is that of the URI alone.

    The run's id depends on the upload event: what was not there may be there next time, and each asking gets its answer.
    """
    with suppress(SourceRefused):  # a malformed one stays as it came
        uri = to_uri(uri)
    asset = AssetRef(id=asset_id(uri, version or ""), uri=uri, version=version or "")
    return NoPlan(
        run=identity("run", asset.id, PLAN_VERSION, error.reason, request.caused_by),
        asset=asset,
        correlation=request.correlation,
        caused_by=request.caused_by,
        created=request.created,
        code=request.code,
        profiles=request.profiles,
        reason=error.reason,
        message=str(error),
    )


def _specs(names: Sequence[str] | None) -> list[TaskSpec]:
    """The asked-for tasks in the registry's order."""
    tasks = registry()
    if unknown := sorted(set(names or ()) - set(tasks)):
        raise Unprocessable(f"no task is called {', '.join(unknown)}; there are {', '.join(tasks)}", reason="unknown_task")
    return [task.spec for name, task in tasks.items() if names is None or name in names]


def _stream(stream: IndexedStream, specs: Iterable[TaskSpec]) -> StreamPlan:
    names = tuple(spec.name for spec in specs if spec.kind == stream.kind)
    facts = {name: getattr(stream, name) for name in IndexedStream.model_fields if name != "index_of_video"}
    if stream.decision == "analysed" and not names:
        facts |= {"decision": "skipped", "reason": NO_TASK}
    video = stream.index_of_video
    if video is not None:
        facts |= {"frames": video.frames, "undecodable": video.undecodable}
    return StreamPlan(**facts, tasks=names if stream.decision == "analysed" else ())


def _job_base(stream: IndexedStream, specs: Sequence[TaskSpec], request: PlanRequest) -> dict[str, Any]:
    """What all jobs of a stream have in common."""
    agents = [spec for spec in specs if spec.where == "agent"]
    renditions = tuple(sorted({spec.rendition for spec in agents}))
    return {
        "stream": stream.id,
        "index": stream.index,
        "kind": stream.kind,
        "clock": stream.clock,
        "counted": stream.index_of_video is not None and stream.index_of_video.trusted,
        "video": stream.video,
        "audio": stream.audio,
        "renditions": renditions,
        "after": {name: max(spec.halo for spec in agents if spec.rendition == name) for name in renditions},
        "tasks": tuple(spec.ref() for spec in specs if spec.where == "decode"),
        "agent_tasks": tuple(spec.name for spec in agents),
        "agents": tuple(spec.ref() for spec in agents),
        "priority": request.priority,
        "created": request.created,
    }


def _parts(stream: IndexedStream, cuts: Sequence[KeyFrame]) -> Iterable[dict[str, Any]]:
    """The segments between the cuts: the first has no lower bound, the last no upper one."""
    total = stream.index_of_video.frames if stream.index_of_video is not None else None
    edges: list[KeyFrame | None] = [None, *cuts, None]
    for segment, (low, high) in enumerate(pairwise(edges)):
        first = low.frame if low is not None else 0
        end = high.frame if high is not None else total
        yield {
            "segment": segment,
            "last": high is None,
            "seek": Seek(pts=low.pts, dts=low.dts) if low is not None else None,
            "start": low.pts if low is not None else None,
            "end": high.pts if high is not None else None,
            "stop_dts": high.settled_dts if high is not None else None,
            "first_frame": first,
            "frames": end - first if end is not None else None,
        }


def _cuts(stream: IndexedStream, request: PlanRequest) -> tuple[KeyFrame, ...]:
    video = stream.index_of_video
    if video is None or request.single_segment:
        return ()
    usable = cut_points(video)
    if request.cuts is not None:
        by_frame = {key.frame: key for key in usable}
        if wrong := sorted(set(request.cuts) - set(by_frame)):
            raise ValueError(f"{stream.id} cannot be cut at {wrong}: {video.distrust or 'no usable key frames there'}")
        return tuple(by_frame[frame] for frame in sorted(set(request.cuts)))
    return choose_cuts(usable, video, Fraction(*stream.clock.tick), request.cores)


def cut_points(video: VideoIndex) -> tuple[KeyFrame, ...]:
    """The key frames at which a stream may be cut: none where the index cannot be trusted."""
    return video.key_frames if video.trusted else ()


def choose_cuts(usable: Sequence[KeyFrame], video: VideoIndex, tick: Fraction, cores: int) -> tuple[KeyFrame, ...]:
    """Where to cut: segments of at least 60 s and 10 GOPs, or as many as there are cores, none under 4 s.

    ``usable`` are the possible cuts in order; ``tick`` is in seconds.
    """
    if not usable or video.first_pts is None or video.end_pts is None:
        return ()
    length = video.end_pts - video.first_pts
    shortest = max(SEGMENT_SECONDS / tick, Fraction(SEGMENT_GOPS * (video.median_gop or 0)))
    most = len(usable) + 1
    if length < shortest * cores:
        shortest = SHORTEST_SECONDS / tick
        most = min(cores, int(length / shortest))
    times = [key.pts for key in usable]
    chosen: list[KeyFrame] = []
    last = video.first_pts
    for left in range(most, 1, -1):
        low, high = bisect_left(times, last + shortest), bisect_left(times, video.end_pts - shortest + 1)
        if low >= high:
            break
        ideal = last + max(shortest, Fraction(video.end_pts - last, left))
        place = bisect_left(times, ideal, low, high)
        near = [at for at in (place - 1, place) if low <= at < high]
        best = min(near, key=lambda at: abs(times[at] - ideal))
        chosen.append(usable[best])
        last = times[best]
    return tuple(chosen)
