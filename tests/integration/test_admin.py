"""Topics on a real broker: created once, corrected when changed, never grown silently."""

from __future__ import annotations

from dataclasses import replace

import pytest
from confluent_kafka import Producer

from schemas.errors import BrokerError, SetupError
from streams import admin
from streams.local.broker import Broker
from streams.local.ports import free_ports
from streams.topics import MAX_MESSAGE_BYTES, TOPICS, Topic

pytestmark = pytest.mark.kafka


@pytest.fixture
def topic(kafka: Broker, request: pytest.FixtureRequest) -> Topic:
    return Topic(f"test.admin.{request.node.name}", 2, "any")


def test_every_declared_topic_exists_as_declared(kafka: Broker) -> None:
    found = admin.describe(kafka.bootstrap)
    assert {name: (d.partitions, d.config) for name, d in found.items()} == {t.name: (t.partitions, t.config()) for t in TOPICS}


def test_applying_again_changes_nothing(kafka: Broker) -> None:
    assert not admin.apply(kafka.bootstrap, TOPICS).changed


def test_a_new_topic_is_created_and_usable_at_once(kafka: Broker, topic: Topic) -> None:
    assert admin.apply(kafka.bootstrap, [topic]).created == [topic.name]
    errors = []
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.max.bytes": MAX_MESSAGE_BYTES, "retries": 0})
    producer.produce(topic.name, b"x" * (MAX_MESSAGE_BYTES - 4096), on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(10) == 0
    assert errors == [None]


def test_changed_settings_are_corrected(kafka: Broker, topic: Topic) -> None:
    admin.apply(kafka.bootstrap, [topic])
    changed = replace(topic, retention_ms=1234, compact=True)
    done = admin.apply(kafka.bootstrap, [changed])
    assert done.corrected == {topic.name: {"retention.ms": "1234", "cleanup.policy": "compact"}}
    assert admin.describe(kafka.bootstrap, [changed])[topic.name].config == changed.config()


def test_partitions_grow_only_when_asked(kafka: Broker, topic: Topic) -> None:
    admin.apply(kafka.bootstrap, [topic])
    wider = replace(topic, partitions=3)
    with pytest.raises(SetupError, match="has 2, 3 declared"):
        admin.apply(kafka.bootstrap, [wider])
    assert admin.describe(kafka.bootstrap, [topic])[topic.name].partitions == 2
    assert admin.apply(kafka.bootstrap, [wider], add_partitions=True).grown == {topic.name: (2, 3)}
    with pytest.raises(SetupError, match="has 3, 2 declared"):
        admin.apply(kafka.bootstrap, [topic], add_partitions=True)


def test_no_cluster_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "METADATA_SECONDS", 0.5)
    (port,) = free_ports(1)
    with pytest.raises(BrokerError, match=f"no Kafka answers at 127.0.0.1:{port}"):
        admin.describe(f"127.0.0.1:{port}")
