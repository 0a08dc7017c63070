"""Who may do what in Kafka: the access-control table of every role, by least privilege. The one place where it is declared.

Kafka's authorizer takes ``Describe`` as given by ``Read``, ``Write``, ``Delete`` or ``Alter`` on the same resource, and
``DescribeConfigs`` by ``AlterConfigs``, so they are not said twice. An idempotent producer needs no more than ``Write`` on a
topic (KIP-679), and nobody here has a transaction. No role makes topics: ``dailies topics apply`` or an operator does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from processors.tasks import registry
from streams import topics
from streams.groups import CANCELLATIONS, COMMANDS, DECODERS, PLANNERS, SUBSCRIBERS, inference_group
from streams.topics import Topic


class Operation(StrEnum):
    """Kafka's operations, of those that somebody here needs, in the spelling of Kafka's tools and of Strimzi."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DELETE = "Delete"
    ALTER = "Alter"
    ALTER_CONFIGS = "AlterConfigs"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """What one role may do with one resource. With ``prefix`` the name stands for all names that begin with it."""

    resource: Literal["topic", "group"]
    name: str
    operations: tuple[Operation, ...]
    prefix: bool = False


def _on(resource: Literal["topic", "group"], names: Iterable[str], *operations: Operation) -> list[Acl]:
    return [Acl(resource, name, operations) for name in names]


def _topics(some: Iterable[Topic], *operations: Operation) -> list[Acl]:
    return _on("topic", [topic.name for topic in some], *operations)


def _prefix(group: str, *operations: Operation) -> Acl:
    return Acl("group", group, operations, prefix=True)


def task_groups() -> dict[str, tuple[Topic, ...]]:
    """The task groups of the inference role, by name, each with the chunk topics that its tasks read."""
    found: dict[str, set[str]] = {}
    for task in registry().values():
        if task.spec.where == "agent":
            found.setdefault(task.spec.group, set()).add(task.spec.rendition)
    return {group: tuple(topics.CHUNKS[name] for name in sorted(names)) for group, names in sorted(found.items())}


def acls() -> Mapping[str, tuple[Acl, ...]]:
    """The table: every principal by its role's name, with what it may do.

    Roles that are processes are called as their workloads are: ``planner``, ``aggregator``, ``decoder``, ``inference-GROUP``.
    The others are ``uploader`` (whoever sends bucket notifications), ``subscriber`` (one who reads what is published),
    ``operator`` (the command line), ``topics`` (``dailies topics apply``) and ``autoscaler`` (reads lag).
    """
    read, write, describe = Operation.READ, Operation.WRITE, Operation.DESCRIBE
    chunks = tuple(topics.CHUNKS.values())
    jobs = (topics.SEGMENTS, topics.SEGMENTS_URGENT)
    groups = task_groups()
    inference = [inference_group(group) for group in groups]
    table = {
        "planner": [
            *_on("group", [PLANNERS], read),
            *_topics([topics.UPLOADS], read),
            *_topics([topics.ASSETS, topics.DEAD_LETTERS], write),
        ],
        "aggregator": [
            *_on("group", [topics.AGGREGATOR_APP], read),
            *_topics([topics.ASSETS], read),
            # Its checks and ticks travel with the results, and its table recovers from what it has written.
            *_topics([topics.INFERENCES, topics.AGGREGATOR_CHANGELOG], read, write),
            # An asset that has to be planned anew goes in at the front.
            *_topics([*jobs, topics.UPLOADS, topics.REACTIONS, topics.METADATA, topics.DEAD_LETTERS], write),
            # What is lost is known by its readers' offsets.
            *_on("group", [DECODERS, *inference], describe),
            *_topics(chunks, describe),
        ],
        "decoder": [
            *_on("group", [DECODERS], read),
            _prefix(CANCELLATIONS, describe),
            *_topics([*jobs, topics.ASSETS], read),
            *_topics([topics.INFERENCES, topics.DEAD_LETTERS], write),
            # It makes reader groups known where they are not yet, which is a commit in their name (group and topic: Read), and
            # deletes what all of them have passed.
            *_on("group", inference, read),
            *_topics(chunks, read, write, Operation.DELETE),
        ],
        "uploader": _topics([topics.UPLOADS], write),
        "subscriber": [_prefix(SUBSCRIBERS, read), *_topics([topics.REACTIONS, topics.METADATA], read)],
        "operator": [
            _prefix(COMMANDS, describe),
            *_on("group", [PLANNERS, topics.AGGREGATOR_APP, DECODERS, *inference], describe),
            # Uploads are published and replayed, cancellations are plans, a letter that was replayed is marked.
            *_topics([topics.UPLOADS, topics.ASSETS, topics.DEAD_LETTERS], read, write),
            # A letter may refer to a record of any of these.
            *_topics([*jobs, topics.INFERENCES, *chunks, topics.REACTIONS, topics.METADATA], read),
        ],
        "topics": _topics(topics.TOPICS, Operation.CREATE, Operation.ALTER, Operation.ALTER_CONFIGS),
        "autoscaler": [
            *_on("group", [PLANNERS, DECODERS, *inference], describe),
            *_topics([topics.UPLOADS, *jobs, *sorted({t for some in groups.values() for t in some}, key=_name)], describe),
        ],
    }
    for group, read_by in groups.items():
        table[f"inference-{group}"] = [
            *_on("group", [inference_group(group)], read),
            *_topics(read_by, read),
            *_topics([topics.INFERENCES, topics.DEAD_LETTERS], write),
        ]
    return {role: tuple(rules) for role, rules in sorted(table.items())}


def flat() -> Iterator[tuple[str, Operation, Acl]]:
    """The table line by line: role, operation, and the rule that allows it."""
    for role, rules in acls().items():
        for rule in rules:
            for operation in rule.operations:
                yield role, operation, rule


def commands() -> Iterator[str]:
    """The table as arguments of Kafka's own ``kafka-acls.sh``, a line for each rule; principals are ``User:dailies-ROLE``."""
    for role, rules in acls().items():
        for rule in rules:
            what = f"--{rule.resource} {rule.name}" + (" --resource-pattern-type prefixed" if rule.prefix else "")
            does = " ".join(f"--operation {operation}" for operation in rule.operations)
            yield f"--add --allow-principal User:dailies-{role} {does} {what}"


def _name(topic: Topic) -> str:
    return topic.name


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in commands())
