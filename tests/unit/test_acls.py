"""The access-control table: complete for what runs, and no wider than the roles' work."""

from __future__ import annotations

import pytest

from streams import topics
from streams.acls import Operation, acls, commands, flat, task_groups
from streams.decoder.needs import readers
from streams.groups import inference_group
from streams.local.roles import INFERENCE_GROUPS, slots

PROCESSES = {"-".join(filter(None, (slot.role, slot.group))): slot.consumer_group for slot in slots()}


def who_may(operation: Operation, topic: str) -> set[str]:
    return {role for role, does, rule in flat() if does is operation and (rule.resource, rule.name) == ("topic", topic)}


def test_every_process_of_a_stack_has_rules_and_may_join_its_group() -> None:
    for name, group in PROCESSES.items():
        mine = [rule for rule in acls()[name] if (rule.resource, rule.name) == ("group", group)]
        assert [rule.operations for rule in mine] == [(Operation.READ,)], name


def test_task_groups_are_those_that_a_stack_runs_and_that_the_decoder_deletes_for() -> None:
    assert set(task_groups()) == set(INFERENCE_GROUPS)
    by_topic: dict[str, set[str]] = {}
    for group, some in task_groups().items():
        for topic in some:
            by_topic.setdefault(topic.name, set()).add(inference_group(group))
    assert by_topic == {reader.topic.name: set(reader.groups) for reader in readers().values() if reader.groups}


def test_rules_name_declared_topics_and_our_groups_one_by_one() -> None:
    declared = {topic.name for topic in topics.TOPICS}
    for role, _, rule in flat():
        if rule.resource == "topic":
            assert rule.name in declared, role
            assert not rule.prefix, role
        else:
            assert rule.name.startswith("dailies-"), role
            assert rule.prefix == rule.name.endswith("-"), role


@pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: topic.name)
def test_only_who_makes_topics_may_change_them(topic: topics.Topic) -> None:
    for operation in (Operation.CREATE, Operation.ALTER, Operation.ALTER_CONFIGS):
        assert who_may(operation, topic.name) == {"topics"}
    assert who_may(Operation.DELETE, topic.name) == ({"decoder"} if topic in topics.CHUNKS.values() else set())


def test_what_subscribers_read_is_written_by_the_aggregator_alone() -> None:
    for topic in (topics.METADATA, topics.REACTIONS, topics.AGGREGATOR_CHANGELOG):
        assert who_may(Operation.WRITE, topic.name) == {"aggregator"}
    for topic in topics.CHUNKS.values():
        assert who_may(Operation.WRITE, topic.name) == {"decoder"}


def test_every_process_may_write_dead_letters_and_nobody_outside_may() -> None:
    assert who_may(Operation.WRITE, topics.DEAD_LETTERS.name) == {*PROCESSES, "operator"}


def test_outsiders_change_nothing_but_what_they_send() -> None:
    changing = set(Operation) - {Operation.READ, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS}
    changes = {(role, does.value, rule.name) for role, does, rule in flat() if does in changing}
    assert {c for c in changes if c[0] in ("uploader", "subscriber", "autoscaler")} == {("uploader", "Write", "media.uploads")}


def test_the_table_can_be_given_to_kafka_s_own_tool() -> None:
    lines = list(commands())
    assert len(lines) == sum(len(rules) for rules in acls().values())
    assert "--add --allow-principal User:dailies-uploader --operation Write --topic media.uploads" in lines
    reads = "--add --allow-principal User:dailies-subscriber --operation Read"
    assert f"{reads} --group dailies-subscriber- --resource-pattern-type prefixed" in lines
