"""A bad network: toxiproxy between each role and Kafka, told over HTTP what to do with the bytes."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.local.ports import LOOPBACK, free_ports
from streams.local.tether import tethered
from tests.lab import wait_for
from tests.tools import built


def toxiproxy() -> Path | None:
    """The server's program, where ``scripts/install-test-tools.sh`` has built it."""
    return built("toxiproxy", "toxiproxy-server")


class Network:
    """One toxiproxy process with a proxy for each of some names. Faults hit one of them, or all."""

    def __init__(self, program: Path, names: Sequence[str], log: Path) -> None:
        (self._port,) = free_ports(1)
        ports = free_ports(2 * len(names))
        self.outer = dict(zip(names, ports[: len(names)], strict=True))
        """Where clients of each name connect."""
        self.inner = dict(zip(names, ports[len(names) :], strict=True))
        """Where Kafka listens for them."""
        with log.open("ab") as out:
            line = [str(program), "-host", LOOPBACK, "-port", str(self._port)]
            self._process = subprocess.Popen(tethered(line), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for(self._answers, "toxiproxy", 20)
        for name in names:
            at, to = f"{LOOPBACK}:{self.outer[name]}", f"{LOOPBACK}:{self.inner[name]}"
            self._ask("POST", "/proxies", {"name": name, "listen": at, "upstream": to, "enabled": True})

    def _answers(self) -> bool:
        try:
            self._ask("GET", "/version", None)
        except OSError:
            return False
        return True

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{LOOPBACK}:{self._port}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    def poison(self, names: Sequence[str], kind: str, attributes: Mapping[str, int]) -> None:
        """Do something to the bytes of both directions: ``latency``, ``reset_peer``, ``timeout`` (nothing comes through)."""
        for name in names:
            for way in ("upstream", "downstream"):
                toxic = {"name": f"{kind}-{way}", "type": kind, "stream": way, "toxicity": 1.0, "attributes": attributes}
                self._ask("POST", f"/proxies/{name}/toxics", toxic)

    def sever(self, names: Sequence[str], *, severed: bool) -> None:
        """End all connections and refuse new ones, or accept them again."""
        for name in names:
            self._ask("POST", f"/proxies/{name}", {"enabled": not severed})

    def heal(self) -> None:
        """Everything passes again."""
        self._ask("POST", "/reset", None)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
