"""The small parts of the local stack: ports, processes that die with their parent, pids, logs, state, slots."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import SetupError
from streams.local import logs, pids, roles, state
from streams.local.ports import free_ports, is_free
from streams.local.properties import render, server_properties
from streams.local.state import AlreadyUp, ProcessState, StackState
from streams.local.tether import tethered
from streams.settings import Settings
from streams.topics import MAX_MESSAGE_BYTES

MINUTE = 60.0


def sleeper() -> list[str]:
    return [sys.executable, "-c", "import signal; signal.pause()"]


def test_free_ports_are_free_and_differ() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(map(is_free, ports))


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_tethered_process_dies_with_its_parent(end: signal.Signals) -> None:
    script = (
        "import subprocess, signal\nfrom streams.local.tether import tethered\n"
        f"child = subprocess.Popen(tethered({sleeper()!r}))\nprint(child.pid, flush=True)\nsignal.pause()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    poller = select.poll()
    poller.register(child, select.POLLIN)
    assert not poller.poll(0)
    parent.send_signal(end)
    parent.wait()
    parent.stdout.close()
    assert poller.poll(MINUTE * 1000), "the child outlived its parent"
    os.close(child)


def test_a_tethered_command_keeps_pid_arguments_and_exit_code() -> None:
    command = tethered([sys.executable, "-c", "import os, sys; print(os.getpid(), sys.argv[1:]); sys.exit(7)", "a b", "--c"])
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out, _ = child.communicate()
    assert (out.strip(), child.returncode) == (f"{child.pid} ['a b', '--c']", 7)


def test_a_pid_alone_is_not_the_process() -> None:
    child = subprocess.Popen(sleeper())
    ticks = pids.start_ticks(child.pid)
    assert ticks is not None
    assert pids.is_alive(child.pid, ticks)
    assert not pids.is_alive(child.pid, ticks + 1)
    assert pids.end(child.pid, ticks + 1, MINUTE)
    assert child.poll() is None, "a process with another start time was ended"
    assert pids.end(child.pid, ticks, MINUTE)
    assert not pids.is_alive(child.pid, ticks), "a zombie counts as ended"
    child.wait()
    assert pids.start_ticks(child.pid) is None
    assert pids.end(child.pid, ticks, MINUTE)


def test_logs_rotate_by_size(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "role.log"
    for number in range(6):
        logs.rotate(log, limit=7, kept=3)
        log.write_text(f"start {number}")
    assert {path.name: path.read_text() for path in log.parent.iterdir()} == {
        "role.log": "start 5",
        "role.log.1": "start 4",
        "role.log.2": "start 3",
        "role.log.3": "start 2",
    }
    logs.rotate(log, limit=1000)
    assert log.exists()


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "role.log"
    assert logs.tail(log) == "(the log is empty)"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert logs.tail(log, lines=2) == "line 9998\nline 9999"


def this_stack(**changes: object) -> StackState:
    process = ProcessState("planner", "planner-1", 12, "ready", 0, "/logs/planner-1.log", "dailies-planner", 0.5)
    return StackState(
        os.getpid(), pids.start_ticks(os.getpid()) or 0, **{"bootstrap": "h:1", "processes": [process], **changes}
    )


def test_the_state_survives_the_file(tmp_path: Path) -> None:
    state.write(tmp_path, this_stack())
    assert state.read(tmp_path) == this_stack() == state.running(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["stack.json"]
    state.forget(tmp_path)
    assert state.read(tmp_path) is None


def test_a_stale_state_is_not_a_running_stack(tmp_path: Path) -> None:
    stale = this_stack()
    stale.started += 1
    state.write(tmp_path, stale)
    assert state.running(tmp_path) is None


def test_the_bootstrap_is_the_configured_one_else_the_running_stacks(tmp_path: Path) -> None:
    local = Settings(data_dir=tmp_path)
    with pytest.raises(SetupError, match="dailies up"):
        state.bootstrap_of(local)
    state.write(tmp_path, this_stack(bootstrap=None))
    with pytest.raises(SetupError, match="still starting"):
        state.bootstrap_of(local)
    state.write(tmp_path, this_stack())
    assert str(state.bootstrap_of(local)) == "h:1"
    assert str(state.bootstrap_of(Settings(data_dir=tmp_path, bootstrap="other:9092"))) == "other:9092"


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    with state.sole_owner(tmp_path):
        state.write(tmp_path, this_stack())
        with pytest.raises(AlreadyUp, match=f"up already at h:1 .supervisor {os.getpid()}"), state.sole_owner(tmp_path):
            pass
    with state.sole_owner(tmp_path):
        pass


def test_the_default_slots_are_the_documented_ones() -> None:
    assert [(slot.name, slot.consumer_group) for slot in roles.slots()] == [
        ("planner-1", "dailies-planner"),
        ("decoder-1", "dailies-decoder"),
        ("inference-signals-1", "dailies-inference-signals"),
        ("inference-networks-1", "dailies-inference-networks"),
        ("aggregator-1", "dailies-aggregator"),
    ]


def test_workers_are_counted_for_each_inference_group() -> None:
    workers = roles.parse_workers(["inference=2", "planner=0"])
    assert [slot.name for slot in roles.slots(workers) if slot.role in ("planner", "inference")] == [
        "inference-signals-1",
        "inference-signals-2",
        "inference-networks-1",
        "inference-networks-2",
    ]


def test_workers_of_one_task_group_may_be_counted() -> None:
    workers = roles.parse_workers(["networks=0", "inference=2"])
    assert [slot.name for slot in roles.slots(workers) if slot.role == "inference"] == [
        "inference-signals-1",
        "inference-signals-2",
    ]


@pytest.mark.parametrize("option", ["writer=1", "decoder", "decoder=", "decoder=-1", "decoder=two", "decoder=65", "decoder=²"])
def test_wrong_workers_are_refused(option: str) -> None:
    with pytest.raises(SetupError, match="--workers"):
        roles.parse_workers([option])


def test_a_role_runs_by_the_same_command_as_in_a_container() -> None:
    commands = {slot.name: roles.role_command(slot)[1:] for slot in roles.slots()}
    assert commands["decoder-1"] == ["-m", "streams.cli", "run", "decoder"]
    assert commands["inference-networks-1"] == ["-m", "streams.cli", "run", "inference", "--group", "networks"]


def test_the_broker_listens_on_loopback_only_and_takes_the_largest_record() -> None:
    properties = server_properties(Path("/data"), 1, 2)
    listeners = (properties["listeners"] + "," + properties["advertised.listeners"]).split(",")
    assert {listener.partition("//")[2].partition(":")[0] for listener in listeners} == {"127.0.0.1"}
    assert int(properties["message.max.bytes"]) >= MAX_MESSAGE_BYTES
    assert properties["auto.create.topics.enable"] == "false"
    assert {value for key, value in properties.items() if "replication.factor" in key} == {"1"}


def test_properties_escape_what_java_would_read_otherwise() -> None:
    assert render({"log.dirs": "/a\\b"}) == "log.dirs=/a\\\\b\n"


def test_state_files_are_json_objects_with_the_documented_fields(tmp_path: Path) -> None:
    state.write(tmp_path, this_stack())
    raw = json.loads((tmp_path / "stack.json").read_text())
    assert set(raw) == {"pid", "started", "bootstrap", "state", "error", "processes"}
    fields = {"role", "name", "pid", "state", "restarts", "log", "group", "seconds", "health", "problem"}
    assert set(raw["processes"][0]) == fields
