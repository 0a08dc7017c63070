"""A running stack as a user starts it, and its command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from schemas.events import ContentMetadata
from streams.local.state import running

QUICK = ("native-picture", "loudness", "audio-qc")
"""Tasks that cost next to nothing."""

NO_NETWORKS = ("--workers", "networks=0")
"""``up``'s options for a stack that is asked for quick tasks alone: torch takes longer to start than all other roles."""


def options(tasks: tuple[str, ...] | None) -> tuple[str, ...]:
    """``ingest``'s options for some tasks; None: all."""
    return tuple(part for task in tasks or () for part in ("--task", task))


@dataclass(frozen=True)
class Stack:
    """A running stack and its command line."""

    data_dir: Path
    settings: dict[str, str] = field(default_factory=dict)
    up: tuple[str, ...] = ()
    """Further options of ``dailies up``."""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        up = self.dailies("up", "--detach", *self.up)
        assert up.returncode == 0, up.stdout.decode() + up.stderr.decode()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:  # one that still waits was left behind by a failed test
            process.kill()
            process.communicate()
        down = self.dailies("down")
        assert down.returncode == 0, down.stderr.decode()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command in the background."""
        pipe = subprocess.PIPE
        self.started.append(subprocess.Popen(self._command(arguments), stdout=pipe, stderr=pipe, env=self._environment))
        return self.started[-1]

    @property
    def _environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DAILIES_")}
        # Tests stop a process for as long as it takes: the watchdog is not to interfere, but where it is what is tested.
        quiet = {"DAILIES_WATCHDOG_SECONDS": "0"}
        return clean | quiet | {"DAILIES_DATA_DIR": str(self.data_dir)} | self.settings

    @staticmethod
    def _command(arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "streams.cli", *arguments]

    def dailies(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[bytes]:
        command = self._command(arguments)
        return subprocess.run(command, capture_output=True, env=self._environment, timeout=timeout, check=False)

    def pid(self, name: str) -> int:
        """A process by its name, such as ``decoder-1``."""
        state = running(self.data_dir)
        assert state is not None
        (found,) = [p.pid for p in state.processes if p.name == name]
        assert found is not None
        return found

    @property
    def bootstrap(self) -> str:
        state = running(self.data_dir)
        assert state is not None
        assert state.bootstrap is not None
        return state.bootstrap

    def ingest(self, *uris: object, status: int = 0, options: tuple[str, ...] = ()) -> list[ContentMetadata]:
        done = self.dailies("ingest", *map(str, uris), "--wait", "--json", *options)
        assert done.returncode == status, done.stderr.decode()[-2000:]
        return self.events(done.stdout)

    @staticmethod
    def events(lines: bytes) -> list[ContentMetadata]:
        """What ``ingest --json`` has printed."""
        return [ContentMetadata.model_validate_json(line) for line in lines.splitlines()]
