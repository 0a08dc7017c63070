"""One process of the stack and how it is kept alive: start, ready, dead, start again with growing pauses."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import SetupError
from streams.local.broker import Broker
from streams.local.logs import rotate, tail
from streams.local.state import ProcessState, State
from streams.local.tether import tethered
from streams.local.watchdog import Address, Watchdog
from streams.log import get_logger

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
SETTLED_SECONDS = 10.0
"""A process that was ready for so long is sound: its next death is a first one again."""


logger = get_logger(__name__)


class Program(Protocol):
    """What the keeper needs of a program."""

    log: Path

    @property
    def pid(self) -> int | None:
        """Of the running process, else None."""

    @property
    def address(self) -> Address | None:
        """Where the running process says whether it lives, if it does."""

    def launch(self) -> None:
        """Starts the process and returns at once; raises SetupError."""

    def is_ready(self) -> bool:
        """Whether it does its work by now."""

    def terminate(self) -> None:
        """Asks it to end."""

    def kill(self) -> None:
        """Ends it at once, even one that is stopped."""

    def reap(self, timeout: float) -> None:
        """Awaits its end, and makes an end of it after ``timeout`` seconds."""


class RoleProgram:
    """A role, which reports in a JSON file: ``{"pid": …, "state": "ready", "host": …, "port": …}``."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, state_file: Path) -> None:
        self.log = log
        self._command = tuple(command)
        self._state_file = state_file
        self._environment = {**os.environ, **environment, "DAILIES_STATE_FILE": str(state_file), "PYTHONUNBUFFERED": "1"}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process, else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def launch(self) -> None:
        """Starts the role, tied to this process, with its output in its log."""
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        self._state_file.unlink(missing_ok=True)
        rotate(self.log)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                tethered(self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                # A Ctrl-C at the terminal is for the supervisor alone, which ends the others in order.
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        """Whether this very process, not an earlier one, says so."""
        return self._report().get("state") == "ready"

    @property
    def address(self) -> Address | None:
        """Where this very process answers ``/live``."""
        report = self._report()
        return (str(report["host"]), int(report["port"])) if "port" in report else None

    def _report(self) -> dict[str, Any]:
        try:
            report: dict[str, Any] = json.loads(self._state_file.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return report if report.get("pid") == self.pid else {}

    def terminate(self) -> None:
        """Asks the role to end."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Ends the role at once; its end is seen when it comes."""
        if self._process is not None:
            self._process.kill()

    def reap(self, timeout: float) -> None:
        """Awaits its end, and makes an end of it after ``timeout`` seconds."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._state_file.unlink(missing_ok=True)


class KafkaProgram:
    """The broker as a program of the stack."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._served: int | None = None
        self.log = broker.log

    @property
    def pid(self) -> int | None:
        """Of the running JVM, else None."""
        return self._broker.pid

    def launch(self) -> None:
        """Starts Kafka without waiting for it."""
        self._broker.launch()

    def is_ready(self) -> bool:
        """Whether this process has answered; asked briefly, so that the supervisor stays responsive, and once only.

        A busy Kafka that answers late is no starting one.
        """
        if self.pid is not None and self._served != self.pid and self._broker.is_ready(timeout=0.3):
            self._served = self.pid
        return self.pid is not None and self._served == self.pid

    @property
    def address(self) -> Address | None:
        """None: Kafka is not watched."""
        return None

    def terminate(self) -> None:
        """Asks Kafka to end."""
        self._broker.terminate()

    def kill(self) -> None:
        """Ends Kafka at once."""
        self._broker.kill()

    def reap(self, timeout: float) -> None:
        """Awaits its end, and makes an end of it after ``timeout`` seconds."""
        self._broker.stop(timeout)


class Keeper:
    """Keeps one program running; ``step`` is called again and again and never blocks for long.

    With a ``watchdog`` a process that hangs is ended, and started again as one that died.
    """

    def __init__(
        self,
        role: str,
        name: str,
        program: Program,
        group: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.role, self.name, self.group = role, name, group
        self.program = program
        self.state: State = "starting"
        self.restarts = 0
        self.failures = 0
        """Deaths in a row, since it was last settled."""
        self.seconds: float | None = None
        self._clock = clock
        self._watchdog = watchdog
        self._began = self._ready_at = clock()
        self._retry_at: float | None = None
        self._problem: str | None = None

    def start(self) -> None:
        """The first start; raises SetupError where it cannot even be launched."""
        self._began = self._clock()
        self.program.launch()

    def step(self) -> None:
        """Looks at the process once and does what its state asks for."""
        if self.state == "failed":
            if self._retry_at is not None and self._clock() >= self._retry_at and self.program.pid is None:
                self._restart()
        elif self.program.pid is None:
            self._failed(None)
        elif (why := self._silent()) is not None:
            logger.warning("a role is killed and started again", process=self.name, pid=self.program.pid, why=why)
            self.program.kill()
            self._failed(why)
        elif self.program.is_ready():
            self._ready()
        else:
            self.state = "starting"

    def cause(self) -> str:
        """Why it is not running, for people."""
        return self._problem or f"The end of {self.program.log}:\n{tail(self.program.log)}"

    def report(self) -> ProcessState:
        """For the state file."""
        return ProcessState(
            self.role,
            self.name,
            self.program.pid,
            self.state,
            self.restarts,
            str(self.program.log),
            self.group,
            self.seconds,
            "http://{}:{}".format(*address) if (address := self.program.address) else None,
            self._problem,
        )

    def _ready(self) -> None:
        now = self._clock()
        if self.state != "ready":
            self.state, self.seconds = "ready", round(now - self._began, 3)
            self._ready_at = now
        elif now - self._ready_at >= SETTLED_SECONDS:
            self.failures = 0

    def _silent(self) -> str | None:
        """Why it counts as hanging."""
        if self._watchdog is None:
            return None
        return self._watchdog.look(self.program.address, starting=not self.program.is_ready())

    def _failed(self, problem: str | None) -> None:
        self.state, self._problem = "failed", problem
        self.failures += 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS)
        self._retry_at = self._clock() + pause

    def _restart(self) -> None:
        self.program.reap(0)
        self.restarts += 1
        self.state, self._began = "starting", self._clock()
        try:
            self.program.launch()
        except SetupError as error:
            self._failed(str(error))
