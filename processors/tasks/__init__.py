"""The registry of tasks: every module of this package that has a ``TASK``. Adding a task is adding a module."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import cast

from processors.tasks.base import AgentTask, DecodeTask, Task


@functools.lru_cache(maxsize=1)
def registry() -> dict[str, Task]:
    """All tasks by name, in alphabetical order."""
    found: dict[str, Task] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda i: i.name):
        task = getattr(importlib.import_module(f"{__name__}.{info.name}"), "TASK", None)
        if task is not None:
            found[task.spec.name] = task
    return dict(sorted(found.items()))


def task(name: str) -> Task:
    """The task of that name. Raises ``KeyError`` with the known names."""
    tasks = registry()
    if name not in tasks:
        raise KeyError(f"there is no task {name!r}; there are {', '.join(tasks)}")
    return tasks[name]


def decode_task(name: str) -> DecodeTask:
    """A task that runs in the decoder."""
    found = task(name)
    if found.spec.where != "decode":
        raise KeyError(f"{name} does not run in the decoder")
    return cast(DecodeTask, found)


def agent_task(name: str) -> AgentTask:
    """A task that runs in an inference agent."""
    found = task(name)
    if found.spec.where != "agent":
        raise KeyError(f"{name} does not run in an agent")
    return cast(AgentTask, found)
