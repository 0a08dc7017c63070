"""How far consumer groups are behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.connect import Bystander, Place, admin_client, offsets
from streams.secure import Bootstrap
from streams.topics import TOPICS, Topic

REQUEST_SECONDS = 10.0


def lags(bootstrap: Bootstrap, groups: Iterable[str], topics: Iterable[Topic] = TOPICS) -> dict[str, int | None]:
    """Records between each group's committed offsets and the ends of the logs; None where a group has committed nothing.

    All partitions of a topic count as soon as the group has committed on one. Where it has no offset, or the records there
    are deleted, it counts from the beginning of the log. A cluster that does not answer gives None for all.
    """
    client = admin_client(bootstrap)
    names = list(dict.fromkeys(groups))
    try:
        places = _partitions(client, {topic.name for topic in topics})
        committed = {group: _committed(bootstrap, group, places) for group in names}
        read = {topic for found in committed.values() for topic, _ in found}
        wanted = [place for place in places if place[0] in read]
        first = offsets(client, wanted, OffsetSpec.earliest(), REQUEST_SECONDS)
        last = offsets(client, wanted, OffsetSpec.latest(), REQUEST_SECONDS)
    except KafkaException:
        return dict.fromkeys(names)
    return {group: _behind(found, first, last) if found else None for group, found in committed.items()}


def _behind(committed: Mapping[Place, int], first: Mapping[Place, int], last: Mapping[Place, int]) -> int:
    topics = {topic for topic, _ in committed}
    return sum(
        max(0, end - max(committed.get(place, 0), first[place]))
        for place, end in last.items()
        if place[0] in topics and place in first
    )


def _committed(bootstrap: Bootstrap, group: str, places: Iterable[Place]) -> dict[Place, int]:
    with Bystander(bootstrap, group) as bystander:
        return bystander.committed(places, REQUEST_SECONDS)


def _partitions(client: AdminClient, topics: Iterable[str]) -> list[Place]:
    found = client.list_topics(timeout=REQUEST_SECONDS).topics
    return [(topic, partition) for topic in sorted(topics) if topic in found for partition in found[topic].partitions]
