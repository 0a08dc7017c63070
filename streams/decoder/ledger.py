"""What of a decoder's chunks still lies in Kafka, and how much of each partition may be deleted. Pure bookkeeping."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass

from streams.decoder.offsets import TP


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A chunk of ours: its size in bytes and the consumer groups that its plan needs to read it."""

    offset: int
    size: int
    groups: frozenset[str]


@dataclass(slots=True)
class _Leftover:
    """Records from before this process: their number is known, and their size is estimated."""

    start: int
    end: int
    size_each: float

    @property
    def bytes(self) -> float:
        return max(0, self.end - self.start) * self.size_each


class ChunkLedger:
    """The chunks that wait in Kafka on this decoder's account, per partition, in order of offset.

    A deletion removes everything below an offset, whoever produced it. Records between ours belong to another decoder, or
    to an earlier life of this one; which groups need them is not known here, so they may only go once *every* group that
    the broker knows to read the topic has committed past them. Not thread-safe: its owner locks.
    """

    def __init__(self) -> None:
        self._own: dict[TP, list[Entry]] = {}
        self._leftovers: dict[TP, _Leftover] = {}
        self._floor: dict[TP, int] = {}
        self._flying = 0
        self._lying = 0

    @property
    def own_bytes(self) -> int:
        """Bytes of chunks on their way to Kafka, and in it."""
        return self._flying + self._lying

    @property
    def leftover_bytes(self) -> float:
        """Estimated bytes of what lay there before, as far as it is this decoder's share."""
        return sum(left.bytes for left in self._leftovers.values())

    def partitions(self) -> list[TP]:
        """The partitions where something waits."""
        return sorted({tp for tp, entries in self._own.items() if entries} | set(self._leftovers))

    def found(self, tp: TP, start: int, end: int, size_each: float) -> None:
        """At the process's start the partition held the offsets ``[start, end)``, of about ``size_each`` bytes each."""
        self._floor[tp] = start
        if end > start:
            self._leftovers[tp] = _Leftover(start, end, size_each)

    def sent(self, size: int) -> None:
        """A chunk is on its way."""
        self._flying += size

    def lost(self, size: int) -> None:
        """A chunk that was :meth:`sent` will never be in Kafka."""
        self._flying -= size

    def delivered(self, tp: TP, entry: Entry) -> None:
        """A chunk that was :meth:`sent` is in Kafka. Reports may come out of order."""
        self._flying -= entry.size
        if entry.offset >= self._floor.get(tp, 0):
            insort(self._own.setdefault(tp, []), entry)
            self._lying += entry.size

    def trimmed(self, tp: TP, low: int) -> None:
        """The log of the partition begins at ``low`` now, whoever deleted what was before."""
        if low <= self._floor.get(tp, 0):
            return
        self._floor[tp] = low
        entries = self._own.get(tp, [])
        gone = 0
        while gone < len(entries) and entries[gone].offset < low:
            self._lying -= entries[gone].size
            gone += 1
        del entries[:gone]
        left = self._leftovers.get(tp)
        if left is not None:
            left.start = max(left.start, low)
            if left.start >= left.end:
                del self._leftovers[tp]

    def deletable(self, tp: TP, committed: Mapping[str, int], end: int) -> int | None:
        """The offset below which nobody needs anything; None where nothing may be deleted.

        ``committed`` has the next offset to read of every group that the broker knows to read this topic (a group that
        has members and has committed nothing is at 0). ``end`` is the end of the log as it was *before* the groups
        were asked: a record beyond it may need a group that was not known yet.
        """
        floor = self._floor.get(tp, 0)
        slowest = min(committed.values(), default=0)
        position = floor
        for entry in self._own.get(tp, []):
            position = max(position, min(slowest, entry.offset))
            if position < entry.offset:
                break
            if any(committed.get(group, 0) <= entry.offset for group in entry.groups):
                break
            position = entry.offset + 1
        else:
            position = max(position, slowest)
        position = min(position, end)
        return position if position > floor else None
