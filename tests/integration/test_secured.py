"""TLS, SASL and ACLs on a real Kafka with its authorizer: each role can do what it must, and nothing else."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Iterator
from contextlib import closing
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
from streams.groups import COMMANDS, DECODERS, PLANNERS, SUBSCRIBERS, inference_group
from streams.secure import connection
from tests.decoding import render
from tests.lab import wait_for
from tests.secured import ROLES, STRANGER, Secured, outcome, refused, secured_broker
from tests.sound import tone_file
from tests.stack import QUICK

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


def test_the_aggregator_sees_where_readers_are(secured: Secured) -> None:
    with closing(ChunkLog(secured.cluster("aggregator", mutual=True))) as log:
        places = [(topic.name, 0) for topic in (topics.CHUNKS["proxy"], topics.SEGMENTS)]
        assert set(log.starts(places)) == set(places)
        for group in (DECODERS, inference_group("signals")):
            assert log.committed(group, places[:1]).keys() <= set(places)


@pytest.mark.parametrize("role", [*ROLES, STRANGER])
def test_a_role_does_to_topics_what_the_table_says(secured: Secured, role: str) -> None:
    """Every operation on every topic, with every process ended: allowed exactly where the table has it."""
    wanted = {(o, t.name): _may(role, "topic", t.name, o) for t in topics.TOPICS for o in _TOPIC_OPERATIONS}
    client = AdminClient(connection(secured.cluster(role)), logger=QUIET)
    producer = Producer(connection(secured.cluster(role)), logger=QUIET)
    found: dict[tuple[Operation, str], bool] = {}
    for topic in topics.TOPICS:
        name = topic.name
        found[Operation.DELETE, name] = _allowed(client.delete_records([TopicPartition(name, 0, 0)]))
        found[Operation.ALTER_CONFIGS, name] = _allowed(client.incremental_alter_configs([_retention(topic)]))
        found[Operation.DESCRIBE_CONFIGS, name] = _allowed(client.describe_configs([ConfigResource(ResourceType.TOPIC, name)]))
        found[Operation.READ, name] = _reads(secured, role, name)
        found[Operation.WRITE, name] = _writes(producer, name)
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


def _allowed(futures: dict[Any, Any]) -> bool:
    (refusal,) = [outcome(future) for future in futures.values()]
    assert refusal in (None, DENIED_TOPIC)
    return refusal is None


def _retention(topic: topics.Topic) -> ConfigResource:
    entry = ConfigEntry("retention.ms", topic.config()["retention.ms"], incremental_operation=AlterConfigOpType.SET)
    return ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])


def _writes(producer: Producer, topic: str) -> bool:
    said: list[str | None] = []
    producer.produce(topic, b"{}", on_delivery=lambda error, _: said.append(None if error is None else error.name()))
    assert producer.flush(30) == 0
    assert said in ([None], [DENIED_TOPIC])
    return said == [None]


def _reads(secured: Secured, role: str, topic: str) -> bool:
    """A fetch from a log's start: a record, or the end of it, or a refusal."""
    config = {"group.id": f"{COMMANDS}{uuid.uuid4()}", "enable.partition.eof": True, "enable.auto.commit": False}
    with closing(Consumer(connection(secured.cluster(role)) | config, logger=QUIET)) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while True:
            message = consumer.poll(30)
            assert message is not None
            error = message.error()
            if error is None or error.name() == "_PARTITION_EOF":
                return True
            if error.name() == DENIED_TOPIC:
                return False
            assert (
                error.name() == DENIED_GROUP
            )  # the group of commands is not every role's; a reader without commits needs none


@pytest.mark.parametrize("role", [*ROLES, STRANGER])
def test_a_role_does_to_groups_what_the_table_says(secured: Secured, role: str) -> None:
    groups = [*GROUPS, f"{SUBSCRIBERS}x", "somebody-elses"]
    client = AdminClient(connection(secured.cluster(role)), logger=QUIET)
    answers = client.describe_consumer_groups(groups)
    missing = "GROUP_ID_NOT_FOUND"
    seen = {group: outcome(future) in (None, missing) for group, future in answers.items()}
    assert seen == {group: _may(role, "group", group, Operation.DESCRIBE) for group in groups}
    readable = [a.name for a in acls().get(role, ()) if a.resource == "topic" and Operation.READ in a.operations]
    place = TopicPartition(readable[0] if readable else topics.METADATA.name, 0, 0)
    for group in groups:
        asked = ConsumerGroupTopicPartitions(group, [place])
        refusal = outcome(client.alter_consumer_group_offsets([asked])[group])
        assert (refusal != DENIED_GROUP) == _may(role, "group", group, Operation.READ), (group, refusal)


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
    with pytest.raises(KafkaException) as caught:
        client.describe_user_scram_credentials().result()
    assert refused(caught.value) == "CLUSTER_AUTHORIZATION_FAILED"


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
