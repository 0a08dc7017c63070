"""A local Apache Kafka: one process on loopback, with its data in one folder that outlives it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from schemas.errors import BrokerError, PortTaken
from streams import connect
from streams.local import jars
from streams.local.java import ENVIRONMENT, aot_options, java
from streams.local.logs import rotate, tail
from streams.local.ports import LOOPBACK, free_ports, is_free
from streams.local.properties import Tunnel, render, server_properties
from streams.local.tether import tethered

HEAP = "512m"
MIN_FREE_BYTES = 256 << 20
READY_SECONDS = 90.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
TRIES = 5
_TRY_AGAIN = ("Address already in use", "Failed to acquire lock")
"""Log lines of a start that another one can cure: a port was taken since it was picked, or a killed broker is still dying."""


class Broker:
    """One Apache Kafka in KRaft combined mode.

    Call ``start`` from a thread that outlives the broker (the main thread): Kafka is killed when that thread ends, and so never
    outlives its owner. ``start`` and ``stop`` may be repeated; records, offsets and, where still free, ports stay the same.
    ``tunnels`` are further listeners, each for clients that come by another address or speak another protocol; ``properties``
    are added to Kafka's own settings, and win.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        log: Path | None = None,
        class_path: Sequence[Path] | None = None,
        java_options: Sequence[str] | None = None,
        tunnels: Sequence[Tunnel] = (),
        properties: Mapping[str, str] | None = None,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.log = log or self.folder / "kafka.log"
        self._asked_port = port
        self._ports: tuple[int, int] | None = None
        self._class_path = class_path
        self._java_options = java_options
        self._tunnels = tuple(tunnels)
        self._properties = dict(properties or {})
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients; raises BrokerError before the first start."""
        if self._ports is None:
            raise BrokerError("this broker was never started")
        return f"{LOOPBACK}:{self._ports[0]}"

    @property
    def pid(self) -> int | None:
        """The running JVM's process id, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout: float = READY_SECONDS) -> None:
        """Starts Kafka and returns when it answers.

        Raises:
            PortTaken: the port that was asked for is in use.
            BrokerError: no disk, no runtime, or Kafka ended or stayed silent; with the last lines of its log.
        """
        deadline = time.monotonic() + timeout
        for attempt in range(1, TRIES + 1):
            self.launch()
            if self._await_ready(deadline):
                return
            ended = tail(self.log)
            self.stop()
            if attempt == TRIES or not any(mark in ended for mark in _TRY_AGAIN) or time.monotonic() > deadline:
                raise BrokerError(f"Kafka did not start. The end of {self.log}:\n{ended}")
            self._ports = None

    def launch(self) -> None:
        """Starts the process without waiting; ``is_ready`` tells when it serves."""
        self._check_disk()
        if self._class_path is None:
            self._class_path = jars.class_path(say=self._say)
        self._ports = self._pick_ports()
        config = self._write_config(*self._ports)
        rotate(self.log)
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(config)
        options = aot_options(self._class_path) if self._java_options is None else self._java_options
        command = self._java("kafka.Kafka", str(config), options=(f"-Xmx{HEAP}", "-XX:+ExitOnOutOfMemoryError", *options))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                tethered(command),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT, cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    def is_ready(self, timeout: float = 1.0) -> bool:
        """Whether this broker, and no other that listens on its port, answers a metadata request."""
        return self.pid is not None and connect.cluster_id(self.bootstrap, timeout) == self._cluster_id()

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Ends Kafka in good order, or after ``timeout`` seconds by force; its data stay."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def terminate(self) -> None:
        """Asks Kafka to end and does not wait."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Ends Kafka at once, as a crash would; its data stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _await_ready(self, deadline: float) -> bool:
        while self.pid is not None and time.monotonic() < deadline:
            if self.is_ready():
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _pick_ports(self) -> tuple[int, int]:
        """The asked-for port, or those of the last start where they are still free, else fresh ones."""
        if self._asked_port is not None and not is_free(self._asked_port):
            raise PortTaken(
                f"port {self._asked_port} is in use by another program. "
                "Stop that one, ask for another port, or ask for none to get a free one."
            )
        if (last := self._last_ports()) is not None and all(map(is_free, last)) and self._asked_port in (None, last[0]):
            return last
        port, controller_port = free_ports(2)
        return self._asked_port or port, controller_port

    def _last_ports(self) -> tuple[int, int] | None:
        if self._ports is not None:
            return self._ports
        try:
            port, controller_port = json.loads((self.folder / "ports.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return int(port), int(controller_port)

    def _write_config(self, port: int, controller_port: int) -> Path:
        (self.folder / "tmp").mkdir(exist_ok=True)
        (self.folder / "ports.json").write_text(json.dumps([port, controller_port]))
        config = self.folder / "server.properties"
        config.write_text(
            render(server_properties(self.folder / "data", port, controller_port, self._tunnels, self._properties))
        )
        return config

    def _format(self, config: Path) -> None:
        """Prepares an empty data folder. Kafka writes ``meta.properties`` last: a start that was cut short is repeated."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        arguments = ("format", "-t", new_cluster_id(), "-c", str(config))
        options = ("-Xmx128m", "-XX:TieredStopAtLevel=1", *aot_options(self._class_path or ()))
        command = self._java("kafka.tools.StorageTool", *arguments, options=options)
        done = subprocess.run(tethered(command), capture_output=True, env=ENVIRONMENT, cwd=self.folder, text=True, check=False)
        if done.returncode != 0:
            raise BrokerError(f"Kafka could not prepare {self.folder / 'data'}:\n{(done.stdout + done.stderr).strip()[-2000:]}")

    def _java(self, main: str, *args: str, options: Sequence[str]) -> list[str]:
        # Native libraries of the codecs are unpacked into the temporary folder: keep them inside ours.
        options = (*options, f"-Djava.io.tmpdir={self.folder / 'tmp'}")
        return java(main, *args, class_path=self._class_path or (), options=options)

    def _check_disk(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise BrokerError(f"cannot use the folder {self.folder}: {error}. Choose another with --data-dir.") from error
        if not os.access(self.folder, os.W_OK):
            raise BrokerError(f"cannot write into {self.folder}. Choose another folder with --data-dir.")
        if free < MIN_FREE_BYTES:
            raise BrokerError(
                f"only {free >> 20} MiB are free at {self.folder}, and Kafka needs {MIN_FREE_BYTES >> 20} MiB to start. "
                "Free some space, or choose another folder with --data-dir."
            )

    def _cluster_id(self) -> str:
        lines = (self.folder / "data" / "meta.properties").read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith("cluster.id="))


def new_cluster_id() -> str:
    """A random id in Kafka's form: 16 bytes, URL-safe base 64; Kafka refuses one that begins with a dash."""
    return base64.urlsafe_b64encode(b"\x00" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
