"""Mutants through a real stack: each upload must end in exactly one final event, and no process of the stack may die of it."""

from __future__ import annotations

import itertools
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from confluent_kafka import TopicPartition

from schemas.events import ContentMetadata
from schemas.ids import digest
from streams import topics
from streams.client import Upload, make_consumer, publish
from streams.connect import watermarks
from streams.local.state import running
from tests.chaos.mutate import Mutant
from tests.stack import QUICK, Stack
from tests.waiting import until

WINDOW = 64
"""Mutants under way at a time."""
BATCH = 16
LATEST_SECONDS = 300.0
"""No mutant may take longer, with everything that waits before it."""
QUIET_SECONDS = 3.0
"""How long a second final event is waited for after the last first one."""
SETTINGS = {"DAILIES_PROBE_SECONDS": "30", "DAILIES_DECODE_STALL_SECONDS": "30", "DAILIES_LOG_LEVEL": "warning"}

Ended = Callable[[ContentMetadata], None]


@dataclass
class Crowd:
    """A stack, and the mutants that are on their way through it. ``letters`` counts dead letters by error."""

    stack: Stack
    folder: Path
    letters: Counter[str] = field(default_factory=Counter)
    _under_way: dict[str, tuple[Mutant, Path, float]] = field(default_factory=dict)
    _finals: dict[str, set[str]] = field(default_factory=dict)

    def run(self, mutants: Iterable[Mutant], ended: Ended) -> None:
        """Send them all, a window at a time, and tell of each that has ended. Raises ``AssertionError`` at what must not be."""
        self.folder.mkdir(parents=True, exist_ok=True)
        consumer = make_consumer(self.stack.bootstrap)
        places = [TopicPartition(t.name, p) for t in (topics.METADATA, topics.DEAD_LETTERS) for p in range(t.partitions)]
        for place in places:
            place.offset = watermarks(consumer, place)[1]
        consumer.assign(places)
        waiting = iter(mutants)
        quiet = None
        while quiet is None or time.monotonic() < quiet:
            if len(self._under_way) <= WINDOW - BATCH:
                self._send(waiting)
            for message in consumer.consume(256, 0.1):
                assert not message.error(), message.error()
                if message.topic() == topics.DEAD_LETTERS.name:
                    self.letters[dict(message.headers() or []).get("dl_error", b"").decode()] += 1
                else:
                    self._final(message.value() or b"", ended)
            self._look()
            if not self._under_way:
                quiet = quiet or time.monotonic() + QUIET_SECONDS
        consumer.close()
        self._at_rest()

    def _send(self, waiting: Iterator[Mutant]) -> None:
        uploads = []
        for mutant in itertools.islice(waiting, BATCH):
            path = self.folder / mutant.name
            path.write_bytes(mutant.data)
            upload = Upload(path.as_uri())
            self._under_way[upload.id] = (mutant, path, time.monotonic())
            uploads.append(upload)
        if uploads:
            publish(self.stack.bootstrap, uploads, tasks=QUICK)

    def _final(self, value: bytes, ended: Ended) -> None:
        event = ContentMetadata.model_validate_json(value)
        known = self._finals.setdefault(event.run.caused_by, set())
        known.add(digest(value))
        assert len(known) == 1, f"{event.asset.uri} has two final events"
        sent = self._under_way.pop(event.run.caused_by, None)
        if sent is not None:
            sent[1].unlink()
            _forget(event.signals.dataref)
            ended(event)

    def _look(self) -> None:
        now = time.monotonic()
        late = [mutant for mutant, _, since in self._under_way.values() if now - since > LATEST_SECONDS]
        assert not late, f"without a final event after {LATEST_SECONDS:.0f} s: {late}"

    def _at_rest(self) -> None:
        """Nothing was started again, and no attempt is left on disk."""
        state = running(self.stack.data_dir)
        assert state is not None
        restarts = {process.name: process.restarts for process in state.processes if process.restarts}
        assert not restarts, f"started again: {restarts}"
        attempts = self.stack.data_dir / "attempts"
        until(lambda: not [path for path in attempts.rglob("*") if path.is_file()], "attempts to be forgotten")


def _forget(dataref: str | None) -> None:
    """Remove a run's sidecar: ten thousand would fill the disk."""
    if dataref is not None:
        shutil.rmtree(unquote(urlsplit(dataref).path), ignore_errors=True)
