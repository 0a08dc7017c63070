"""Faust workers that tests run in a process of their own, since they are killed, or end themselves."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import faust

from processors.tasks import agent_task
from processors.tasks.base import Runner
from schemas.cell import Signals
from schemas.chunk import Chunk
from schemas.plan import TaskRef
from streams import flow, inference, log
from streams.app import make_app, raw_topic
from streams.attempts import AttemptLedger
from streams.deadletters import DeadLetters
from streams.durable import DurableTable
from streams.groups import SIGNALS
from streams.guard import Guard, Retries
from streams.health import Health
from streams.probes import ProbeServer
from streams.record import Record
from streams.roles import run_app
from streams.settings import Settings
from streams.vitals import Vitals

QUICK = Retries(3, (0.01,))


def kills_itself(settings: Settings, o: dict[str, Any]) -> faust.App:
    """Dies of SIGKILL on every message whose value is ``deadly``; counts attempts on disk."""
    app = make_app(o["group"], settings, bootstrap=o["bootstrap"])
    ledger = AttemptLedger(settings.data_dir / "attempts", QUICK.attempts)
    guard = Guard(app, "test", DeadLetters(app, o["dead_letters"]), QUICK, ledger=ledger)

    async def handle(record: Record) -> None:
        if record.value == b"deadly":
            os.kill(os.getpid(), signal.SIGKILL)

    app.agent(raw_topic(app, o["topic"]))(guard.agent(handle))
    return app


def fails_on_bad(settings: Settings, o: dict[str, Any]) -> faust.App:
    """Raises on every message whose value begins with ``bad``."""
    app = make_app(o["group"], settings, bootstrap=o["bootstrap"])
    guard = Guard(app, "test", DeadLetters(app, o["dead_letters"]), QUICK)

    async def handle(record: Record) -> None:
        if record.value.startswith(b"bad"):
            raise ValueError("bad")

    app.agent(raw_topic(app, o["topic"]))(guard.agent(handle))
    return app


def loses_membership(settings: Settings, o: dict[str, Any]) -> faust.App:
    """A client whose search for the group's coordinator ends in an error that it knows nothing of."""

    async def coordinator_lookup(kind: int, key: str) -> int:
        raise AssertionError("an error inside the client")

    def broken(client: Any) -> None:
        client.coordinator_lookup = coordinator_lookup

    flow.look_again_without_brokers = broken
    return fails_on_bad(settings, o)


def keeps_last(settings: Settings, o: dict[str, Any]) -> faust.App:
    """Keeps each key's last value in a durable table; an empty value deletes the key."""
    app = make_app(o["group"], settings, bootstrap=o["bootstrap"])
    table = app.Table("last", key_type=bytes, value_type=bytes, partitions=o["partitions"])
    assert isinstance(table, DurableTable)
    guard = Guard(app, "test", DeadLetters(app, o["dead_letters"]), QUICK, tables=(table,))

    async def handle(record: Record) -> None:
        assert record.key is not None
        if record.value:
            table[record.key] = record.value
        else:
            table.pop(record.key, None)

    app.agent(raw_topic(app, o["topic"]))(guard.agent(handle))
    return app


def swaps(settings: Settings, o: dict[str, Any]) -> faust.App:
    """Writes a message of the key ``old`` into a durable table; at any other it deletes that and writes ``new``."""
    app = make_app(o["group"], settings, bootstrap=o["bootstrap"])
    table = app.Table("swapped", key_type=bytes, value_type=bytes, partitions=1)
    guard = Guard(app, "test", DeadLetters(app, o["dead_letters"]), QUICK, tables=(cast(DurableTable[bytes, bytes], table),))

    async def handle(record: Record) -> None:
        if record.key == b"old":
            table[b"old"] = record.value
        else:
            table.pop(b"old", None)
            table[b"new"] = record.value

    app.agent(raw_topic(app, o["topic"]))(guard.agent(handle))
    return app


class Deadly:
    """A runner that ends its process."""

    runtime = "test"

    def __call__(self, chunk: Chunk) -> Signals:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def infers_deadly(settings: Settings, o: dict[str, Any]) -> faust.App:
    """The inference role, whose task audio-qc is deadly."""
    load = inference.load

    def load_deadly(tasks: list[TaskRef], device: str) -> dict[str, list[inference.Loaded]]:
        found = load(tasks, device)["audio"]
        return {"audio": [inference.Loaded(one.task, Deadly()) if one.task.name == "audio-qc" else one for one in found]}

    inference.load = load_deadly
    return inference.make(settings, o["bootstrap"], group=SIGNALS)


@dataclasses.dataclass(frozen=True)
class Fragile:
    """A runner that raises on one chunk as long as a file is there."""

    runner: Runner
    n: int
    fault: Path

    @property
    def runtime(self) -> str:
        return self.runner.runtime

    def __call__(self, chunk: Chunk) -> Signals:
        if chunk.header.n == self.n and self.fault.exists():
            raise ArithmeticError("the cause is still there")
        return self.runner(chunk)


def infers_fragile(settings: Settings, o: dict[str, Any]) -> faust.App:
    """The inference role, whose task ``task`` fails on the chunk ``n`` as long as the file ``fault`` is there."""
    load = inference.load

    def load_fragile(tasks: list[TaskRef], device: str) -> dict[str, list[inference.Loaded]]:
        return {
            rendition: [
                inference.Loaded(one.task, Fragile(one.runner, o["n"], Path(o["fault"]))) if one.task.name == o["task"] else one
                for one in loaded
            ]
            for rendition, loaded in load(tasks, device).items()
        }

    inference.load = load_fragile
    return inference.make(settings, o["bootstrap"], group=SIGNALS)


@dataclasses.dataclass(frozen=True)
class Louder:
    """A runner whose signals are another version's: twice as large."""

    runner: Runner

    @property
    def runtime(self) -> str:
        return self.runner.runtime

    def __call__(self, chunk: Chunk) -> Signals:
        right = self.runner(chunk)
        return dataclasses.replace(right, arrays={name: array * 2 for name, array in right.arrays.items()})


def infers_other_version(settings: Settings, o: dict[str, Any]) -> faust.App:
    """The inference role of another release: its task ``task`` has the version ``version``, and a major one counts twice."""
    task = agent_task(o["task"])
    type(task).spec = dataclasses.replace(task.spec, version=o["version"])
    if o["version"].split(".")[0] != "1":
        load = type(task).load
        type(task).load = lambda self, device: Louder(load(self, device))
    return inference.make(settings, o["bootstrap"], group=SIGNALS)


def hangs(settings: Settings, o: dict[str, Any], vitals: Vitals) -> faust.App:
    """Waits at ``waits`` until there is a file ``go on``; at ``blocks the loop`` it holds its event loop up for ever."""
    app = make_app(o["group"], settings, bootstrap=o["bootstrap"])
    guard = Guard(app, "test", DeadLetters(app), QUICK, settled=vitals.settled)

    async def handle(record: Record) -> None:
        while record.value == b"waits" and not (Path(o["folder"]) / "go on").exists():
            await asyncio.sleep(0.01)
        if record.value == b"blocks the loop":
            threading.Event().wait()

    app.agent(raw_topic(app, o["topic"]))(guard.agent(handle))
    return app


def serve_hanging(settings: Settings, o: dict[str, Any], state_file: Path) -> int:
    """Run :func:`hangs` with its vitals served, as a role's are."""
    vitals = Vitals(Health(o["patience"]))
    with ProbeServer(vitals, settings.health_bind, settings.health_port) as server:
        app = functools.partial(hangs, settings, o, vitals)
        return asyncio.run(run_app(app, state_file, vitals=vitals, address=server.address))


WORKERS: dict[str, Callable[[Settings, dict[str, Any]], faust.App]] = {
    work.__name__: work
    for work in (
        kills_itself,
        fails_on_bad,
        loses_membership,
        keeps_last,
        swaps,
        infers_deadly,
        infers_fragile,
        infers_other_version,
    )
}


def main(name: str, body: str) -> int:
    options = json.loads(body)
    settings = Settings(data_dir=Path(options["folder"]) / "data")
    log.configure(settings)
    state_file = Path(options["folder"]) / f"{os.getpid()}.state"
    if name == "hangs":
        return serve_hanging(settings, options, state_file)
    return asyncio.run(run_app(lambda: WORKERS[name](settings, options), state_file))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
