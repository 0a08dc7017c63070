"""Which offsets may be committed while several jobs of a partition are at work and end in any order."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

TP = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ticket:
    """One message taken, in one assignment of its partition: a ticket of an earlier assignment counts for nothing."""

    tp: TP
    offset: int
    epoch: int


@dataclass(slots=True)
class _Partition:
    epoch: int
    open: OrderedDict[int, bool] = field(default_factory=OrderedDict)
    position: int | None = None
    committed: int | None = None


class OffsetTracker:
    """The offsets taken and done of every assigned partition.

    A partition's position only moves past an offset when it and all taken before it are done; so what is committed is
    always a contiguous prefix, and a crash repeats jobs but loses none. Not thread-safe: its owner locks.
    """

    def __init__(self) -> None:
        self._partitions: dict[TP, _Partition] = {}
        self._epoch = 0

    @property
    def partitions(self) -> int:
        """How many partitions are ours."""
        return len(self._partitions)

    def owns(self, tp: TP) -> bool:
        """Whether the partition is ours."""
        return tp in self._partitions

    def assigned(self, tp: TP) -> None:
        """The partition is ours from now on."""
        self._epoch += 1
        self._partitions[tp] = _Partition(self._epoch)

    def revoked(self, tp: TP) -> None:
        """The partition is no longer ours; its open tickets become void."""
        self._partitions.pop(tp, None)

    def taken(self, tp: TP, offset: int) -> Ticket:
        """A message was read. Raises ``ValueError`` if the offset goes back: that would commit over it."""
        partition = self._partitions.get(tp)
        if partition is None:
            self.assigned(tp)
            partition = self._partitions[tp]
        last = next(reversed(partition.open), -1) if partition.open else (partition.position or 0) - 1
        if offset <= last:
            raise ValueError(f"offset {offset} of {tp} after {last}")
        partition.open[offset] = False
        return Ticket(tp, offset, partition.epoch)

    def valid(self, ticket: Ticket) -> bool:
        """Whether the ticket's partition is still ours, and was all the time."""
        partition = self._partitions.get(ticket.tp)
        return partition is not None and partition.epoch == ticket.epoch

    def done(self, ticket: Ticket) -> None:
        """The message's work is done for good. A void ticket is ignored."""
        if not self.valid(ticket):
            return
        partition = self._partitions[ticket.tp]
        if ticket.offset not in partition.open:
            return
        partition.open[ticket.offset] = True
        while partition.open:
            first, ended = next(iter(partition.open.items()))
            if not ended:
                break
            del partition.open[first]
            partition.position = first + 1

    def committable(self) -> dict[TP, int]:
        """The next offset to read of every partition that is further than what is committed."""
        return {
            tp: partition.position
            for tp, partition in self._partitions.items()
            if partition.position is not None and partition.position != partition.committed
        }

    def committed(self, tp: TP, position: int) -> None:
        """The position is in Kafka."""
        if tp in self._partitions:
            self._partitions[tp].committed = position

    def uncommitted(self, topic: str) -> int:
        """Messages of a topic that were taken and are not done, or done behind one that is not; the last one done counts
        until it is committed.
        """
        mine = [partition for (name, _), partition in self._partitions.items() if name == topic]
        return sum(len(p.open) + (p.position is not None and p.position != p.committed) for p in mine)

    def span(self, tp: TP) -> int:
        """Messages from the first that is not done to the last taken: what a crash would repeat."""
        partition = self._partitions.get(tp)
        return len(partition.open) if partition is not None else 0
