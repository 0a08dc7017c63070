"""Every topic: names, partitions, retention. The one place where they are declared."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
DAY_MS = 86_400_000

MAX_MESSAGE_BYTES = 8 * MIB
"""The largest record of any topic; producers and consumers are set to it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must exist. ``retention_ms`` None keeps records for ever."""

    name: str
    partitions: int
    key: str
    retention_ms: int | None = 7 * DAY_MS
    compact: bool = False

    def config(self) -> dict[str, str]:
        """Kafka's topic configuration."""
        return {
            "cleanup.policy": "compact" if self.compact else "delete",
            "retention.ms": "-1" if self.retention_ms is None else str(self.retention_ms),
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
        }


UPLOADS = Topic("media.uploads", 4, "any")
ASSETS = Topic("media.assets", 8, "asset_id")
INFERENCES = Topic("media.inferences", 8, "asset_id")
SEGMENTS = Topic("media.segments", 8, "asset_id/stream/segment")
SEGMENTS_URGENT = Topic("media.segments.urgent", 8, "asset_id/stream/segment")
REACTIONS = Topic("media.reactions", 4, "asset_id")
METADATA = Topic("media.metadata", 4, "asset_id", retention_ms=None, compact=True)
DEAD_LETTERS = Topic("media.dead-letters", 4, "the original's", retention_ms=30 * DAY_MS)

CHUNK_PREFIX = "media.chunks."
CHUNKS = {
    name: Topic(f"{CHUNK_PREFIX}{name}", 8, "asset_id/stream/segment/n", retention_ms=DAY_MS)
    for name in ("proxy", "thumbs", "stills", "audio", "speech")
}

AGGREGATOR_APP = "dailies-aggregator"
AGGREGATOR_TABLE = "state"
AGGREGATOR_CHANGELOG = Topic(f"{AGGREGATOR_APP}-{AGGREGATOR_TABLE}-changelog", 8, "asset_id/…", retention_ms=None, compact=True)

TOPICS: tuple[Topic, ...] = (
    UPLOADS,
    ASSETS,
    INFERENCES,
    SEGMENTS,
    SEGMENTS_URGENT,
    *CHUNKS.values(),
    REACTIONS,
    METADATA,
    DEAD_LETTERS,
    AGGREGATOR_CHANGELOG,
)
