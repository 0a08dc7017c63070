"""Runs one role in this process: from its start to its drained end, with its state where the supervisor looks for it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import faust
import orjson

from schemas.errors import SetupError
from streams import log
from streams.guard import EXIT_SOFTWARE
from streams.probes import ProbeServer
from streams.pulse import pulse
from streams.secure import Bootstrap
from streams.settings import Settings
from streams.vitals import Vitals

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

STOP_SECONDS = 25.0
"""How long a role may take to finish what it has begun; under Kubernetes' usual 30 s."""

MakeApp = Callable[[], faust.App]

Address = tuple[str, int]
"""Host and port."""

logger = log.get_logger(__name__)


class State(StrEnum):
    """What a role says of itself in its state file."""

    STARTING = "starting"
    """It is connecting, or recovering its tables."""
    READY = "ready"
    """It has its partitions (perhaps none, where others have them all) and works."""


def write_state(path: Path | None, state: State, address: Address | None = None) -> None:
    """Write the state file at once as a whole: ``{"pid": …, "state": …, "host": …, "port": …}``. Does nothing without a path.

    ``address`` is where the process answers ``/live``, ``/ready`` and ``/metrics``.
    """
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    where = {} if address is None else {"host": address[0], "port": address[1]}
    fresh.write_bytes(orjson.dumps({"pid": os.getpid(), "state": state, **where}))
    fresh.replace(path)


def run_role(
    name: str, settings: Settings, *, bootstrap: Bootstrap, group: str | None = None, tasks: Sequence[str] | None = None
) -> int:
    """Run a role until SIGTERM or SIGINT; returns the exit status, 0 after a clean end.

    ``group`` and ``tasks`` say which agent tasks an inference role runs. On a signal the role finishes what it has begun,
    commits and leaves; what waits in its buffers is read again by whoever comes next. Raises ``SetupError`` for a role that
    does not exist. Call it from the main thread.
    """
    role = name if group is None else f"{name}-{group}"
    log.configure(settings, role=role)
    vitals = Vitals.of(role, settings)
    with ProbeServer(vitals, settings.health_bind, settings.health_port) as server:
        write_state(settings.state_file, State.STARTING, server.address)
        if name == "decoder":
            return _run_decoder(settings, bootstrap, vitals, server.address)
        make = _app_maker(name, settings, bootstrap, group, tasks, vitals)
        return asyncio.run(run_app(make, settings.state_file, vitals=vitals, address=server.address))


def _app_maker(
    name: str, settings: Settings, bootstrap: Bootstrap, group: str | None, tasks: Sequence[str] | None, vitals: Vitals
) -> MakeApp:
    # Imported here: a role pays only for what it uses, and the planner must not pay for torch.
    match name:
        case "planner":
            from streams import planner

            return lambda: planner.make(settings, bootstrap, vitals=vitals)
        case "inference":
            from streams import inference

            if group is None:
                raise SetupError("an inference role needs a task group: dailies run inference --group signals|networks")
            return lambda: inference.make(settings, bootstrap, group=group, tasks=tasks, vitals=vitals)
        case "aggregator":
            from streams import aggregator

            return lambda: aggregator.make(settings, bootstrap, vitals=vitals)
    raise SetupError(f"there is no role {name!r}; there are planner, decoder, inference, aggregator")


async def run_app(
    make: MakeApp, state_file: Path | None, *, vitals: Vitals | None = None, address: Address | None = None
) -> int:
    """Run a Faust app in the running loop until a stop signal. A crash of any of its services ends the process at once.

    ``vitals`` hear of its life and of its loop; ``address`` is where they are asked for.
    """
    vitals = vitals or Vitals()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    app = make()

    async def ready() -> None:
        vitals.health.ready()
        write_state(state_file, State.READY, address)
        logger.info("ready")

    app.on_startup_finished = ready
    beating = asyncio.create_task(pulse(app, vitals))
    serving = asyncio.create_task(_serve(app))
    await asyncio.wait([serving, beating, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
    if not stopping.is_set():
        _end(app.crash_reason or next(task.exception() for task in (beating, serving) if task.done()))
    logger.info("stopping")
    vitals.health.stopping()
    try:
        await asyncio.wait_for(app.stop(), STOP_SECONDS)
    except TimeoutError:
        logger.warning("left what was in work; it is not committed and will be done again")
        logging.shutdown()
        os._exit(0)
    if app.crashed:
        _end(app.crash_reason)
    for task in (serving, beating):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    logger.info("stopped")
    return 0


async def _serve(app: faust.App) -> None:
    await app.start()
    await app.wait_until_stopped()


def _end(reason: BaseException | None) -> None:
    """End a process whose app crashed, without the app's clean-up: parts of it are dead, and it could hang."""
    logger.critical("crashed", error=repr(reason), exc_info=reason)
    logging.shutdown()
    os._exit(EXIT_SOFTWARE)


def _run_decoder(settings: Settings, bootstrap: Bootstrap, vitals: Vitals, address: Address) -> int:
    from streams import decoder

    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    decoder.run(settings, bootstrap, lambda: write_state(settings.state_file, State.READY, address), stop, vitals=vitals)
    return 0
