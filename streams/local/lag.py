"""How far consumer groups are behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.connect import admin_client

REQUEST_SECONDS = 10.0

Place = tuple[str, int]
"""Topic and partition."""


def lags(bootstrap: str, groups: Iterable[str]) -> dict[str, int | None]:
    """Records between each group's committed offsets and the ends of the logs; None where a group has committed nothing.

    All partitions of a topic count as soon as the group has committed on one. Where it has no offset, or the records there
    are deleted, it counts from the beginning of the log. A cluster that does not answer gives None for all.
    """
    client = admin_client(bootstrap)
    names = list(dict.fromkeys(groups))
    try:
        committed = {group: _committed(client, group) for group in names}
        places = _partitions(client, {topic for offsets in committed.values() for topic, _ in offsets})
        first, last = _offsets(client, places, OffsetSpec.earliest()), _offsets(client, places, OffsetSpec.latest())
    except KafkaException:
        return dict.fromkeys(names)
    return {group: _behind(offsets, first, last) if offsets else None for group, offsets in committed.items()}


def _behind(committed: Mapping[Place, int], first: Mapping[Place, int], last: Mapping[Place, int]) -> int:
    topics = {topic for topic, _ in committed}
    return sum(
        max(0, end - max(committed.get(place, 0), first[place]))
        for place, end in last.items()
        if place[0] in topics and place in first
    )


def _committed(client: AdminClient, group: str) -> dict[Place, int]:
    request = [ConsumerGroupTopicPartitions(group)]
    result = client.list_consumer_group_offsets(request, request_timeout=REQUEST_SECONDS)[group].result()
    return {(p.topic, p.partition): p.offset for p in result.topic_partitions if p.offset >= 0}


def _partitions(client: AdminClient, topics: set[str]) -> list[Place]:
    if not topics:
        return []
    found = client.list_topics(timeout=REQUEST_SECONDS).topics
    return [(topic, partition) for topic in sorted(topics) if topic in found for partition in found[topic].partitions]


def _offsets(client: AdminClient, places: Iterable[Place], which: OffsetSpec) -> dict[Place, int]:
    request = {TopicPartition(*place): which for place in places}
    if not request:
        return {}
    futures = client.list_offsets(request, request_timeout=REQUEST_SECONDS)
    return {(p.topic, p.partition): future.result().offset for p, future in futures.items()}
