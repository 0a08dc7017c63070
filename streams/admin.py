"""Makes a cluster's topics what ``streams.topics`` declares, and describes what is there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from schemas.errors import BrokerError, SetupError
from streams.connect import admin_client, answer
from streams.secure import Bootstrap, cluster
from streams.topics import TOPICS, Topic

METADATA_SECONDS = 10.0
REQUEST_SECONDS = 30.0
VISIBLE_SECONDS = 30.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Description:
    """A topic as it exists: its partitions, and of its settings those that we declare."""

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(slots=True)
class Applied:
    """What ``apply`` did, by topic: ``corrected`` has the settings that differed, ``grown`` the partitions before and after."""

    created: list[str] = field(default_factory=list)
    corrected: dict[str, dict[str, str]] = field(default_factory=dict)
    grown: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything had to be done."""
        return bool(self.created or self.corrected or self.grown)


def describe(bootstrap: Bootstrap, topics: Iterable[Topic] = TOPICS) -> dict[str, Description]:
    """The declared topics that exist, by name.

    Raises:
        BrokerError: the cluster does not answer.
    """
    client = admin_client(bootstrap)
    declared = {topic.name: topic for topic in topics}
    present = {name: count for name, count in _partitions(client, bootstrap).items() if name in declared}
    configs = _configs(client, present)
    return {
        name: Description(name, count, {key: configs[name].get(key, "") for key in declared[name].config()})
        for name, count in sorted(present.items())
    }


def apply(bootstrap: Bootstrap, topics: Sequence[Topic] = TOPICS, *, add_partitions: bool = False) -> Applied:
    """Creates what is missing and corrects settings that differ; doing it again changes nothing. Returns when all are usable.

    Partitions are added only with ``add_partitions``: keys move to other partitions then, so that order within a key and the
    aggregator's table are only safe when nothing is in flight.

    Raises:
        SetupError: a topic has another number of partitions than declared, and was not to grow or would have to shrink.
        BrokerError: the cluster does not answer or refuses.
    """
    client = admin_client(bootstrap)
    done = Applied()
    existing = _partitions(client, bootstrap)
    done.created = _create(client, [topic for topic in topics if topic.name not in existing])
    _await_leaders(client, bootstrap, topics)
    present = describe(bootstrap, topics)
    _grow(client, _to_grow(topics, present, allowed=add_partitions), present, done)
    for topic in topics:
        have = present[topic.name].config
        if wrong := {key: value for key, value in topic.config().items() if have[key] != value}:
            done.corrected[topic.name] = wrong
    _correct(client, done.corrected)
    return done


def _topics(client: AdminClient, bootstrap: Bootstrap) -> dict[str, TopicMetadata]:
    try:
        return dict(client.list_topics(timeout=METADATA_SECONDS).topics)
    except KafkaException as error:
        raise BrokerError(f"no Kafka answers at {cluster(bootstrap).approach}: {error.args[0].str()}") from error


def _partitions(client: AdminClient, bootstrap: Bootstrap) -> dict[str, int]:
    return {name: len(topic.partitions) for name, topic in _topics(client, bootstrap).items() if topic.error is None}


def _configs(client: AdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    futures = client.describe_configs(resources, request_timeout=REQUEST_SECONDS)
    found = {
        resource.name: _result(future, f"cannot read the settings of {resource.name}") for resource, future in futures.items()
    }
    return {name: {key: entry.value for key, entry in entries.items()} for name, entries in found.items()}


def _create(client: AdminClient, missing: Sequence[Topic]) -> list[str]:
    if not missing:
        return []
    # A replication factor of -1 is the cluster's own default: 1 for the local broker, more where operators want more.
    left = {t.name: NewTopic(t.name, t.partitions, replication_factor=-1, config=t.config()) for t in missing}
    created = []
    deadline = time.monotonic() + VISIBLE_SECONDS
    while left:
        for name, future in client.create_topics([*left.values()], request_timeout=REQUEST_SECONDS).items():
            try:
                answer(future, REQUEST_SECONDS)
            except KafkaException as error:
                # While every broker is fenced there is none to put it on; one that stood still is back within seconds.
                if _fenced(error.args[0]) and time.monotonic() < deadline:
                    continue
                # Another process applied the same topics at the same time; what it made is compared next.
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise BrokerError(f"cannot create topic {name}: {error.args[0].str()}") from error
            else:
                created.append(name)
            del left[name]
        if left:
            time.sleep(POLL_SECONDS)
    return created


def _fenced(error: KafkaError) -> bool:
    return error.code() == KafkaError.INVALID_REPLICATION_FACTOR and "fenced" in error.str()


def _await_leaders(client: AdminClient, bootstrap: Bootstrap, topics: Sequence[Topic]) -> None:
    """A topic is created before its partitions have a leader: a producer that is too early fails."""
    deadline = time.monotonic() + VISIBLE_SECONDS
    wanted = {topic.name for topic in topics}
    while True:
        found = _topics(client, bootstrap)
        usable = {
            name for name, topic in found.items() if topic.partitions and all(p.leader >= 0 for p in topic.partitions.values())
        }
        if wanted <= usable:
            return
        if time.monotonic() > deadline:
            raise BrokerError(f"topics without a leader after {VISIBLE_SECONDS:.0f} s: {', '.join(sorted(wanted - usable))}")
        time.sleep(POLL_SECONDS)


def _to_grow(topics: Sequence[Topic], present: Mapping[str, Description], *, allowed: bool) -> list[Topic]:
    """Topics that need more partitions; raises where that is not allowed, or where they have too many."""
    grow = [topic for topic in topics if present[topic.name].partitions < topic.partitions]
    wrong = [topic for topic in topics if present[topic.name].partitions > topic.partitions or (topic in grow and not allowed)]
    if wrong:
        facts = "; ".join(f"{topic.name} has {present[topic.name].partitions}, {topic.partitions} declared" for topic in wrong)
        raise SetupError(
            f"topics with another number of partitions: {facts}. Partitions can only be added, which moves keys: do it while "
            "nothing is in flight, with `dailies topics apply --add-partitions`; to have fewer, delete the topic."
        )
    return grow


def _grow(client: AdminClient, grow: Sequence[Topic], present: Mapping[str, Description], done: Applied) -> None:
    if not grow:
        return
    futures = client.create_partitions([NewPartitions(t.name, t.partitions) for t in grow], request_timeout=REQUEST_SECONDS)
    for topic in grow:
        _result(futures[topic.name], f"cannot add partitions to {topic.name}")
        done.grown[topic.name] = (present[topic.name].partitions, topic.partitions)


def _correct(client: AdminClient, wrong: Mapping[str, Mapping[str, str]]) -> None:
    if not wrong:
        return
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            name,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()
            ],
        )
        for name, config in wrong.items()
    ]
    for resource, future in client.incremental_alter_configs(resources, request_timeout=REQUEST_SECONDS).items():
        _result(future, f"cannot correct the settings of {resource.name}")


def _result(future: Future[Any], problem: str) -> Any:
    try:
        return answer(future, REQUEST_SECONDS)
    except KafkaException as error:
        raise BrokerError(f"{problem}: {error.args[0].str()}") from error
