"""Uploads of several byte budgets while nobody reads, with decoders that die and readers that come and go."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaException

from processors.analyse import analyse
from processors.equal import differences
from schemas.plan import Job
from streams import topics
from streams.chunklog import ChunkLog
from streams.client import read_all
from streams.connect import Place
from streams.groups import SIGNALS, inference_group
from streams.local.properties import SEGMENT_BYTES
from streams.local.state import running
from streams.topics import MIB
from tests.lab import wait_for
from tests.sound import TONE_RATE, tone_file
from tests.stack import Stack, options
from tests.tools import size

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(600)]

BUDGET = 4 * MIB
UPLOADS, SECONDS = 12, 20
CHUNK_BYTES = 972_480
"""Of a chunk of sound: half of an upload."""
TASKS = ("loudness", "audio-qc")
AUDIO = [(topics.CHUNKS["audio"].name, partition) for partition in range(topics.CHUNKS["audio"].partitions)]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Two decoders, and no reader of chunks yet."""
    settings = {
        "DAILIES_CHUNK_BUDGET_BYTES": str(BUDGET),
        "DAILIES_REPAIR_LOOK_SECONDS": "0.5",
        "DAILIES_REPAIR_AFTER_SECONDS": "1",
    }
    with Stack(tmp_path / "stack", settings, ("--workers", "inference=0", "--workers", "decoder=2")) as found:
        yield found


@contextmanager
def reader(stack: Stack) -> Iterator[None]:
    """One more worker of the group that reads sound, for a while."""
    process = stack.start("run", "inference", "--group", SIGNALS, "--bootstrap", stack.bootstrap)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGTERM), "it is stopped in good order, or before it has begun"


class Watch:
    """The most that lay undeleted in the sound's topic, and the most disk that it took."""

    def __init__(self, stack: Stack) -> None:
        self.log, self.folder = ChunkLog(stack.bootstrap), stack.data_dir / "kafka"
        self.chunks = self.disk = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.log.close()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            self.chunks = max(self.chunks, self.waiting())
            self.disk = max(self.disk, sum(size(path) for path in self.folder.rglob("media.chunks.audio-*/*.log")))

    def waiting(self) -> int:
        try:
            starts, ends = self.log.starts(AUDIO), self.log.ends(AUDIO)
        except KafkaException:  # leaders are being chosen; asked again soon
            return 0
        return sum(max(0, ends[place] - starts[place]) for place in AUDIO)

    def read(self) -> dict[Place, int]:
        return self.log.committed(inference_group(SIGNALS), AUDIO)


def test_nothing_is_lost_and_the_disk_is_bounded(stack: Stack, tmp_path: Path) -> None:
    paths = [tone_file(tmp_path / f"{n}.wav", SECONDS, hertz=300.0 + 50 * n) for n in range(UPLOADS)]
    assert UPLOADS * SECONDS * 2 * TONE_RATE > 5 * BUDGET
    with Watch(stack) as watch:
        upload = stack.start("ingest", *map(str, paths), "--wait", "--json", *options(TASKS))
        wait_for(lambda: (watch.waiting() + 1) * CHUNK_BYTES > BUDGET * 0.75, "the budget to be used")
        victim = stack.pid("decoder-1")
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: revived(stack, "decoder-1", victim), "the decoder to come back")
        with reader(stack):
            wait_for(lambda: sum(watch.read().values()) > 3, "some to be read")
            with reader(stack):
                wait_for(lambda: sum(watch.read().values()) > 12, "more to be read, by two")
            out, errors = upload.communicate(timeout=300)
    assert upload.returncode == 0, errors.decode()[-2000:]
    events = {event.asset.uri: event for event in stack.events(out)}
    assert len(events) == UPLOADS
    for path in (paths[0], paths[-1]):
        assert differences(events[path.as_uri()], analyse(str(path), code="test", tasks_wanted=TASKS)) == []
    assert all(event.run.status == "complete" and not event.coverage.gaps for event in events.values())
    issued = [Job.model_validate_json(m.value() or b"") for m in read_all(stack.bootstrap, topics.SEGMENTS)]
    assert {job.attempt for job in issued} == {0}, "a backlog was taken for a loss"
    # What a killed decoder left behind takes half of a share at most; a chunk is admitted whole.
    assert watch.chunks * CHUNK_BYTES <= 1.5 * BUDGET + 4 * CHUNK_BYTES
    assert watch.disk <= 1.5 * BUDGET + len(AUDIO) * SEGMENT_BYTES


def revived(stack: Stack, name: str, victim: int) -> bool:
    state = running(stack.data_dir)
    assert state is not None
    (found,) = [process for process in state.processes if process.name == name]
    return found.state == "ready" and found.pid not in (None, victim)
