"""Keeps a job only a few chunks ahead of the readers that keep pace, so that no chunk waits behind a burst of others.

Sound decodes at hundreds of times real time: put into Kafka at once, an hour of it would delay every other asset's reactions
by the minute that it takes to read. The byte budget bounds what lies on disk; this bounds what lies in front of a reader.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

from confluent_kafka import KafkaException

from streams.chunklog import ChunkLog
from streams.decoder.offsets import TP
from streams.log import get_logger

_log = get_logger(__name__)

LEAD = {"video": 8, "audio": 2}
"""Chunks of a job that may lie unread, of about 1 MiB each: of pictures a dozen, quickly read; of sound many seconds."""

LOOK_SECONDS = 0.02
"""How often the readers' offsets are asked for while a job waits."""

PATIENCE_SECONDS = 1.0
"""Readers that commit nothing for so long stand still: until they move, nobody waits for them."""


class Pace:
    """How far one consumer group is with each job's chunks. Safe from any thread.

    ``group`` runs the tasks that keep pace with decoding. Networks may be slower than that on some machines; to wait for
    those would delay the others' reactions, so they are left to the byte budget.
    """

    def __init__(self, log: ChunkLog, group: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.group = group
        self._log, self._clock = log, clock
        self._unread: dict[Hashable, set[tuple[TP, int]]] = {}
        self._flying: dict[Hashable, int] = {}
        self._committed: dict[TP, int] = {}
        self._still = False
        self._moved = self._looked = clock()
        self._state, self._looking = threading.Lock(), threading.Lock()

    def wait(self, job: Hashable, lead: int, cancelled: Callable[[], bool]) -> None:
        """Before a job's next chunk, which is counted: until fewer than ``lead`` lie unread, or there is no use in waiting."""
        begun = self._clock()
        while self.ahead(job) >= lead and not cancelled():
            now = self._clock()
            self._still = self._still or now - max(begun, self._moved) > PATIENCE_SECONDS
            if self._still and now - self._looked < PATIENCE_SECONDS:
                break
            self._look()
            if self._still:
                break
            if self.ahead(job) >= lead:
                time.sleep(LOOK_SECONDS)
        with self._state:
            self._flying[job] = self._flying.get(job, 0) + 1

    def ahead(self, job: Hashable) -> int:
        """How many chunks of a job are on their way, or lie unread as far as is known."""
        with self._state:
            return self._flying.get(job, 0) + len(self._unread.get(job, ()))

    def reported(self, job: Hashable, place: tuple[TP, int] | None) -> None:
        """A chunk that was counted lies at a partition and offset now, or (None) will never be in Kafka."""
        with self._state:
            if job in self._flying:
                self._flying[job] -= 1
                if place is not None and self._committed.get(place[0], 0) <= place[1]:
                    self._unread.setdefault(job, set()).add(place)

    def forget(self, job: Hashable) -> None:
        """A job ended: nothing more is counted for it."""
        with self._state:
            self._flying.pop(job, None)
            self._unread.pop(job, None)

    def _look(self) -> None:
        """Ask where the group is, unless another thread is asking just now."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            with self._state:
                places = sorted({tp for unread in self._unread.values() for tp, _ in unread})
            self._seen(self._log.committed(self.group, places))
        except KafkaException as error:
            _log.warning("readers' offsets unknown", group=self.group, error=str(error))
        finally:
            self._looked = self._clock()
            self._looking.release()

    def _seen(self, committed: dict[TP, int]) -> None:
        with self._state:
            if any(offset > self._committed.get(tp, 0) for tp, offset in committed.items()):
                self._moved, self._still = self._clock(), False
            self._committed.update(committed)
            for unread in self._unread.values():
                unread.difference_update([(tp, offset) for tp, offset in unread if offset < self._committed.get(tp, 0)])
