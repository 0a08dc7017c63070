"""The watchdog: when a role that gives no answer is started again, and that nobody waits for answers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from streams.health import Health
from streams.local.process import Keeper
from streams.local.watchdog import FAILURES, START_SECONDS, Watchdog, ask
from streams.probes import ProbeServer
from streams.vitals import Vitals
from tests.unit.test_keeper import Toy

HERE, THERE = ("127.0.0.1", 1), ("127.0.0.1", 2)
PATIENCE = 60.0


class Asked(Executor):
    """Runs nothing: the test answers."""

    def __init__(self) -> None:
        self.open: list[Future[Any]] = []
        self.asked = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.asked += 1
        self.open.append(Future())
        return self.open[-1]

    def answer(self, why: str | None) -> None:
        self.open.pop().set_result(why)


class Bench:
    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = Asked()
        self.watchdog = Watchdog(PATIENCE, self.asked, clock=lambda: self.now)

    def round(self, why: str | None, address: tuple[str, int] = HERE, *, starting: bool = False) -> str | None:
        """A question and its answer, six seconds in all."""
        assert self.watchdog.look(address, starting=starting) is None
        self.now += 3
        self.asked.answer(why)
        self.now += 3
        return self.watchdog.look(address, starting=starting)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_role_that_stays_silent_is_given_up(bench: Bench) -> None:
    found = [bench.round("it gives no answer") for _ in range(10)]
    assert found == [None] * 9 + ["not alive for 60 s: it gives no answer"]


def test_one_good_answer_makes_everything_good(bench: Bench) -> None:
    for _ in range(3):
        assert [bench.round("silent") for _ in range(9)] == [None] * 9
        assert bench.round(None) is None


def test_a_new_process_begins_anew(bench: Bench) -> None:
    assert [bench.round("silent") for _ in range(9)] == [None] * 9
    assert [bench.round("silent", THERE) for _ in range(9)] == [None] * 9
    assert bench.watchdog.look(None) is None


def test_a_role_that_starts_may_be_silent_for_longer(bench: Bench) -> None:
    rounds = int((PATIENCE + START_SECONDS) / 6)
    found = [bench.round("silent", starting=True) for _ in range(rounds)]
    assert found == [None] * (rounds - 1) + ["not alive for 300 s: silent"]


def test_nobody_waits_for_an_answer(bench: Bench) -> None:
    for _ in range(50):
        assert bench.watchdog.look(HERE) is None
        bench.now += 10
    assert bench.asked.asked == 1, "a role was asked again before it had answered"


def test_a_long_answer_alone_is_no_failure(bench: Bench) -> None:
    assert FAILURES > 1
    bench.watchdog.look(HERE)
    bench.now += 10 * PATIENCE
    bench.asked.answer("timed out")
    assert bench.watchdog.look(HERE) is None


def test_the_keeper_kills_what_hangs_and_starts_it_again(tmp_path: Path) -> None:
    bench, toy = Bench(), Toy(tmp_path / "toy.log")
    keeper = Keeper("toy", "toy-1", toy, clock=lambda: bench.now, watchdog=bench.watchdog)
    keeper.start()
    toy.ready = True
    while keeper.state != "failed":
        keeper.step()
        if bench.asked.open:
            bench.asked.answer("3 records wait")
        bench.now += 1
    assert toy.pid is None
    assert keeper.report().problem == keeper.cause()
    assert keeper.cause().endswith("s: 3 records wait")
    bench.now += 1
    keeper.step()
    assert (keeper.state, keeper.restarts, toy.launches) == ("starting", 1, 2)


def test_asking_a_real_server() -> None:
    now = [0.0]
    health = Health(10, clock=lambda: now[0])
    with ProbeServer(Vitals(health), "127.0.0.1", 0) as server:
        health.beat()
        assert ask(server.address, 5) is None
        now[0] = 11.0
        assert ask(server.address, 5) == "the loop has not turned for 11 s"
        address = server.address
    assert (ask(address, 5) or "").startswith("it gives no answer")


def test_a_role_that_takes_the_question_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert (ask(silent.getsockname(), 0.05) or "").startswith("it gives no answer")
