"""Who reads a job's chunks: the plan's agent tasks, and the consumer groups that run them."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from processors.tasks import agent_task, registry
from schemas.errors import WireError
from schemas.plan import Job
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


@dataclass(frozen=True, slots=True)
class Need:
    """What one job's chunks of one rendition are for: agent tasks by name, and the consumer groups that run them."""

    tasks: tuple[str, ...]
    groups: frozenset[str]

    @classmethod
    def of(cls, job: Job, rendition: str) -> Need:
        """The job's agent tasks that read a rendition. Raises ``WireError`` for a task that does not exist here."""
        try:
            specs = [agent_task(name).spec for name in job.agent_tasks]
        except KeyError as error:
            raise WireError(f"a job for another version: {error.args[0]}") from error
        readers = [spec for spec in specs if spec.rendition == rendition]
        return cls(tuple(spec.name for spec in readers), frozenset(inference_group(spec.group) for spec in readers))

    @property
    def header(self) -> bytes:
        """The ``tasks`` header of a chunk: the names as a JSON list."""
        return orjson.dumps(self.tasks)
