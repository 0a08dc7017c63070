"""Whether this code has a task in the version that a plan wants: the same major version gives compatible results."""

from __future__ import annotations

from collections.abc import Iterable

from processors import tasks
from schemas.plan import TaskRef
from schemas.versions import compatible


def lacking(wanted: Iterable[TaskRef]) -> dict[str, str]:
    """The tasks that this code cannot run or fold as they are wanted, by name, each with the reason in words."""
    return {task.name: reason for task in wanted if (reason := _reason(task)) is not None}


def _reason(wanted: TaskRef) -> str | None:
    try:
        version = tasks.task(wanted.name).spec.version
    except KeyError:
        return f"{wanted.name} {wanted.version} is planned, and there is no such task here"
    return None if compatible(version, wanted.version) else differs(wanted.name, wanted.version, version)


def differs(task: str, planned: str, here: str) -> str:
    """What is said of a task whose major version is another one than planned."""
    return f"{task} {planned} is planned, and {here} would have run"
