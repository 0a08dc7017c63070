"""The stack under test: a supervisor of its own, roles behind a network that can be broken, and hands on its processes.

``python -m tests.chaos.rig DATA_DIR JSON`` is the supervisor; :class:`Rig` starts and ends it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil
from confluent_kafka import KafkaException, TopicPartition

from streams import topics
from streams.connect import admin_client
from streams.local import detach
from streams.local.properties import Tunnel
from streams.local.roles import Slot, role_command
from streams.local.state import running
from streams.local.supervisor import Supervisor
from streams.local.tether import tethered
from tests.chaos.network import Network, toxiproxy
from tests.lab import set_topic, wait_for

ROLES = ("planner", "decoder", "inference", "aggregator")
SETTINGS = {
    "DAILIES_REPAIR_LOOK_SECONDS": "0.5",
    "DAILIES_REPAIR_AFTER_SECONDS": "1",
    "DAILIES_DECODERS": "2",
}
READY_SECONDS = 120.0
ANSWER_SECONDS = 3.0
"""How long the rig waits for an answer of Kafka's: others may have to be let go on meanwhile for it to come at all."""


class NotNow(Exception):
    """Kafka does not answer: it is away or stands still."""


APPEND_TIME = (topics.INFERENCES, topics.REACTIONS, topics.METADATA)
"""Topics whose records carry the broker's append time, for the oracle."""


def process_of(role: str) -> str:
    """The process that faults of a role hit: of inference, the one that has work."""
    return "kafka" if role == "kafka" else "inference-signals-1" if role == "inference" else f"{role}-1"


class Rig:
    """A running stack in ``folder``. ``network`` is None where there is no toxiproxy."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self._settings = {**SETTINGS, **(settings or {})}
        self._joined: dict[str, subprocess.Popen[bytes]] = {}
        self.network: Network | None = None

    def __enter__(self) -> Self:
        self.data_dir.mkdir(parents=True)
        program = toxiproxy()
        if program is not None:
            self.network = Network(program, ROLES, self.folder / "toxiproxy.log")
        try:
            detach.up([sys.executable, "-m", "tests.chaos.rig", str(self.data_dir), self._told()], self.data_dir)
            self.admin = admin_client(self.bootstrap)
            for topic in APPEND_TIME:
                wait_for(lambda topic=topic: self._stamps(topic), f"{topic.name} to stamp its records", READY_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._joined.values():
            process.kill()
            process.wait()
        detach.down(self.data_dir)
        if self.network is not None:
            self.network.close()

    def _told(self) -> str:
        network = self.network
        return json.dumps(
            {
                "parent": os.getpid(),
                "settings": self._settings,
                "tunnels": {} if network is None else {role: [network.inner[role], network.outer[role]] for role in ROLES},
            }
        )

    @property
    def bootstrap(self) -> str:
        """Kafka itself, around the network."""
        state = running(self.data_dir)
        assert state is not None and state.bootstrap is not None
        return state.bootstrap

    def pid(self, role: str) -> int:
        """The running process of a role; waits while it is being started again."""
        found: list[int] = []

        def runs() -> bool:
            state = running(self.data_dir)
            found[:] = [p.pid for p in state.processes if p.name == process_of(role) and p.pid] if state else []
            return bool(found) and psutil.pid_exists(found[0])

        wait_for(runs, f"a process of {role}", READY_SECONDS)
        return found[0]

    def send(self, role: str, number: signal.Signals) -> int:
        """Send a signal; the process's id."""
        pid = self.pid(role)
        self.send_to(pid, number)
        return pid

    @staticmethod
    def send_to(pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return  # it has ended meanwhile: the supervisor starts another

    @staticmethod
    def limit_files(pid: int, size: int) -> None:
        """No file that this process writes to may grow beyond ``size`` bytes (-1: no limit): to it, the disk is full."""
        try:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        except ProcessLookupError:
            return  # ended by what it met

    def _stamps(self, topic: topics.Topic) -> bool:
        try:
            self.configure(topic, "message.timestamp.type", "LogAppendTime")
        except NotNow:
            return False
        return True

    def ready(self) -> bool:
        """Whether every process of the stack says so."""
        state = running(self.data_dir)
        return state is not None and all(p.state == "ready" and p.pid for p in state.processes)

    def await_ready(self) -> None:
        wait_for(self.ready, "the stack to be ready", READY_SECONDS)

    def configure(self, topic: topics.Topic, name: str, value: str) -> None:
        """Set one of a topic's settings. Raises ``NotNow`` where Kafka does not answer."""
        with self._asking():
            set_topic(self.admin, topic, name, value, request_timeout=ANSWER_SECONDS)

    def delete_all(self, topic: topics.Topic) -> int:
        """Delete every record that lies on a topic now; how many partitions had some. Raises ``NotNow``."""
        places = [TopicPartition(topic.name, partition, -1) for partition in range(topic.partitions)]
        with self._asking():
            answers = self.admin.delete_records(places, request_timeout=ANSWER_SECONDS)
            return sum(future.result().low_watermark > 0 for future in answers.values())

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            # A client that met a frozen broker may not find it again.
            self.admin = admin_client(self.bootstrap)
            raise NotNow(str(error)) from error

    def environment(self, role: str) -> dict[str, str]:
        """What a role that joins by hand is given."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DAILIES_")}
        at = self.bootstrap if self.network is None else f"127.0.0.1:{self.network.outer[role]}"
        return clean | self._settings | {"DAILIES_DATA_DIR": str(self.data_dir), "DAILIES_BOOTSTRAP": at}

    def join(self, role: str) -> int:
        """Start one more process of a role, beside the supervisor's."""
        name = f"joined-{role}"
        slot = Slot(role, 9, "signals" if role == "inference" else None)
        state_file = {"DAILIES_STATE_FILE": str(self.folder / f"{name}.json")}
        with (self.data_dir / "logs" / f"{name}.log").open("ab") as log:
            self._joined[role] = subprocess.Popen(
                tethered(role_command(slot)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(role) | state_file,
            )
        return self._joined[role].pid

    def leave(self, role: str, number: signal.Signals) -> None:
        """End the process that has joined, in order or at once."""
        process = self._joined.pop(role)
        process.send_signal(number)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def supervise(data_dir: Path, told: Mapping[str, object]) -> None:
    """The supervisor: as ``dailies up``, with each role sent through its proxy."""
    tunnels: Mapping[str, tuple[int, int]] = told["tunnels"]
    for name in [name for name in os.environ if name.startswith("DAILIES_")]:
        del os.environ[name]
    os.environ.update(told["settings"])

    def command(slot: Slot) -> list[str]:
        through = [f"DAILIES_BOOTSTRAP=127.0.0.1:{tunnels[slot.role][1]}"] if slot.role in tunnels else []
        return ["/usr/bin/env", *through, *role_command(slot)]

    Supervisor(
        data_dir,
        workers={"networks": 0},  # no task of the workload is theirs
        command=command,
        tunnels=[Tunnel(inner, f"127.0.0.1:{outer}") for inner, outer in tunnels.values()],
    ).run(tied=True)


if __name__ == "__main__":
    supervise(Path(sys.argv[1]), json.loads(sys.argv[2]))
