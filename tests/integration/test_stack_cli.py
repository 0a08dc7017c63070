"""``dailies up|down|status|topics`` as a shell sees them: exit codes, JSON on stdout, lag."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner, Result

from streams import admin
from streams.cli import app
from streams.connect import admin_client
from streams.local import detach
from streams.local.broker import Broker
from streams.local.lag import lags
from streams.local.ports import free_ports
from streams.local.state import StackState
from streams.topics import TOPICS, Topic
from tests.integration.test_supervisor import command, data_dir, stack
from tests.kafka import BrokerFactory
from tests.waiting import until

__all__ = ["data_dir", "stack"]

pytestmark = pytest.mark.kafka


def dailies(folder: Path, *args: str) -> Result:
    return CliRunner().invoke(app, [*args, "--data-dir", str(folder)])


def test_status_of_nothing_fails_and_is_an_empty_list(tmp_path: Path) -> None:
    assert dailies(tmp_path, "status").exit_code == 1
    as_json = dailies(tmp_path, "status", "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (1, [])


def test_down_of_nothing_is_no_failure(tmp_path: Path) -> None:
    done = dailies(tmp_path, "down")
    assert (done.exit_code, done.stdout.startswith("nothing was up")) == (0, True)


def test_status_lists_every_process_and_kafka(stack: StackState, data_dir: Path) -> None:
    shown = dailies(data_dir, "status", "--json")
    entries = json.loads(shown.stdout)
    assert shown.exit_code == 0
    assert all(list(entry)[:4] == ["role", "pid", "state", "lag"] for entry in entries)
    assert {(entry["restarts"], entry["problem"]) for entry in entries} == {(0, None)}
    assert [entry["role"] for entry in entries] == ["kafka", "planner", "decoder", "inference", "inference", "aggregator"]
    assert [entry["pid"] for entry in entries[1:]] == [process.pid for process in stack.processes]
    assert {entry["state"] for entry in entries} == {"ready"}
    assert "inference-networks-1" in dailies(data_dir, "status").stdout


def test_a_second_up_in_the_background_is_no_failure(stack: StackState, data_dir: Path) -> None:
    done = dailies(data_dir, "up", "--detach")
    assert done.exit_code == 0
    assert "is up already" in done.stdout


def test_down_ends_the_stack(stack: StackState, data_dir: Path) -> None:
    assert dailies(data_dir, "down").exit_code == 0
    assert dailies(data_dir, "status").exit_code == 1


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_lag_is_what_is_not_yet_committed(kafka: Broker, protocol: str) -> None:
    topic, group = Topic(f"test.lag.{protocol}", 2, "any"), f"test-lag-{protocol}"
    admin.apply(kafka.bootstrap, [topic])
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for partition, count in ((0, 5), (1, 3)):
        for _ in range(count):
            producer.produce(topic.name, b"x", partition=partition)
    assert producer.flush(10) == 0
    assert lags(kafka.bootstrap, [group, "nobody"], [topic]) == {group: None, "nobody": None}

    config = {"bootstrap.servers": kafka.bootstrap, "group.id": group, "group.protocol": protocol, "enable.auto.commit": False}
    member = Consumer({**config, "auto.offset.reset": "earliest"})
    member.subscribe([topic.name])
    until(lambda: member.poll(0.2) and len(member.assignment()) == 2, "the member has both partitions")
    member.commit(offsets=[TopicPartition(topic.name, 0, 4)], asynchronous=False)
    assert lags(kafka.bootstrap, [group, "nobody"], [topic]) == {group: 1 + 3, "nobody": None}

    client, deleted = admin_client(kafka.bootstrap), TopicPartition(topic.name, 1, 2)
    client.delete_records([deleted])[deleted].result(timeout=30)
    assert lags(kafka.bootstrap, [group], [topic]) == {group: 1 + 1}
    assert len(member.assignment()) == 2, "looking at the lag disturbed the group"
    member.close()


def test_offsets_of_a_group_whose_coordinator_is_not_there_yet(new_broker: BrokerFactory) -> None:
    """The first question for any group creates the coordinator's topic: it is answered, and the process survives it."""
    broker = new_broker()
    assert lags(broker.bootstrap, [f"unheard-of-{number}" for number in range(8)]) == {
        f"unheard-of-{n}": None for n in range(8)
    }


def test_topics_are_applied_and_described(kafka: Broker, tmp_path: Path) -> None:
    applied = dailies(tmp_path, "topics", "apply", "--bootstrap", kafka.bootstrap)
    assert (applied.exit_code, applied.stdout.strip()) == (0, "every topic is as declared")
    described = dailies(tmp_path, "topics", "describe", "--json", "--bootstrap", kafka.bootstrap)
    assert {entry["name"]: entry["partitions"] for entry in json.loads(described.stdout)} == {
        t.name: t.partitions for t in TOPICS
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "--workers", "painter=1"], "no role or task group 'painter'"),
        (["topics", "describe"], "nothing is up in"),
        (["topics", "describe", "--bootstrap", "127.0.0.1:{free}"], "no Kafka answers at 127.0.0.1:{free}"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    (free,) = free_ports(1)
    line = [argument.format(free=free) for argument in (*arguments, "--data-dir", str(tmp_path))]
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *line],
        env={**os.environ, "DAILIES_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert says.format(free=free) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stack_may_use_another_folder_at_the_same_time(stack: StackState, kafka: Broker, tmp_path: Path) -> None:
    other = tmp_path / "other"
    second = detach.up(command(other, bootstrap=kafka.bootstrap, workers={"inference": 0, "decoder": 0}), other)
    try:
        assert second.pid != stack.pid
        assert dailies(tmp_path, "status").exit_code == dailies(other, "status").exit_code == 0
    finally:
        detach.down(other)
    assert stack.is_running()
