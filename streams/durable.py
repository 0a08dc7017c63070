"""A Faust table whose changelog can be waited for, and which holds nothing of a partition that went away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import faust
from faust.types import TP, AppT, CodecArg, EventT, FutureMessage
from faust.types.stores import KT, VT

from streams.flow import SERVICE_LOGGER

FLUSH_SECONDS = 90.0
"""How long a delivery may take before the table counts as failed; above the producer's request timeout."""


class DurableTable(faust.Table[KT, VT]):
    """A table in memory, recovered from its compacted changelog.

    The stock table sends its changelog and forgets: a rejected record is one log line, and the offset that caused it is
    committed. Here :meth:`flushed` waits for everything written so far; the guard awaits it before each ack and ends the
    process when it raises.

    A message's changes are several records, of which a broker may take some and refuse others, and a process may die between
    any two. So what a message deletes is only deleted in Kafka once everything that it wrote before is there: what is read
    again after a crash is never less than it was, though it may be more.

    Traps: a key's partition is that of the event being handled, so a key must always be written from the same partition.
    Values are what was put in: never change one in place. An empty value (``b""``, ``{}``) may vanish at recovery if its
    key was once deleted. Timers cannot write. What was read off the table is stale when ``generation`` has changed: partitions
    came or went, or one of them was read from its changelog just then, which timers run in the middle of. Whoever reads must
    make nothing of keys that were to be deleted.
    """

    logger = SERVICE_LOGGER

    def __init__(self, app: AppT, **options: Any) -> None:
        super().__init__(app, **options)
        self._sent: list[FutureMessage] = []
        self._deleted: dict[KT, int | None] = {}
        """Deletions that wait for what was written before them, with their partitions."""
        self.generation = 0

    def send_changelog(
        self,
        partition: int | None,
        key: Any,
        value: Any,
        key_serializer: CodecArg | None = None,
        value_serializer: CodecArg | None = None,
    ) -> FutureMessage:
        """Send a change, and remember its delivery and the key's partition. Raises ``ValueError`` if that was another."""
        if (home := self._partitions.get(key, partition)) != partition:
            raise ValueError(f"{key!r} belongs to partition {home} and is written while an event of {partition} is handled")
        future = super().send_changelog(partition, key, value, key_serializer, value_serializer)
        self._sent.append(future)
        if value is not None:
            # The stock store notes this only of keys that it recovered, so it would keep our own for ever.
            self._partitions[key] = cast(int, future.message.partition)
        return future

    def on_key_set(self, key: KT, value: VT) -> None:
        """A key was written."""
        self._deleted.pop(key, None)
        super().on_key_set(key, value)

    def on_key_del(self, key: KT) -> None:
        """A key was deleted: not yet in Kafka."""
        partition = self.partition_for_key(key)
        if (home := self._partitions.pop(key, partition)) != partition:
            raise ValueError(f"{key!r} belongs to partition {home} and is deleted while an event of {partition} is handled")
        self._deleted[key] = partition
        self._sensor_on_del(self, key)

    async def flushed(self) -> None:
        """Wait until all that was written so far is in Kafka, then let what was deleted follow, which is waited for the next
        time. Raises what a delivery raised, or ``TimeoutError``.
        """
        sent, self._sent = self._sent, []
        if sent:
            await asyncio.wait_for(asyncio.gather(*sent), FLUSH_SECONDS)
        deleted, self._deleted = self._deleted, {}
        for key, partition in deleted.items():
            self.send_changelog(partition, key, None, value_serializer="raw")

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Drop what belongs to partitions that went away, and start clean on those that came; their recovery follows."""
        self.generation += 1
        changed = {tp.partition for tp in revoked | newly_assigned if tp.topic == self.changelog_topic_name}
        for key in [key for key, partition in self._partitions.items() if partition in changed]:
            cast(Any, self.data).data.pop(key, None)
            del self._partitions[key]
        self._deleted = {key: partition for key, partition in self._deleted.items() if partition not in changed}
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Take over what the changelog has."""
        super().apply_changelog_batch(batch)
        self.generation += 1

    def partition_of(self, key: KT) -> int | None:
        """The partition that a key was written from or recovered from; ``None`` for an unknown key."""
        return self._partitions.get(key)

    @property
    def _partitions(self) -> dict[KT, int]:
        return cast(dict[KT, int], cast(Any, self.data)._key_partition)
