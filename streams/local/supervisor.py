"""Runs the local stack: Kafka, the topics, a process per role; starts again what dies; ends everything in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from schemas.errors import SetupError
from streams import admin
from streams.local import jars, pids, state
from streams.local.broker import Broker
from streams.local.process import KafkaProgram, Keeper, RoleProgram
from streams.local.properties import Tunnel
from streams.local.roles import CommandBuilder, Slot, role_command, slots
from streams.local.signals import Signals
from streams.local.state import StackState
from streams.local.tether import tie_to_parent
from streams.local.watchdog import Watchdog
from streams.secure import Bootstrap
from streams.topics import TOPICS, Topic

BUSY_SECONDS, IDLE_SECONDS = 0.1, 1.0
START_TRIES = 3
READY_SECONDS = 300.0
ROLE_STOP_SECONDS = 20.0
KAFKA_STOP_SECONDS = 30.0
WATCHDOG_SECONDS = 60.0
WATCHERS = 8
"""Threads that ask roles whether they live: one that hangs holds one up for some seconds, and never the supervisor."""


class StartFailed(SetupError):
    """A process of the stack could not be brought up; says which and why."""


class Stopped(Exception):
    """A stop signal came while the stack was starting."""


class Supervisor:
    """The owner of one data folder's stack. ``run`` blocks until a stop signal, in the main thread.

    Every child dies with this process, however it ends: nothing outlives it, and no port stays taken.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        bootstrap: Bootstrap | None = None,
        workers: Mapping[str, int] | None = None,
        port: int | None = None,
        watchdog_seconds: float = WATCHDOG_SECONDS,
        topics: Sequence[Topic] = TOPICS,
        tunnels: Sequence[Tunnel] = (),
        command: CommandBuilder = role_command,
        say: Callable[[str], object] | None = None,
        on_change: Callable[[StackState], None] | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self._logs = self.data_dir / "logs"
        self._slots = slots(workers)
        self._bootstrap, self._port, self._topics = bootstrap, port, tuple(topics)
        self._patience = watchdog_seconds
        self._watchers = ThreadPoolExecutor(WATCHERS, thread_name_prefix="watchdog")
        self._command, self._say, self._on_change = command, say, on_change
        self._tunnels = tuple(tunnels)
        self._keepers: list[Keeper] = []
        self._state = StackState(os.getpid(), pids.start_ticks(os.getpid()) or 0)
        self._written: dict[str, object] = {}

    def run(self, *, tied: bool = False) -> None:
        """Brings the stack up, keeps it up, and takes it down at SIGINT, SIGTERM or SIGHUP.

        With ``tied`` the end of the parent process is a SIGTERM.

        Raises:
            AlreadyUp: another supervisor has the folder.
            SetupError: it could not be brought up; what had started is ended first.
        """
        parent = os.getppid()
        with state.sole_owner(self.data_dir):
            if tied and not tie_to_parent(parent, signal.SIGTERM):
                return
            self._publish()
            try:
                # May download for a while: before signals are only noted, so that Ctrl-C ends it.
                class_path = jars.class_path(say=self._say) if self._bootstrap is None else ()
                with Signals() as signals:
                    self._live(signals, class_path)
            except SetupError as error:
                self._state.state, self._state.error = "failed", str(error)
                self._publish()
                raise
            state.forget(self.data_dir)

    def _live(self, signals: Signals, class_path: Sequence[Path]) -> None:
        """From the first process to the last."""
        try:
            self._bring_up(signals, class_path)
            while True:
                settled = all(keeper.state == "ready" for keeper in self._keepers)
                self._step(signals, IDLE_SECONDS if settled else BUSY_SECONDS)
        except Stopped:
            pass
        finally:
            self._state.state = "stopping"
            self._take_down(signals)

    def _bring_up(self, signals: Signals, class_path: Sequence[Path]) -> None:
        if self._bootstrap is None:
            folder, log = self.data_dir / "kafka", self._logs / "kafka.log"
            broker = Broker(folder, port=self._port, log=log, class_path=class_path, tunnels=self._tunnels)
            self._start(Keeper("kafka", "kafka", KafkaProgram(broker)))
            self._await_ready(signals)
            self._bootstrap = broker.bootstrap
        self._state.bootstrap = str(self._bootstrap)
        admin.apply(self._bootstrap, self._topics)
        for slot in self._slots:
            watchdog = Watchdog(self._patience, self._watchers) if self._patience else None
            self._start(Keeper(slot.role, slot.name, self._program(slot), slot.consumer_group, watchdog=watchdog))
        self._await_ready(signals)
        self._state.state = "ready"
        self._publish()

    def _start(self, keeper: Keeper) -> None:
        self._keepers.append(keeper)
        keeper.start()
        self._publish()

    def _program(self, slot: Slot) -> RoleProgram:
        environment = {
            "DAILIES_BOOTSTRAP": str(self._bootstrap or ""),
            "DAILIES_DATA_DIR": str(self.data_dir),
            "DAILIES_HEALTH_PORT": "0",  # one port for all would be taken by the first
        }
        log = self._logs / f"{slot.name}.log"
        return RoleProgram(self._command(slot), environment, log, self.data_dir / "run" / f"{slot.name}.json")

    def _await_ready(self, signals: Signals) -> None:
        """Until all that was started is ready; a process that dies again and again at its start ends the attempt."""
        deadline = time.monotonic() + READY_SECONDS
        while any(keeper.state != "ready" for keeper in self._keepers):
            self._step(signals, BUSY_SECONDS)
            for keeper in self._keepers:
                if keeper.failures >= START_TRIES:
                    raise StartFailed(f"{keeper.name} does not start. {keeper.cause()}")
                if keeper.state != "ready" and time.monotonic() > deadline:
                    raise StartFailed(f"{keeper.name} was not ready after {READY_SECONDS:.0f} s. {keeper.cause()}")

    def _step(self, signals: Signals, seconds: float) -> None:
        signals.wait(seconds)
        if signals.stops:
            raise Stopped
        for keeper in self._keepers:
            keeper.step()
        self._publish()

    def _take_down(self, signals: Signals) -> None:
        """Roles first and together, so that they can still commit; Kafka last. A second stop signal makes haste."""
        self._watchers.shutdown(wait=False, cancel_futures=True)
        kafka = [keeper for keeper in self._keepers if keeper.role == "kafka"]
        roles = [keeper for keeper in self._keepers if keeper.role != "kafka"]
        for keepers, seconds in ((roles, ROLE_STOP_SECONDS), (kafka, KAFKA_STOP_SECONDS)):
            for keeper in keepers:
                keeper.program.terminate()
            deadline = time.monotonic() + seconds
            while self._any_runs(keepers) and time.monotonic() < deadline and signals.stops < 2:
                signals.wait(BUSY_SECONDS)
            for keeper in keepers:
                keeper.program.reap(0)
        self._any_runs([])

    def _any_runs(self, keepers: Sequence[Keeper]) -> bool:
        """While ending: publishes who is left, and whether any of these is."""
        self._keepers = [keeper for keeper in self._keepers if keeper.program.pid]
        self._publish()
        return any(keeper.program.pid for keeper in keepers)

    def _publish(self) -> None:
        """Writes the state file, and tells the listener, where something changed."""
        self._state.processes = [keeper.report() for keeper in self._keepers]
        now = asdict(self._state)
        if now == self._written:
            return
        self._written = now
        state.write(self.data_dir, self._state)
        if self._on_change is not None:
            self._on_change(self._state)
