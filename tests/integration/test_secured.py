"""TLS, SASL and ACLs on a real Kafka with its authorizer: each role can do what it must, and nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from processors.analyse import analyse
from processors.equal import differences
from schemas.events import ContentMetadata
from streams import topics
from streams.acls import Operation, acls
from streams.chunklog import ChunkLog
from streams.connect import QUIET, cluster_id
from streams.groups import DECODERS, PLANNERS, SUBSCRIBERS, inference_group
from streams.secure import connection
from tests.decoding import render
from tests.lab import wait_for
from tests.secured import OWNER, ROLES, STRANGER, Secured, outcome, refused, secured_broker
from tests.sound import tone_file
from tests.stack import NO_NETWORKS, QUICK, Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

TASKS = (*QUICK, "flashing-bt1702")
GROUPS = (PLANNERS, topics.AGGREGATOR_APP, DECODERS, inference_group("signals"), inference_group("networks"))
DENIED_TOPIC, DENIED_GROUP = "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The broker with every topic, made by who may make them."""
    with secured_broker(tmp_path_factory.mktemp("secured")) as found:
        applied = found.dailies("topics", "topics", "apply")
        assert applied.returncode == 0, applied.stderr
        yield found


@pytest.fixture
def roles(secured: Secured) -> Iterator[Secured]:
    """One process of each role, each as its own user: two by password and two by certificate."""
    lines = {
        "planner": ("planner",),
        "aggregator": ("aggregator",),
        "decoder": ("decoder",),
        "inference-signals": ("inference", "--group", "signals"),
    }
    states = {role: secured.folder / f"{role}.state" for role in lines}
    for role, line in lines.items():
        more = {"DAILIES_STATE_FILE": str(states[role]), "DAILIES_DECODERS": "1", "DAILIES_REPAIR_LOOK_SECONDS": "0.5"}
        secured.start(role, "run", *line, mutual=role in ("aggregator", "inference-signals"), **more)
    wait_for(lambda: all(_ready(path) for path in states.values()), "all roles")
    yield secured
    for process in secured.made:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(60) for process in secured.made] == [0] * len(lines)


def _ready(state: Path) -> bool:
    return state.exists() and json.loads(state.read_bytes())["state"] == "ready"


def test_a_clip_and_a_sound_go_the_whole_way(roles: Secured, tmp_path: Path) -> None:
    clip, sound = render(tmp_path / "a.mp4", frames=50), tone_file(tmp_path / "a.wav", 4)
    options = [part for task in TASKS for part in ("--task", task)]
    done = roles.dailies("operator", "ingest", str(clip), str(sound), "--wait", "--json", *options)
    assert done.returncode == 0, done.stderr + _logs(roles)
    for line in done.stdout.splitlines():
        event = ContentMetadata.model_validate_json(line)
        assert event.run.status == "complete"
        path = event.asset.uri.removeprefix("file://")
        assert differences(event, analyse(path, code="test", device="cpu", tasks_wanted=TASKS)) == []
    commands = {("show", str(clip), "--json"): "operator", ("dead-letters", "list", "--json"): "operator"}
    for command, user in {**commands, ("topics", "describe", "--json"): "topics"}.items():
        shown = roles.dailies(user, *command)
        assert shown.returncode == 0, (command, shown.stderr)
    denied = [line for line in _logs(roles).splitlines() if "uthorizationFailed" in line or "AUTHORIZATION_FAILED" in line]
    assert denied == []
    assert "secret-of-" not in _logs(roles)


def _logs(roles: Secured) -> str:
    return "".join(path.read_text() for path in roles.folder.glob("*.log"))


def test_a_supervisor_runs_every_role_on_a_secured_cluster(secured: Secured, tmp_path: Path) -> None:
    with Stack(tmp_path / "stack", secured.environment(OWNER), NO_NETWORKS) as stack:
        shown = stack.dailies("status", "--json")
        found = {entry["role"]: (entry["state"], entry["lag"]) for entry in json.loads(shown.stdout)}
        assert set(found) == {"kafka", "planner", "decoder", "inference", "aggregator"}
        assert {state for state, _ in found.values()} == {"ready"}, shown.stdout.decode()
        assert found["planner"][1] in (0, None)  # None before the group has ever committed


def test_the_aggregator_sees_where_readers_are(secured: Secured) -> None:
    with closing(ChunkLog(secured.cluster("aggregator", mutual=True))) as log:
        places = [(topic.name, 0) for topic in (topics.CHUNKS["proxy"], topics.SEGMENTS)]
        assert set(log.starts(places)) == set(places)
        for group in (DECODERS, inference_group("signals")):
            assert log.committed(group, places[:1]).keys() <= set(places)


@pytest.mark.parametrize("role", [*ROLES, STRANGER])
def test_a_role_does_to_topics_what_the_table_says(secured: Secured, role: str) -> None:
    """Every operation on every topic, with every process ended: allowed exactly where the table has it."""
    names = [topic.name for topic in topics.TOPICS]
    wanted = {(o, name): _may(role, "topic", name, o) for o in _TOPIC_OPERATIONS for name in names}
    there = connection(secured.cluster(role))
    client = AdminClient(there, logger=QUIET)
    found: dict[tuple[Operation, str], bool] = {}
    for place, future in client.delete_records([TopicPartition(name, 0, 0) for name in names]).items():
        found[Operation.DELETE, place.topic] = _allowed(outcome(future))
    for resource, future in client.incremental_alter_configs(list(map(_retention, topics.TOPICS))).items():
        found[Operation.ALTER_CONFIGS, resource.name] = _allowed(outcome(future))
    for resource, future in client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names]).items():
        found[Operation.DESCRIBE_CONFIGS, resource.name] = _allowed(outcome(future))
    found |= {(Operation.READ, name): _allowed(refusal) for name, refusal in _reads(there, names).items()}
    found |= {(Operation.WRITE, name): _allowed(refusal) for name, refusal in _writes(there, names).items()}
    assert found == wanted
    intruder = NewTopic("media.intruder", 1, 1)
    assert outcome(client.create_topics([intruder])["media.intruder"]) == DENIED_TOPIC


_TOPIC_OPERATIONS = (Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER_CONFIGS, Operation.DESCRIBE_CONFIGS)


def _may(role: str, resource: str, name: str, operation: Operation) -> bool:
    """Whether the table allows it, with what Kafka takes as given by something else."""
    given = {Operation.DESCRIBE: set(Operation) - {Operation.CREATE}, Operation.DESCRIBE_CONFIGS: {Operation.ALTER_CONFIGS}}
    enough = {operation} | given.get(operation, set())
    mine = [a for a in acls().get(role, ()) if a.resource == resource]
    return any((name.startswith(a.name) if a.prefix else name == a.name) and enough & set(a.operations) for a in mine)


def _allowed(refusal: str | None) -> bool:
    assert refusal in (None, DENIED_TOPIC, "_NOENT")  # the last: of what is not shown there is no leader to ask
    return refusal is None


def _retention(topic: topics.Topic) -> ConfigResource:
    entry = ConfigEntry("retention.ms", topic.config()["retention.ms"], incremental_operation=AlterConfigOpType.SET)
    return ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])


def _writes(there: dict[str, Any], names: list[str]) -> dict[str, str | None]:
    """What a record to each topic is refused with."""
    said: dict[str, str | None] = {}
    producer = Producer(there, logger=QUIET)
    for name in names:
        told = partial(lambda name, error, _: said.__setitem__(name, None if error is None else error.name()), name)
        producer.produce(name, b"{}", b"key", on_delivery=told)
    assert producer.flush(30) == 0
    return said


def _reads(there: dict[str, Any], names: list[str]) -> dict[str, str | None]:
    """What a fetch of each topic from its start is refused with; None at the first record, or at the end of the log.

    Of a topic that is not even shown the client knows no leader, and so nobody to fetch from.
    """
    shown = AdminClient(there, logger=QUIET).list_topics(timeout=30).topics
    said: dict[str, str | None] = {name: DENIED_TOPIC for name in names if name not in shown}
    # A group that is not this role's either: who commits nothing needs none.
    config = {"group.id": str(uuid.uuid4()), "enable.partition.eof": True, "enable.auto.commit": False}
    consumer = Consumer(there | config, logger=QUIET)
    consumer.assign([TopicPartition(name, 0, 0) for name in names if name in shown])
    while said.keys() != set(names):
        message = consumer.poll(30)
        assert message is not None
        error = message.error()
        if message.topic() is not None:
            said[message.topic()] = None if error is None or error.name() == "_PARTITION_EOF" else error.name()
    consumer.close()
    return said


@pytest.mark.parametrize("role", [*ROLES, STRANGER])
def test_a_role_does_to_groups_what_the_table_says(secured: Secured, role: str) -> None:
    groups = [*GROUPS, f"{SUBSCRIBERS}x", "somebody-elses"]
    client = AdminClient(connection(secured.cluster(role)), logger=QUIET)
    answers = client.describe_consumer_groups(groups)
    refusals = {group: outcome(future) for group, future in answers.items()}
    assert set(refusals.values()) <= {None, DENIED_GROUP, "GROUP_ID_NOT_FOUND"}
    assert {group: refusal != DENIED_GROUP for group, refusal in refusals.items()} == {
        group: _may(role, "group", group, Operation.DESCRIBE) for group in groups
    }
    readable = [a.name for a in acls().get(role, ()) if a.resource == "topic" and Operation.READ in a.operations]
    place = TopicPartition(readable[0] if readable else topics.METADATA.name, 0, 0)
    for group in groups:
        asked = ConsumerGroupTopicPartitions(group, [place])
        refusal = _commit_refused(client.alter_consumer_group_offsets([asked])[group])
        assert (refusal != DENIED_GROUP) == _may(role, "group", group, Operation.READ), (group, refusal)


def _commit_refused(future: Future[ConsumerGroupTopicPartitions]) -> str | None:
    """Who may not even see a group is refused as a whole, who may only look at it partition by partition."""
    if (refusal := outcome(future)) is not None:
        return refusal
    (answer,) = future.result().topic_partitions
    return None if answer.error is None else str(answer.error.name())


@pytest.mark.parametrize("role", ROLES)
def test_nobody_has_transactions_or_the_cluster(secured: Secured, role: str) -> None:
    own = {"transactional.id": f"dailies-{role}", "message.max.bytes": topics.MAX_MESSAGE_BYTES}
    with pytest.raises(KafkaException) as caught:
        Producer(connection(secured.cluster(role)) | own, logger=QUIET).init_transactions(30)
    assert refused(caught.value) == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
    client = AdminClient(connection(secured.cluster(role)), logger=QUIET)
    entry = ConfigEntry("log.retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
    broker = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
    for future in client.incremental_alter_configs([broker]).values():
        assert outcome(future) == "CLUSTER_AUTHORIZATION_FAILED"


def test_who_cannot_prove_who_he_is_gets_no_answer(secured: Secured, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("another")
    assert cluster_id(secured.cluster("planner"), 10) is not None
    assert cluster_id(secured.cluster("planner", mutual=True), 10) is not None
    strangers = Secured(secured.broker, type(secured.authority)(tmp_path / "ca"), tmp_path, secured.ports)
    for cluster in (
        secured.cluster("planner", kafka_sasl_password_file=wrong),
        secured.cluster("planner", mutual=True, kafka_cert_file=None, kafka_key_file=None),
        secured.cluster("planner", mutual=True, kafka_ca_file=strangers.authority.certificate),
        strangers.cluster("planner", mutual=True, kafka_ca_file=secured.authority.certificate),
        secured.cluster("planner").servers,
    ):
        assert cluster_id(cluster, 3) is None
    command, environment = secured.command("topics", "topics", "describe", DAILIES_KAFKA_SASL_PASSWORD_FILE=str(wrong))
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 1 and "by SASL_SSL as topics" in told.stderr and "Traceback" not in told.stderr
