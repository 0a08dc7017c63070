"""The byte budget: decoding waits while too much of what it made lies unread in Kafka, and what was read is deleted."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException

from streams.chunklog import ChunkLog
from streams.decoder.ledger import ChunkLedger, Entry
from streams.decoder.offsets import TP
from streams.decoder.source_of_jobs import MEMBERS_EACH
from streams.groups import DECODERS
from streams.log import get_logger
from streams.producer import Delivered
from streams.topics import MIB, Topic

_log = get_logger(__name__)

CALM_SECONDS = 2.0
"""How often the log is tended while nobody waits."""

URGENT_SECONDS = 0.1
"""How often while decoding waits for room."""

TYPICAL_BYTES = MIB
"""The size that a chunk is made to have: the estimate for those from before this process."""


@dataclass(frozen=True, slots=True)
class Readers:
    """A chunk topic and the consumer groups that may read it."""

    topic: Topic
    groups: frozenset[str]

    def partitions(self) -> list[TP]:
        """The topic's partitions."""
        return [(self.topic.name, p) for p in range(self.topic.partitions)]


class Budget:
    """A decoder's share of the bytes that may wait in Kafka: the whole divided by the live members of the decoder group.

    Worker threads :meth:`admit` each chunk and so wait for room; one thread of its own tends the log. A chunk is always
    admitted when nothing of ours waits, so that any budget makes progress. What an earlier life of this process left
    behind is counted by its records, at a chunk's typical size and divided by the members, and takes half of the share
    at most. ``waits`` is called again and again while a worker waits for room and the log is tended.
    """

    def __init__(
        self, total_bytes: int, log: ChunkLog, readers: Mapping[str, Readers], *, waits: Callable[[], object] = lambda: None
    ) -> None:
        self._waits = waits
        self._total = total_bytes
        self._log = log
        self._readers = dict(readers)
        self._ledger = ChunkLedger()
        self._members = 1
        self._registered: set[tuple[str, str]] = set()
        self._registering = threading.Lock()
        self._room = threading.Condition()
        self._waiters = 0
        self._stocked = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="budget", daemon=True)

    def start(self) -> None:
        """Begin to tend. Nothing is admitted before stock is taken of what lies there."""
        self._thread.start()

    def take_stock(self) -> None:
        """Count what an earlier life of this process may have left. Raises ``KafkaException`` if the broker is away."""
        tps = [tp for readers in self._readers.values() for tp in readers.partitions()]
        self._members = _decoders(self._log.members([DECODERS]))
        starts, ends = self._log.starts(tps), self._log.ends(tps)
        with self._room:
            for tp in tps:
                self._ledger.found(tp, starts[tp], ends[tp], TYPICAL_BYTES / self._members)
            self._stocked = True
            self._room.notify_all()

    def close(self) -> None:
        """Stop tending."""
        self._stop.set()
        with self._room:
            self._room.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._log.close()

    @property
    def limit(self) -> int:
        """The share, in bytes."""
        return self._total // self._members

    @property
    def waiting(self) -> int:
        """Bytes that count against the share."""
        return self._ledger.own_bytes + round(min(self._ledger.leftover_bytes, self.limit / 2))

    @property
    def waiters(self) -> int:
        """Workers that wait for room."""
        return self._waiters

    def require(self, rendition: str, groups: frozenset[str], cancelled: Callable[[], bool]) -> None:
        """Before a job's first chunk: every group it needs is known to the broker, so that no decoder deletes over it.

        Waits for the broker if it must; returns early if cancelled.
        """
        with self._registering:
            for group in sorted(groups):
                while (rendition, group) not in self._registered and not cancelled():
                    if self._register(rendition, group):
                        break

    def _register(self, rendition: str, group: str) -> bool:
        """False if the broker is away. A group that is only known by its members now is asked about again by the next job."""
        try:
            if self._log.register(group, self._readers[rendition].partitions()):
                self._registered.add((rendition, group))
        except KafkaException as error:
            _log.warning("group not registered", group=group, error=str(error))
            self._stop.wait(1.0)
            return False
        return True

    def admit(self, size: int, cancelled: Callable[[], bool]) -> bool:
        """Wait for room for a chunk of ``size`` bytes and count it. False if cancelled meanwhile."""
        with self._room:
            self._waiters += 1
            try:
                while not self._fits(size):
                    if cancelled():
                        return False
                    if self._thread.is_alive():
                        self._waits()
                    self._room.wait(0.2)
            finally:
                self._waiters -= 1
            self._ledger.sent(size)
        return True

    def _fits(self, size: int) -> bool:
        return self._stocked and (self._ledger.own_bytes == 0 or self.waiting + size <= self.limit)

    def reported(self, place: Delivered | None, *, size: int, groups: frozenset[str]) -> None:
        """A chunk that was admitted is in Kafka, or (None) will never be."""
        with self._room:
            if place is None:
                self._ledger.lost(size)
            else:
                self._ledger.delivered((place.topic, place.partition), Entry(place.offset, size, groups))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.tend() if self._stocked else self.take_stock()
            except KafkaException as error:
                # The broker is away or a group moves. Nothing is deleted on doubt; the next pass asks again.
                _log.warning("budget not tended", error=str(error))
            self._stop.wait(URGENT_SECONDS if self._waiters else CALM_SECONDS)

    def tend(self) -> None:
        """Ask where the groups are, delete what no needed group has before it, and wake whoever waits for room."""
        with self._room:
            tps = self._ledger.partitions()
        groups = {group for tp in tps for group in self._groups(tp)}
        starts, ends = self._log.starts(tps), self._log.ends(tps)
        members = self._log.members({DECODERS, *groups})
        self._members = _decoders(members)
        committed = self._committed(tps, members)
        with self._room:
            for tp, low in starts.items():
                self._ledger.trimmed(tp, low)
            found = {tp: self._ledger.deletable(tp, committed[tp], ends[tp]) for tp in tps}
        below = {tp: offset for tp, offset in found.items() if offset is not None}
        lows = self._log.delete(below)
        with self._room:
            for tp, low in lows.items():
                self._ledger.trimmed(tp, low)
            self._room.notify_all()

    def _groups(self, tp: TP) -> frozenset[str]:
        return next(readers.groups for readers in self._readers.values() if readers.topic.name == tp[0])

    def _committed(self, tps: list[TP], members: Mapping[str, int]) -> dict[TP, dict[str, int]]:
        """Per partition, the next offset of every group that the broker knows: by a commit, or by its members."""
        asked: defaultdict[str, list[TP]] = defaultdict(list)
        for tp in tps:
            for group in self._groups(tp):
                asked[group].append(tp)
        found: dict[TP, dict[str, int]] = {tp: {} for tp in tps}
        for group, wanted in asked.items():
            places = self._log.committed(group, wanted)
            for tp in wanted:
                if tp in places:
                    found[tp][group] = places[tp]
                elif members[group]:
                    found[tp][group] = 0
        return found


def _decoders(members: Mapping[str, int]) -> int:
    """The live decoders. One that has not joined yet counts too: it is this one."""
    return max(1, -(-members[DECODERS] // MEMBERS_EACH))
