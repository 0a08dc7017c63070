"""The registry of tasks: every module of this package that has a ``TASK``. Adding a task is adding a module.

A module is called as its task is, with underscores for hyphens, so that one task can be had without importing the others.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from typing import cast

from processors.tasks.base import AgentTask, DecodeTask, Task


@functools.lru_cache(maxsize=1)
def registry() -> dict[str, Task]:
    """All tasks by name, in alphabetical order."""
    found: dict[str, Task] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda i: i.name):
        task = _of_module(info.name)
        if task is not None:
            found[task.spec.name] = task
    return dict(sorted(found.items()))


def _of_module(name: str) -> Task | None:
    found: Task | None = getattr(importlib.import_module(f"{__name__}.{name}"), "TASK", None)
    return found


def task(name: str) -> Task:
    """The task of that name. Raises ``KeyError`` with the known names."""
    module = name.replace("-", "_")
    if importlib.util.find_spec(f"{__name__}.{module}") is not None and (found := _of_module(module)) is not None:
        return found
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
