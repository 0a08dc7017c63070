"""Who reads a job's chunks: the plan's agent tasks, and the consumer groups that run them."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from processors.task_versions import lacking
from processors.tasks import agent_task, registry
from schemas.errors import OtherVersion
from schemas.plan import Job, TaskRef
from streams.decoder.budget import Readers
from streams.groups import inference_group
from streams.topics import CHUNKS


def readers() -> dict[str, Readers]:
    """Every chunk topic with every consumer group that may read it, by rendition."""
    found: dict[str, set[str]] = {rendition: set() for rendition in CHUNKS}
    for task in registry().values():
        if task.spec.where == "agent":
            found[task.spec.rendition].add(inference_group(task.spec.group))
    return {rendition: Readers(CHUNKS[rendition], frozenset(groups)) for rendition, groups in found.items()}


def agents(job: Job) -> tuple[TaskRef, ...]:
    """The agent tasks that read a job's chunks, as the plan wants them.

    A planner that knew of names only leaves the rest to this process. Raises ``OtherVersion`` for a name without a task here.
    """
    try:
        return job.agents or tuple(agent_task(name).spec.ref() for name in job.agent_tasks)
    except KeyError as error:
        raise OtherVersion(f"a job for another version: {error.args[0]}") from error


def check(job: Job) -> None:
    """Whether this decoder can do a job as it is planned, before it begins.

    What agents do is theirs to know; this decoder must know their renditions, and which groups read those, since it deletes
    what all of them have read. Raises ``OtherVersion``.
    """
    known = readers()
    wrong = list(lacking(job.tasks).values())
    for task in agents(job):
        here = known.get(task.rendition)
        if here is None or inference_group(task.group) not in here.groups:
            wrong.append(f"{task.name} {task.version} reads {task.rendition} in the group {task.group}, and none does here")
    if wrong:
        raise OtherVersion("; ".join(wrong))


@dataclass(frozen=True, slots=True)
class Need:
    """What one job's chunks of one rendition are for: agent tasks, and the consumer groups that run them."""

    tasks: tuple[TaskRef, ...]
    groups: frozenset[str]

    @classmethod
    def of(cls, job: Job, rendition: str) -> Need:
        """The job's agent tasks that read a rendition. Raises ``OtherVersion`` for a task that does not exist here."""
        readers = tuple(task for task in agents(job) if task.rendition == rendition)
        return cls(readers, frozenset(inference_group(task.group) for task in readers))

    @property
    def headers(self) -> dict[str, bytes]:
        """The headers of a chunk that say who is to read it.

        ``tasks`` is a JSON list of names, all that workers of old know of; ``task_refs`` says which versions and groups.
        """
        refs = [{"name": task.name, "version": task.version, "group": task.group} for task in self.tasks]
        return {"tasks": orjson.dumps([task.name for task in self.tasks]), "task_refs": orjson.dumps(refs)}
