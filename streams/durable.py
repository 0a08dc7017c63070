"""A Faust table whose changelog can be waited for, and which holds nothing of a partition that went away."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import faust
from faust.types import TP, AppT, CodecArg, FutureMessage
from faust.types.stores import KT, VT

from streams.flow import SERVICE_LOGGER

FLUSH_SECONDS = 90.0
"""How long a delivery may take before the table counts as failed; above the producer's request timeout."""


class DurableTable(faust.Table[KT, VT]):
    """A table in memory, recovered from its compacted changelog.

    The stock table sends its changelog and forgets: a rejected record is one log line, and the offset that caused it is
    committed. Here :meth:`flushed` waits for everything written so far; the guard awaits it before each ack and ends the
    process when it raises.

    Traps: a key's partition is that of the event being handled, so a key must always be written from the same partition.
    Values are what was put in: never change one in place. An empty value (``b""``, ``{}``) may vanish at recovery if its
    key was once deleted. Timers cannot write.
    """

    logger = SERVICE_LOGGER

    def __init__(self, app: AppT, **options: Any) -> None:
        super().__init__(app, **options)
        self._sent: list[FutureMessage] = []

    def send_changelog(
        self,
        partition: int | None,
        key: Any,
        value: Any,
        key_serializer: CodecArg | None = None,
        value_serializer: CodecArg | None = None,
    ) -> FutureMessage:
        """Send a change, and remember its delivery and the key's partition."""
        future = super().send_changelog(partition, key, value, key_serializer, value_serializer)
        self._sent.append(future)
        if value is None:
            self._partitions.pop(key, None)
        else:
            # The stock store notes this only of keys that it recovered, so it would keep our own for ever.
            self._partitions[key] = cast(int, future.message.partition)
        return future

    async def flushed(self) -> None:
        """Wait until all changes so far are in Kafka. Raises what a delivery raised, or ``TimeoutError``."""
        sent, self._sent = self._sent, []
        if sent:
            await asyncio.wait_for(asyncio.gather(*sent), FLUSH_SECONDS)

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Drop what belongs to partitions that went away, and start clean on those that came; their recovery follows."""
        changed = {tp.partition for tp in revoked | newly_assigned if tp.topic == self.changelog_topic_name}
        for key in [key for key, partition in self._partitions.items() if partition in changed]:
            cast(Any, self.data).data.pop(key, None)
            del self._partitions[key]
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def partition_of(self, key: KT) -> int | None:
        """The partition that a key was written from or recovered from; ``None`` for an unknown key."""
        return self._partitions.get(key)

    @property
    def _partitions(self) -> dict[KT, int]:
        return cast(dict[KT, int], cast(Any, self.data)._key_partition)
