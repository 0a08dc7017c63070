"""Which processes a stack has: the roles, how many of each, their commands and their consumer groups."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from schemas.errors import SetupError

DEFAULT_WORKERS: Mapping[str, int] = {"planner": 1, "decoder": 1, "inference": 1, "aggregator": 1}
"""Processes of each role; of inference, of each of its groups."""

INFERENCE_GROUPS = ("signals", "networks")
"""The task groups that inference is split into: one process and one consumer group each."""

MAX_WORKERS = 64


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one process in the stack: its role, its task group (inference alone has one) and its number from 1."""

    role: str
    number: int
    group: str | None = None

    @property
    def name(self) -> str:
        """Unique in the stack; names log and state file."""
        return "-".join(filter(None, (self.role, self.group, str(self.number))))

    @property
    def consumer_group(self) -> str:
        """The Kafka consumer group whose lag is this process's."""
        return "-".join(filter(None, ("dailies", self.role, self.group)))


CommandBuilder = Callable[[Slot], list[str]]


def role_command(slot: Slot) -> list[str]:
    """How a role's process is started: the same ``dailies run`` that a container runs."""
    return [sys.executable, "-m", "streams.cli", "run", slot.role, *(["--group", slot.group] if slot.group else [])]


def slots(workers: Mapping[str, int] | None = None) -> tuple[Slot, ...]:
    """Every process of a stack; ``workers`` overrides how many a role, or a task group of inference, has."""
    counts = {**DEFAULT_WORKERS, **(workers or {})}
    return tuple(
        Slot(role, number, group)
        for role in DEFAULT_WORKERS
        for group in (INFERENCE_GROUPS if role == "inference" else (None,))
        for number in range(1, counts.get(group or role, counts[role]) + 1)
    )


def parse_workers(options: Iterable[str]) -> dict[str, int]:
    """Reads ``ROLE=N`` options; for a role may stand one of inference's task groups.

    Raises:
        SetupError: not of that form, no such role, or N not in 0…64.
    """
    workers = {}
    for option in options:
        role, _, count = option.partition("=")
        if role not in (*DEFAULT_WORKERS, *INFERENCE_GROUPS):
            known = ", ".join((*DEFAULT_WORKERS, *INFERENCE_GROUPS))
            raise SetupError(f"--workers {option}: no role or task group {role!r}; there are {known}.")
        if not (count.isascii() and count.isdigit() and int(count) <= MAX_WORKERS):
            raise SetupError(f"--workers {option}: say ROLE=N with N from 0 to {MAX_WORKERS}.")
        workers[role] = int(count)
    return workers
