"""Roles as processes: they say when they are ready, drain and leave in good order, and never pretend to have worked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas.errors import SetupError
from streams.groups import PLANNERS
from streams.guard import EXIT_SOFTWARE
from streams.local.broker import Broker
from streams.producer import Deliveries, make_producer
from streams.roles import State, run_role, write_state
from streams.settings import Settings
from streams.topics import UPLOADS
from tests.lab import WAIT_SECONDS, Lab, wait_for

pytestmark = pytest.mark.kafka

CODE = """
import sys
from streams.roles import run_role
from streams.settings import Settings
sys.exit(run_role("planner", Settings(), bootstrap=sys.argv[1]))
"""


@pytest.fixture
def lab(kafka: Broker, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(kafka.bootstrap, tmp_path)
    yield lab
    lab.end()


def start(lab: Lab, bootstrap: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DAILIES_DATA_DIR": str(lab.folder / "data"),
        "DAILIES_STATE_FILE": str(lab.folder / "run" / "planner.json"),
    }
    log = (lab.folder / "role.log").open("wb")
    lab.made.append(subprocess.Popen([sys.executable, "-c", CODE, bootstrap], env=environment, stderr=log))
    return lab.made[-1]


def state(lab: Lab) -> dict[str, object]:
    path = lab.folder / "run" / "planner.json"
    return json.loads(path.read_bytes()) if path.exists() else {}


def test_a_role_starts_works_and_leaves(lab: Lab) -> None:
    process = start(lab, lab.bootstrap)
    for one in State:
        wait_for(lambda one=one: state(lab).items() >= {"pid": process.pid, "state": one.value}.items(), one.value)
    lab.send(UPLOADS, [(None, b'{"Event": "s3:TestEvent"}')])
    wait_for(lambda: lab.lag(PLANNERS, UPLOADS) == 0, "the upload")
    process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_SECONDS) == 0
    entries = [json.loads(line) for line in (lab.folder / "role.log").read_text().splitlines()]
    assert {entry["role"] for entry in entries} == {"planner"}
    assert [entry["event"] for entry in entries][-1] == "stopped"


def test_a_role_without_a_broker_fails(lab: Lab) -> None:
    process = start(lab, "127.0.0.1:1")
    assert process.wait(WAIT_SECONDS) == EXIT_SOFTWARE
    assert state(lab)["state"] == "starting"


def test_a_role_whose_client_has_lost_its_membership_for_good_ends(lab: Lab) -> None:
    """It would be assigned nothing ever again, and say nothing of it: the supervisor starts another."""
    topic, dead = lab.topic("uploads"), lab.topic("dead")
    process = lab.start("loses_membership", topic=topic.name, dead_letters=dead.name, group=lab.name("lost"))
    assert process.wait(WAIT_SECONDS) == EXIT_SOFTWARE
    assert "an error inside the client" in (lab.folder / "worker.log").read_text()


def test_a_role_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="there is no role 'editor'"):
        run_role("editor", Settings(data_dir=tmp_path), bootstrap="127.0.0.1:1")
    with pytest.raises(SetupError, match="needs a task group"):
        run_role("inference", Settings(data_dir=tmp_path), bootstrap="127.0.0.1:1")


def test_the_state_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    for one in State:
        write_state(path, one)
        assert json.loads(path.read_bytes()) == {"pid": os.getpid(), "state": one.value}
    assert list(path.parent.iterdir()) == [path]
    write_state(None, State.READY)


def test_both_producers_put_a_key_on_the_same_partition(lab: Lab) -> None:
    topic = lab.topic("keys", 8)
    keys = [b"asset-%d/v0/%d" % (n, n % 7) for n in range(200)]
    deliveries = Deliveries(make_producer(lab.bootstrap))
    for key in keys:
        deliveries.produce(topic.name, key=key, value=b"v", headers={})
    deliveries.flush_all()
    partitions = list(range(8))
    found = {record.key: record.partition for record in lab.read(topic)}
    assert found == {key: DefaultPartitioner()(key, partitions, partitions) for key in keys}
