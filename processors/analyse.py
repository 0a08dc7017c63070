"""Whole-file analysis without Kafka: one segment, one call of every fold. The reference that the pipeline must equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

from processors import assemble, tasks
from processors.aggregate import Aggregate
from processors.decode.job import Output, run_job
from processors.infer import infer
from processors.limits import MediaLimits
from processors.plan import DEFAULT_PROFILES, PlanRequest, make_plan, no_plan
from processors.probe import probe
from processors.profiles import Profile, carried, load, several
from processors.source import SourcePolicy, open_source, to_uri
from processors.tasks.base import Runner
from schemas.cell import CellResult
from schemas.chunk import Chunk
from schemas.errors import Unprocessable
from schemas.events import ContentMetadata
from schemas.manifest import JobFailed
from schemas.plan import Job, Plan

Report = Callable[[float], None]
Device = Literal["auto", "cpu", "cuda"]
DEFAULT = MediaLimits()


def analyse(
    path: str,
    *,
    code: str,
    policy: SourcePolicy | None = None,
    tasks_wanted: Sequence[str] | None = None,
    profiles: Sequence[str | Profile] | None = None,
    device: Device = "auto",
    whole: bool = True,
    report: Report | None = None,
    limits: MediaLimits = DEFAULT,
) -> ContentMetadata:
    """Analyse one file in this process. ``report`` hears the progress from 0 to 1.

    An asset that cannot be analysed gives an ``unprocessable`` event, no exception. ``profiles`` are names of Dailies' own,
    paths, or profiles already loaded; raises ``ProfileError`` for one that cannot be used. ``whole=False`` cuts the asset
    into the segments that the pipeline would use.
    """
    uri = to_uri(path)
    policy = policy or SourcePolicy()
    judges = several(p if isinstance(p, Profile) else load(p) for p in (DEFAULT_PROFILES if profiles is None else profiles))
    request = PlanRequest(
        caused_by="analyse",
        created=datetime.now(UTC).isoformat(),
        code=code,
        tasks=None if tasks_wanted is None else tuple(tasks_wanted),
        single_segment=whole,
        profiles=tuple(profile.name for profile in judges),
        judged_by=tuple(map(carried, judges)),
    )
    try:
        plan = make_plan(probe(uri, policy, limits), request)
    except Unprocessable as error:
        return assemble.unprocessable(no_plan(uri, None, error, request))
    return run_plan(plan, policy, device=device, report=report, limits=limits)


def run_plan(
    plan: Plan,
    policy: SourcePolicy,
    *,
    device: Device = "auto",
    report: Report | None = None,
    limits: MediaLimits = DEFAULT,
) -> ContentMetadata:
    """Carry out a plan in this process, job by job, and assemble the final event. A job that cannot be done is a gap."""
    aggregate = Aggregate(plan)
    runners = _Runners(device)
    for job in plan.jobs:
        try:
            with open_source(plan.asset.uri, policy) as source:
                for output in run_job(job, source, limits):
                    take(aggregate, output, job, runners)
                    for lane in aggregate.lanes.values():
                        lane.recent.clear()  # nobody keeps a sidecar here
                    if report is not None:
                        report(aggregate.progress())
        except Unprocessable as error:
            aggregate.fail_job(_failure(job, error))
            aggregate.advance(job.stream)
    return assemble.metadata(aggregate, dataref=None)


def take(aggregate: Aggregate, output: Output, job: Job, runners: Callable[[str], Runner]) -> None:
    """Run the agent tasks that read an output, by ``runners`` of their names, and fold what has become contiguous."""
    if isinstance(output, Chunk):
        for task in map(aggregate.plan.task, job.agent_tasks):
            if task.rendition == output.header.rendition:
                aggregate.add_cell(infer(task, runners(task.name), output))
    elif isinstance(output, CellResult):
        aggregate.add_cell(output)
    else:
        aggregate.add_manifest(output)
    aggregate.advance(job.stream)


def _failure(job: Job, error: Unprocessable) -> JobFailed:
    return JobFailed(
        run=job.run,
        asset=job.asset.id,
        stream=job.stream,
        segment=job.segment,
        reason=error.reason,
        message=str(error),
        attempts=1,
    )


class _Runners:
    """Agent tasks loaded at first use; the device is only looked for when a network needs it."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._loaded: dict[str, Runner] = {}

    def __call__(self, name: str) -> Runner:
        if name not in self._loaded:
            task = tasks.agent_task(name)
            self._loaded[name] = task.load(self._choose() if task.spec.group == "networks" else "cpu")
        return self._loaded[name]

    def _choose(self) -> str:
        from processors.device import choose_device  # brings torch, which most analyses do without

        return choose_device(self._device)
