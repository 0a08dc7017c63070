"""The local Kafka: starts, stops, keeps its data, frees its disk, and says what is wrong where it cannot."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.errors import BrokerError, PortTaken, SetupError
from streams import admin
from streams.connect import admin_client
from streams.local import broker as broker_module
from streams.local import jars, pids
from streams.local.broker import Broker
from streams.local.ports import free_ports, is_free
from streams.local.properties import SEGMENT_BYTES
from streams.topics import MIB, Topic
from tests.kafka import BrokerFactory
from tests.tools import size
from tests.waiting import until

pytestmark = pytest.mark.kafka

TOPIC = Topic("test.broker", 1, "any")


def produce(broker: Broker, *values: bytes) -> None:
    errors = []
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.max.bytes": 8 * MIB})
    for value in values:
        producer.produce(TOPIC.name, value, on_delivery=lambda error, _: errors.append(error))
        producer.poll(0)
    assert producer.flush(30) == 0
    assert errors == [None] * len(values)


def consume(broker: Broker, count: int, group: str, **config: object) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        | config
    )
    consumer.subscribe([TOPIC.name])
    try:
        found: list[bytes] = []
        until(lambda: found.extend(m.value() for m in consumer.consume(count, 0.2)) or len(found) >= count, f"{count} records")
        consumer.commit(asynchronous=False)
        return found
    finally:
        consumer.close()


def test_data_offsets_and_port_survive_a_stop_and_a_crash(new_broker: BrokerFactory) -> None:
    broker = new_broker(topics=(TOPIC,))
    bootstrap = broker.bootstrap
    produce(broker, b"one", b"two")
    assert consume(broker, 2, "g") == [b"one", b"two"]
    broker.stop()
    assert broker.pid is None
    assert is_free(int(bootstrap.rpartition(":")[2]))

    broker.start()
    assert broker.bootstrap == bootstrap
    produce(broker, b"three")
    assert consume(broker, 1, "g") == [b"three"], "the group's offset was lost"

    pid = broker.pid
    broker.kill()
    assert pid is not None and pids.start_ticks(pid) is None
    broker.start()
    assert consume(broker, 3, "fresh") == [b"one", b"two", b"three"]


def test_the_new_consumer_protocol_serves_and_deleted_records_free_the_disk(kafka: Broker) -> None:
    broker = kafka
    admin.apply(broker.bootstrap, [TOPIC])
    produce(broker, b"one")
    assert consume(broker, 1, "kip-848", **{"group.protocol": "consumer"}) == [b"one"]

    partition = broker.folder / "data" / f"{TOPIC.name}-0"
    produce(broker, *(os.urandom(MIB) for _ in range(3 * SEGMENT_BYTES // MIB)))
    before = _bytes(partition)
    assert before > 2 * SEGMENT_BYTES
    everything = TopicPartition(TOPIC.name, 0, -1)
    client = admin_client(broker.bootstrap)
    client.delete_records([everything])[everything].result(timeout=30)
    until(lambda: _bytes(partition) <= SEGMENT_BYTES, "closed segments leave the disk")


def _bytes(folder: Path) -> int:
    return sum(size(path) for path in folder.glob("*.log*"))


def test_an_asked_for_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} is in use"):
            Broker(tmp_path, port=port).start()


def test_a_port_lost_between_pick_and_use_is_picked_again(new_broker: BrokerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        picks = iter([(taken, free_ports(1)[0]), free_ports(2)])
        monkeypatch.setattr(broker_module, "free_ports", lambda count: next(picks))
        broker = new_broker(topics=None)
        broker.start()
        assert broker.bootstrap != f"127.0.0.1:{taken}"
        assert admin.describe(broker.bootstrap) == {}


def test_kafka_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    broker.stop()
    (tmp_path / "data" / "meta.properties").write_text("version=1\ncluster.id=another\nnode.id=7\n")
    with pytest.raises(BrokerError, match=r"(?s)Kafka did not start.*kafka\.log.*node"):
        broker.start()
    assert broker.pid is None


def test_a_runtime_that_fails_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"(?s)could not prepare.*StorageTool"):
        Broker(tmp_path, class_path=[tmp_path / "no.jar"]).start()


def test_too_little_disk_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(BrokerError, match="MiB are free at"):
        Broker(tmp_path).start()


def test_a_folder_that_is_none_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BrokerError, match="cannot use the folder"):
        Broker(tmp_path / "file").start()


def test_a_corrupted_jar_keeps_kafka_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jars.class_path()
    shutil.copytree(jars.cache_dir() / "jars", tmp_path / "cache" / "jars")
    kafka_jar = next((tmp_path / "cache" / "jars").glob("kafka_2.13-*.jar"))
    with kafka_jar.open("r+b") as file:
        file.seek(1000)
        file.write(b"tampered")
    monkeypatch.setenv("DAILIES_CACHE_DIR", str(tmp_path / "cache"))
    broker = Broker(tmp_path / "kafka")
    with pytest.raises(SetupError, match="damaged or tampered with"):
        broker.start()
    assert broker.pid is None


def test_it_has_the_asked_for_port_and_not_the_callers_java_settings(
    new_broker: BrokerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx1m")
    monkeypatch.setenv("CLASSPATH", "/nowhere")
    (port,) = free_ports(1)
    broker = new_broker(topics=None, port=port)
    broker.start()
    assert broker.bootstrap == f"127.0.0.1:{port}"
    environment = subprocess.run(["cat", f"/proc/{broker.pid}/environ"], capture_output=True, check=True).stdout
    assert b"JAVA_TOOL_OPTIONS" not in environment
