"""Roles of different makes on one broker: each in a process of its own, some of them doubles from ``integration.workers``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from schemas.events import ContentMetadata
from streams import admin, topics
from streams.client import read_all
from streams.local.broker import Broker
from streams.topics import Topic
from tests.lab import Lab, wait_for
from tests.tools import end_all

QUICK_REPAIR = {"DAILIES_REPAIR_LOOK_SECONDS": "0.3", "DAILIES_REPAIR_AFTER_SECONDS": "0.3", "DAILIES_DECODERS": "1"}


@dataclass
class Fleet:
    """Planner, aggregator and decoder as they are; inference is started by the test."""

    lab: Lab
    settings: dict[str, str] = field(default_factory=lambda: dict(QUICK_REPAIR))
    made: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        try:
            for started in [self._start_role(role) for role in ("planner", "aggregator", "decoder")]:
                self._await_ready(*started)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.lab.end()
        end_all(self.made)

    @property
    def environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DAILIES_")}
        where = {"DAILIES_DATA_DIR": str(self.lab.folder / "data"), "DAILIES_BOOTSTRAP": self.lab.bootstrap}
        return clean | where | self.settings

    def role(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A role as it is, ready."""
        state, process = self._start_role(*arguments)
        self._await_ready(state, process)
        return process

    def _start_role(self, *arguments: str) -> tuple[Path, subprocess.Popen[bytes]]:
        state = self.lab.folder / f"{'-'.join(arguments)}.state"
        log = (self.lab.folder / f"{arguments[0]}.log").open("ab")
        command = [sys.executable, "-m", "streams.cli", "run", *arguments]
        environment = self.environment | {"DAILIES_STATE_FILE": str(state)}
        self.made.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        return state, self.made[-1]

    def double(self, worker: str, **options: Any) -> subprocess.Popen[bytes]:
        """A worker of ``tests.integration.workers``, ready."""
        process = self.lab.start(worker, **options)
        self._await_ready(self.lab.folder / f"{process.pid}.state", process)
        return process

    @staticmethod
    def _await_ready(state: Path, process: subprocess.Popen[bytes]) -> None:
        def ready() -> bool:
            assert process.poll() is None, f"{state.stem} ended with {process.returncode}"
            told = json.loads(state.read_bytes()) if state.exists() else {}
            return (told.get("pid"), told.get("state")) == (process.pid, "ready")

        wait_for(ready, f"{state.stem} to be ready")

    @staticmethod
    def stop(process: subprocess.Popen[bytes]) -> None:
        """End a process in good order."""
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command in the background."""
        command = [sys.executable, "-m", "streams.cli", *arguments]
        self.made.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment))
        return self.made[-1]

    def dailies(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "streams.cli", *arguments]
        return subprocess.run(command, capture_output=True, env=self.environment, timeout=240, check=False)

    def ingest(self, path: Path, *options: str, status: int = 0) -> ContentMetadata:
        done = self.dailies("ingest", str(path), "--wait", "--json", *options)
        assert done.returncode == status, done.stderr.decode()[-2000:]
        return ContentMetadata.model_validate_json(done.stdout)

    def finals(self, asset: str) -> list[ContentMetadata]:
        """The final events of an asset, in their order."""
        found = [m.value() or b"" for m in read_all(self.lab.bootstrap, topics.METADATA) if m.key() == asset.encode()]
        return [ContentMetadata.model_validate_json(value) for value in found]

    def count(self, topic: Topic) -> int:
        """Records of a topic."""
        return sum(1 for _ in read_all(self.lab.bootstrap, topic))


def noise(path: Path, seconds: int, seed: int = 1) -> Path:
    """A WAV file of stereo noise at 48 kHz: about one chunk in five seconds."""
    samples = (np.random.default_rng(seed).standard_normal((seconds * 48_000, 2)) * 2000).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setparams((2, 2, 48_000, len(samples), "NONE", ""))
        out.writeframes(samples.tobytes())
    return path


@contextmanager
def fleet_in(folder: Path) -> Iterator[Fleet]:
    """A fleet on a broker of its own."""
    with Broker(folder / "kafka") as broker:
        admin.apply(broker.bootstrap)
        with Fleet(Lab(broker.bootstrap, folder)) as fleet:
            yield fleet
