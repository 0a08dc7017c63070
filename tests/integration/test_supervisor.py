"""The supervisor: brings a stack up, keeps it up, takes it down; leaves nothing behind however it ends.

Roles are doubles (``role_double.py``); Kafka is real, in most tests the session's own, so that few JVMs are started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.errors import SetupError
from streams import admin
from streams.local import detach, pids, state
from streams.local.broker import Broker
from streams.local.ports import is_free
from streams.local.state import AlreadyUp, ProcessState, StackState
from streams.topics import TOPICS
from tests.waiting import until

pytestmark = pytest.mark.kafka

DOUBLE = str(Path(__file__).with_name("stack_double.py"))
CYCLES = int(os.environ.get("DAILIES_CYCLES", "1"))


def command(data_dir: Path, mode: str = "good", **options: object) -> list[str]:
    return [sys.executable, DOUBLE, str(data_dir), mode, *(f"{key}={json.dumps(value)}" for key, value in options.items())]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    detach.down(tmp_path)


@pytest.fixture
def stack(kafka: Broker, data_dir: Path) -> StackState:
    """Roles alone, on the session's Kafka."""
    return detach.up(command(data_dir, bootstrap=kafka.bootstrap), data_dir)


def process(data_dir: Path, name: str) -> ProcessState:
    running = state.running(data_dir)
    assert running is not None
    return next(process for process in running.processes if process.name == name)


def names(data_dir: Path) -> list[str]:
    running = state.running(data_dir)
    return [] if running is None else [process.name for process in running.processes]


def ended(*processes: int) -> Callable[[], bool]:
    return lambda: all(pids.start_ticks(pid) is None for pid in processes)


def pids_of(stack: StackState) -> list[int]:
    assert all(process.pid for process in stack.processes)
    return [stack.pid, *(process.pid for process in stack.processes if process.pid)]


def test_everything_is_ready_when_up_returns(stack: StackState, kafka: Broker) -> None:
    assert (stack.bootstrap, stack.state) == (kafka.bootstrap, "ready")
    assert [(p.role, p.state, p.restarts, p.group) for p in stack.processes] == [
        ("planner", "ready", 0, "dailies-planner"),
        ("decoder", "ready", 0, "dailies-decoder"),
        ("inference", "ready", 0, "dailies-inference-signals"),
        ("inference", "ready", 0, "dailies-inference-networks"),
        ("aggregator", "ready", 0, "dailies-aggregator"),
    ]
    log = Path(stack.processes[0].log)
    assert log.read_text() == f"planner-1 runs as {stack.processes[0].pid} against {kafka.bootstrap}\n"


def test_down_ends_everything_and_says_when_nothing_is_up(stack: StackState, data_dir: Path) -> None:
    was = detach.down(data_dir)
    assert was is not None and was.pid == stack.pid
    assert ended(*pids_of(stack))()
    assert state.read(data_dir) is None
    assert detach.down(data_dir) is None


def test_a_dead_role_is_started_again_and_counted(stack: StackState, data_dir: Path) -> None:
    killed = stack.processes[1].pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    until(
        lambda: process(data_dir, "decoder-1").restarts == 1 and process(data_dir, "decoder-1").state == "ready",
        "a new decoder",
    )
    fresh = process(data_dir, "decoder-1").pid
    assert fresh is not None and fresh != killed and pids.start_ticks(fresh)
    others = {p.name: p.pid for p in stack.processes if p.role != "decoder"}
    assert {name: process(data_dir, name).pid for name in others} == others, "an innocent role was started again"


def test_a_second_up_says_that_it_is_up(stack: StackState, data_dir: Path) -> None:
    with pytest.raises(AlreadyUp, match=f"up already at {stack.bootstrap}"):
        detach.up(command(data_dir), data_dir)
    second = subprocess.run(command(data_dir), capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "is up already" in second.stderr
    assert state.running(data_dir) is not None


def test_a_role_that_cannot_start_fails_the_start_with_its_cause(kafka: Broker, data_dir: Path) -> None:
    seen: list[StackState] = []
    with pytest.raises(SetupError, match=r"(?s)planner-1 does not start.*no such model: the reason it cannot start"):
        detach.up(command(data_dir, "broken", bootstrap=kafka.bootstrap), data_dir, seen.append)
    started = [p.pid for s in seen for p in s.processes if p.pid]
    until(ended(*started), "what had started is ended")
    assert state.running(data_dir) is None


def test_workers_are_as_many_as_asked_for(kafka: Broker, data_dir: Path) -> None:
    workers = {"planner": 0, "inference": 0, "aggregator": 0, "decoder": 3}
    stack = detach.up(command(data_dir, bootstrap=kafka.bootstrap, workers=workers), data_dir)
    assert [p.name for p in stack.processes] == ["decoder-1", "decoder-2", "decoder-3"]


def test_a_supervisor_in_the_foreground_ends_with_its_parent(kafka: Broker, data_dir: Path) -> None:
    line = command(data_dir, bootstrap=kafka.bootstrap)
    parent = subprocess.Popen([sys.executable, "-c", f"import subprocess; subprocess.run({line!r})"])
    stack = until(lambda: (s := state.running(data_dir)) is not None and s.state == "ready" and s, "the stack is ready")
    parent.kill()
    parent.wait()
    until(ended(*pids_of(stack)), "the stack ends with its parent")
    assert state.read(data_dir) is None, "it was not an orderly end"


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stop_signals_end_a_supervisor_in_good_order(kafka: Broker, data_dir: Path, sig: signal.Signals) -> None:
    def heeded() -> None:  # under nohup the tests would hand an ignored hang-up on
        signal.signal(sig, signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL)

    supervisor = subprocess.Popen(command(data_dir, bootstrap=kafka.bootstrap), preexec_fn=heeded)
    stack = until(lambda: (s := state.running(data_dir)) is not None and s.state == "ready" and s, "the stack is ready")
    supervisor.send_signal(sig)
    assert supervisor.wait(60) == 0
    assert ended(*pids_of(stack))()


def test_a_second_stop_signal_does_not_wait_for_a_stubborn_role(kafka: Broker, data_dir: Path) -> None:
    supervisor = subprocess.Popen(command(data_dir, "stubborn", bootstrap=kafka.bootstrap))
    stack = until(lambda: (s := state.running(data_dir)) is not None and s.state == "ready" and s, "the stack is ready")
    supervisor.terminate()
    until(lambda: names(data_dir) == ["planner-1"], "the willing roles end")
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert ended(*pids_of(stack))()


@pytest.fixture
def whole(data_dir: Path) -> StackState:
    """With a Kafka of its own."""
    return detach.up(command(data_dir), data_dir)


def port_of(stack: StackState) -> int:
    assert stack.bootstrap is not None
    return int(stack.bootstrap.rpartition(":")[2])


def test_a_killed_supervisor_leaves_no_process_and_no_port(whole: StackState, data_dir: Path) -> None:
    assert whole.processes[0].role == "kafka"
    os.kill(whole.pid, signal.SIGKILL)
    until(ended(*pids_of(whole)), "every process ends")
    until(lambda: is_free(port_of(whole)), "Kafka's port is free")
    assert state.running(data_dir) is None
    again = detach.up(command(data_dir), data_dir)
    assert again.pid != whole.pid
    assert set(admin.describe(again.bootstrap or "")) == {topic.name for topic in TOPICS}


def test_a_dead_kafka_is_started_again_at_the_same_address(whole: StackState, data_dir: Path) -> None:
    os.kill(whole.processes[0].pid or 0, signal.SIGKILL)
    until(lambda: process(data_dir, "kafka").restarts == 1 and process(data_dir, "kafka").state == "ready", "Kafka is back")
    after = state.running(data_dir)
    assert after is not None and after.bootstrap == whole.bootstrap
    assert set(admin.describe(after.bootstrap or "")) == {topic.name for topic in TOPICS}


@pytest.mark.timeout(120 + 60 * CYCLES)
def test_cycles_of_up_and_down_leave_nothing(data_dir: Path) -> None:
    for _ in range(CYCLES):
        stack = detach.up(command(data_dir), data_dir)
        assert detach.down(data_dir) is not None
        assert ended(*pids_of(stack))()
        assert is_free(port_of(stack))
        assert state.read(data_dir) is None
