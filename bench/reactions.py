"""`dailies bench reactions`: from a chunk in Kafka to the reaction that it brings about, at half load.

Half load: one upload every two durations of a single one on the idle stack. The chunk's time is when the decoder produced
it (of a decode task: its cell), the reaction's when the aggregator did; both are the records' timestamps, of one clock.
"""

from __future__ import annotations

import os
import shutil
import statistics
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson
import psutil
from confluent_kafka import OFFSET_END, TopicPartition
from rich.console import Console
from rich.table import Table

from bench.pipeline import LIGHT, Disagreement
from processors.analyse import analyse
from processors.equal import differences
from processors.source import to_uri
from processors.tasks.base import NATIVE
from schemas.cell import CellKey
from schemas.chunk import ChunkHeader
from schemas.events import ContentMetadata
from schemas.types import EventType
from streams import topics
from streams.client import Follower, Upload, make_consumer, publish, read_all
from streams.record import Record
from streams.secure import Bootstrap

GOAL_SECONDS = 0.3
POLL_SECONDS = 0.2

ChunkName = tuple[str, str, int, str, int]
"""Run, stream, segment, rendition and n."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One reaction: the task whose result brought it about, and how long it took, in seconds."""

    task: str
    seconds: float


class ChunkTimes:
    """Notes when each chunk was produced, while it still lies in Kafka: what has been read is deleted from its topic."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._consumer = make_consumer(bootstrap)
        places = [(topic.name, partition) for topic in topics.CHUNKS.values() for partition in range(topic.partitions)]
        self._consumer.assign([TopicPartition(name, partition, OFFSET_END) for name, partition in places])
        self._found: dict[ChunkName, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="chunk-times", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._over.is_set():
            message = self._consumer.poll(POLL_SECONDS)
            if message is not None and not message.error():
                record = Record.from_confluent(message)
                h = ChunkHeader.from_bytes(record.headers["chunk"])
                self._found.setdefault((h.run, h.stream, h.segment, h.rendition, h.n), record.timestamp)

    def close(self) -> Mapping[ChunkName, float]:
        """Stop, and give the time of each chunk in seconds since the epoch."""
        self._over.set()
        self._thread.join()
        self._consumer.close()
        return self._found


def measure(clip: Path, bootstrap: Bootstrap, *, uploads: int, console: Console) -> None:
    """Check the result, offer uploads at half load, and print the delays of all reactions. Raises ``Disagreement``."""
    copies = [shutil.copy(clip, clip.with_stem(f"{clip.stem}-{number}")) for number in range(uploads + 2)]
    console.print("Checking the result, and how long one upload takes …")
    single = min(_timed(bootstrap, Path(copy)) for copy in copies[:2])
    listening = ChunkTimes(bootstrap)
    psutil.cpu_percent()
    begun = time.monotonic()
    finals = _offer(bootstrap, [Path(copy) for copy in copies[2:]], every=2 * single)
    busy = psutil.cpu_percent()
    chunks = listening.close()
    console.print(
        f"{uploads} uploads of {single:.1f} s each, one every {2 * single:.1f} s, in {time.monotonic() - begun:.0f} s; "
        f"{busy:.0f} % of {os.cpu_count()} cores busy"
    )
    console.print(_table(list(samples(bootstrap, {event.run.id for event in finals}, chunks))))


def _timed(bootstrap: Bootstrap, path: Path) -> float:
    begun = time.monotonic()
    (event,) = _offer(bootstrap, [path], every=0)
    seconds = time.monotonic() - begun
    if found := differences(event, analyse(str(path), code="bench", tasks_wanted=LIGHT, device="cpu")):
        raise Disagreement(f"pipeline and analyse differ: {found[:5]}")
    return seconds


def _offer(bootstrap: Bootstrap, paths: list[Path], *, every: float) -> list[ContentMetadata]:
    """Publish an upload every so many seconds and wait for all final events."""
    waiting = [Upload(to_uri(str(path))) for path in paths]
    offered: list[Upload] = []
    with closing(Follower(bootstrap)) as follower:
        begun = time.monotonic()
        while len(offered) < len(waiting) or not all(u.ended for u in offered):
            if len(offered) < len(waiting) and time.monotonic() - begun >= every * len(offered):
                publish(bootstrap, [waiting[len(offered)]], tasks=list(LIGHT))
                offered.append(waiting[len(offered)])
            follower.step(offered)
    events = [u.metadata for u in offered if u.metadata is not None and u.metadata.run.status == "complete"]
    if len(events) != len(paths):
        raise Disagreement("not every upload completed")
    return events


def samples(bootstrap: Bootstrap, runs: set[str], chunks: Mapping[ChunkName, float]) -> Iterator[Sample]:
    """The delay of each reaction of some runs that a chunk or cell has brought about; ``chunks`` has each chunk's time."""
    cells: dict[str, tuple[CellKey, float]] = {}
    for record in _records(bootstrap, topics.INFERENCES):
        if record.headers.get("ce_type") == EventType.CELL.encode():
            key = CellKey.from_bytes(record.headers["cell"])
            cells.setdefault(record.headers["ce_id"].decode(), (key, record.timestamp))
    for record in _records(bootstrap, topics.REACTIONS):
        cause = record.headers.get("ce_causationid", b"").decode()
        if cause not in cells or orjson.loads(record.value)["run"] not in runs:
            continue
        key, at = cells[cause]
        if key.rendition != NATIVE:
            at = chunks[key.run, key.stream, key.segment, key.rendition, key.n]
        yield Sample(key.task, record.timestamp - at)


def _records(bootstrap: Bootstrap, topic: topics.Topic) -> Iterable[Record]:
    return (Record.from_confluent(message) for message in read_all(bootstrap, topic))


def _table(found: list[Sample]) -> Table:
    if not found:
        raise Disagreement("the clip has no finding that a chunk brings about")
    title = f"Chunk ready to reaction, in milliseconds; the goal is {GOAL_SECONDS * 1000:.0f} at the 95th percentile"
    table = Table(title=title, box=None)
    for column in ("task", "reactions", "median", "p95", "worst"):
        table.add_column(column, justify="left" if column == "task" else "right")
    by_task = {name: [s.seconds for s in found if s.task == name] for name in sorted({s.task for s in found})}
    for name, seconds in {**by_task, "all": [s.seconds for s in found]}.items():
        ms = sorted(1000 * s for s in seconds)
        p95 = ms[min(len(ms) - 1, -(-95 * len(ms) // 100) - 1)]
        table.add_row(name, str(len(ms)), f"{statistics.median(ms):.0f}", f"{p95:.0f}", f"{ms[-1]:.0f}")
    return table
