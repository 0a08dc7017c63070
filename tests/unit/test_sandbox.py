"""The sandbox: whatever the child does, the parent gets an answer or the right error, and can go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from processors.sandbox import Child, Limits
from processors.sandbox_pair import ChildPair
from schemas.errors import ChildCrashed, ChildOutOfMemory, ChildTimeout, SourceRefused, Unprocessable

HANDLER = "tests.unit.sandbox_handlers:handle"


@pytest.fixture
def child() -> Iterator[Child]:
    with Child(HANDLER, Limits(stall_seconds=20, memory_bytes=512 << 20)) as one:
        yield one


def ask(child: Child, do: str, **more: object) -> list[tuple[dict[str, object], bytes]]:
    return [(m.head, m.body) for m in child.call({"do": do, **more})]


def works(child: Child) -> bool:
    return [body for _, body in ask(child, "echo", sizes=[3])] == [bytes(3)]


def test_messages_arrive_whole_and_in_order_from_one_process(child: Child) -> None:
    sizes = [0, 1, 70_000, 3 << 20, 0, 5]
    got = ask(child, "echo", sizes=sizes)
    assert [(head["n"], body) for head, body in got] == [(n, bytes([n]) * size) for n, size in enumerate(sizes)]
    again = ask(child, "echo", sizes=[1])
    assert again[0][0]["pid"] == got[0][0]["pid"] == child.pid


def test_limits_are_set_and_nothing_heavy_is_imported(child: Child) -> None:
    head, _ = ask(child, "facts")[0]
    assert head == {"limits": {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_NOFILE": 256}, "stdin": "", "heavy": []}


def test_the_child_writes_no_file(child: Child, tmp_path: Path) -> None:
    with pytest.raises(ChildCrashed, match="Operation not permitted"):
        ask(child, "write_file", path=str(tmp_path / "x"))


PROCESSES = {"fork", "run", "spawn"}
FILES = {"remove", "rename", "make", "link", "cut", "mode", "write", "append", "truncate", "create"}
REFUSED = PROCESSES | FILES


@pytest.mark.parametrize("network", [False, True])
def test_the_kernel_refuses_what_no_handler_needs(tmp_path: Path, network: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"here")
    with Child(HANDLER, Limits(network=network)) as child:
        found, _ = ask(child, "forbidden", path=str(path))[0]
    assert found == dict.fromkeys(REFUSED if network else REFUSED | {"socket", "unix socket"}, "EPERM")
    assert path.read_bytes() == b"here"


@pytest.mark.parametrize("network", [False, True])
def test_a_child_is_given_no_secret_that_it_has_no_use_for(network: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka, store = "DAILIES_KAFKA_SASL_PASSWORD", "AWS_SECRET_ACCESS_KEY"
    for name in (kafka, store):
        monkeypatch.setenv(name, "secret")
    with Child(HANDLER, Limits(network=network)) as child:
        names = ask(child, "environment")[0][0]["names"]
    assert isinstance(names, list) and "PATH" in names
    assert (kafka in names, store in names) == (False, network)


def test_cpu_time_is_bounded_from_one_message_to_the_next() -> None:
    with Child(HANDLER, Limits(stall_seconds=20, cpu_seconds=1)) as child:
        assert len(ask(child, "burn", times=4, seconds=0.6)) == 4
        assert works(child)
        with pytest.raises(ChildTimeout, match="more than 1 s of CPU time"):
            ask(child, "burn", times=1, seconds=30)
        with pytest.raises(ChildTimeout, match="CPU time"):
            ask(child, "burn", times=60, seconds=0.5, waiting=True)
        assert works(child)


def test_a_pair_asks_the_child_that_may_reach_what_is_asked_for(tmp_path: Path) -> None:
    pair = ChildPair(HANDLER, Limits(stall_seconds=20))
    try:
        for uri, allowed in [
            ("/x", False),
            ("FILE:///x", False),
            ("s3://b/k", True),
            ("https://h/x", True),
            ("http://\0", False),
        ]:
            (message,) = pair.call(uri, {"do": "forbidden", "path": str(tmp_path)})
            assert ("socket" not in message.head) is allowed, uri
    finally:
        pair.close()


def test_unprocessable_passes_through_and_the_child_lives_on(child: Child) -> None:
    assert works(child)
    pid = child.pid
    with pytest.raises(Unprocessable, match="only noise") as caught:
        ask(child, "refuse")
    assert caught.value.reason == "not_media"
    with pytest.raises(SourceRefused, match="not this one") as special:
        ask(child, "special")
    assert special.value.reason == "source_refused"
    assert works(child) and child.pid == pid


@pytest.mark.parametrize(
    ("do", "text"),
    [
        ("abort", "SIGABRT.*last words"),
        ("segfault", "SIGSEGV"),
        ("leave", "exit status 7"),
        ("bug", r"ValueError: a bug \(.*sandbox_handlers.py:\d+\)"),
    ],
)
def test_a_crash_is_told_and_the_next_call_has_a_fresh_child(child: Child, do: str, text: str) -> None:
    with pytest.raises(ChildCrashed, match=text) as caught:
        ask(child, do)
    assert len(str(caught.value)) < 6000
    assert child.pid is None
    assert works(child)


def test_killed_from_outside(child: Child) -> None:
    with pytest.raises(ChildCrashed, match="SIGKILL"):
        for message in child.call({"do": "hang"}):
            os.kill(message.head["pid"], signal.SIGKILL)
    assert works(child)


def test_killed_by_another_thread(child: Child) -> None:
    messages = child.call({"do": "hang"})
    next(messages)
    killer = threading.Thread(target=child.kill)
    killer.start()
    with pytest.raises(ChildCrashed, match="SIGKILL"):
        next(messages)
    killer.join()
    assert works(child)


def test_a_stall_and_a_long_call_time_out() -> None:
    with Child(HANDLER, Limits(stall_seconds=0.3)) as child:
        with pytest.raises(ChildTimeout, match=r"stall_seconds=0\.3"):
            ask(child, "hang")
        assert works(child)
    with Child(HANDLER, Limits(wall_seconds=0.3, stall_seconds=5)) as child, pytest.raises(ChildTimeout):
        ask(child, "drip")


def test_a_slow_consumer_costs_no_time() -> None:
    with Child(HANDLER, Limits(wall_seconds=2.0, stall_seconds=0.5)) as child:
        messages = child.call({"do": "echo", "sizes": [10, 10]})
        next(messages)
        time.sleep(0.6)  # longer than the stall limit: the caller's own time does not count
        assert len(list(messages)) == 1


@pytest.mark.parametrize("do", ["bomb", "native_bomb"])
def test_memory_is_bounded(child: Child, do: str) -> None:
    with pytest.raises(ChildOutOfMemory):
        ask(child, do)
    assert works(child)


def test_leaving_early_kills_and_the_next_call_is_clean(child: Child) -> None:
    messages = child.call({"do": "flood", "bytes": 1 << 20, "count": 100})
    next(messages)
    pid = child.pid
    messages.close()  # type: ignore[attr-defined]
    assert works(child) and child.pid != pid
    child.call({"do": "flood", "bytes": 1 << 20, "count": 100})  # never read
    assert works(child)


def test_a_handler_that_is_not_there() -> None:
    with Child("tests.unit.nothing:handle") as child, pytest.raises(ChildCrashed, match="No module named"):
        child.start()


def test_the_thread_that_started_it_may_end(child: Child) -> None:
    starter = threading.Thread(target=child.start)
    starter.start()
    starter.join()
    pid = child.pid
    assert works(child) and child.pid == pid


def test_the_death_of_the_parent_kills_a_busy_child() -> None:
    script = (
        "from processors.sandbox import Child\n"
        f"messages = Child({HANDLER!r}).call({{'do': 'hang'}})\n"
        "print(next(messages).head['pid'], flush=True)\n"
        "next(messages)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout is not None
        orphan = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, _ = psutil.wait_procs([orphan], timeout=10)
    assert gone


def test_close_ends_the_process(child: Child) -> None:
    assert works(child)
    process = psutil.Process(child.pid)
    child.close()
    assert not process.is_running()


def test_every_message_and_every_sign_of_life_is_heard() -> None:
    heard: list[None] = []
    with Child(HANDLER, Limits(stall_seconds=20), heard=lambda: heard.append(None)) as child:
        assert len(ask(child, "await_network", signs=3)) == 1
    assert len(heard) >= 4
