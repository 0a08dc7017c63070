"""What is known of a running stack: one JSON file in the data folder, written by its supervisor, read by every command."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from schemas.errors import SetupError
from streams.local import pids
from streams.secure import Cluster, Security
from streams.settings import Settings

State = Literal["starting", "ready", "failed"]


@dataclass(slots=True)
class ProcessState:
    """One process of the stack. ``group`` is its Kafka consumer group; ``seconds`` is what its last start took to be ready.

    ``health`` is the URL under which it answers ``/live``, ``/ready`` and ``/metrics``; ``problem`` is why it was ended, or not
    started, the last time.
    """

    role: str
    name: str
    pid: int | None
    state: State
    restarts: int
    log: str
    group: str | None = None
    seconds: float | None = None
    health: str | None = None
    problem: str | None = None


@dataclass(slots=True)
class StackState:
    """The stack of one data folder; ``started``, the supervisor's start ticks, tells it from a later owner of its pid."""

    pid: int
    started: int
    bootstrap: str | None = None
    state: Literal["starting", "ready", "failed", "stopping"] = "starting"
    error: str | None = None
    processes: list[ProcessState] = field(default_factory=list)

    def is_running(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return pids.is_alive(self.pid, self.started)


def path(data_dir: Path) -> Path:
    """Where a stack's state lies."""
    return data_dir / "stack.json"


def write(data_dir: Path, state: StackState) -> None:
    """Replaces the file as a whole: a reader sees the old state or the new one."""
    target = path(data_dir)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    scratch.write_text(json.dumps(asdict(state), indent=1))
    scratch.replace(target)


def read(data_dir: Path) -> StackState | None:
    """What the last supervisor wrote, dead or alive; None where there never was one, or it ended in good order."""
    try:
        raw = json.loads(path(data_dir).read_bytes())
    except FileNotFoundError:
        return None
    raw["processes"] = [ProcessState(**process) for process in raw["processes"]]
    return StackState(**raw)


def running(data_dir: Path) -> StackState | None:
    """The state of the stack that runs on this folder, or None."""
    state = read(data_dir)
    return state if state is not None and state.is_running() else None


def forget(data_dir: Path) -> None:
    """Nothing runs any more."""
    path(data_dir).unlink(missing_ok=True)


def named_cluster(settings: Settings) -> Cluster | None:
    """The cluster that the settings name, or None where they leave it to the local stack.

    Raises:
        SetupError: they contradict each other, or ask for security without naming a cluster.
    """
    security = Security.of(settings)
    if settings.bootstrap is not None:
        return Cluster(settings.bootstrap, security)
    if security.protocol != "PLAINTEXT":
        raise SetupError(
            f"DAILIES_KAFKA_SECURITY_PROTOCOL is {security.protocol}, but no cluster is named, and the local stack's own Kafka "
            "speaks PLAINTEXT on loopback: name the cluster (DAILIES_BOOTSTRAP or --bootstrap HOST:PORT), or take "
            "DAILIES_KAFKA_… away."
        )
    return None


def bootstrap_of(settings: Settings) -> Cluster:
    """The cluster that commands talk to: the configured one, else the running local stack's.

    Raises:
        SetupError: none is configured and none runs.
    """
    if (named := named_cluster(settings)) is not None:
        return named
    state = running(settings.data_dir)
    if state is None:
        raise SetupError(
            f"nothing is up in {settings.data_dir.resolve()}: start the stack with `dailies up --detach`, "
            "or name a cluster with --bootstrap HOST:PORT."
        )
    if state.bootstrap is None:
        raise SetupError("the stack is still starting its Kafka: try again in a moment.")
    return Cluster(state.bootstrap)


@contextmanager
def sole_owner(data_dir: Path) -> Iterator[None]:
    """Makes this process the folder's only supervisor for as long as it lives.

    Raises:
        AlreadyUp: another supervisor has the folder.
        SetupError: the folder cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "stack.lock").open("w")
    except OSError as error:
        raise SetupError(f"cannot use the folder {data_dir}: {error}. Choose another with --data-dir.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp(data_dir, running(data_dir)) from None
        yield


class AlreadyUp(SetupError):
    """A second ``up`` on one folder."""

    def __init__(self, data_dir: Path, state: StackState | None) -> None:
        where = f" at {state.bootstrap} (supervisor {state.pid})" if state is not None else ""
        super().__init__(f"the stack in {data_dir} is up already{where}. See `dailies status`; `dailies down` ends it.")
