"""The keeper's rules: when a process is started again, and after which pause. The clock is the test's."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import SetupError
from streams.local.process import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, SETTLED_SECONDS, Keeper


class Toy:
    """A program whose life is in the test's hands."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.pid: int | None = None
        self.ready = False
        self.launches = 0
        self.refuses: str | None = None
        self.address = ("127.0.0.1", 1)

    def launch(self) -> None:
        if self.refuses:
            raise SetupError(self.refuses)
        self.launches += 1
        self.pid, self.ready = 100 + self.launches, False

    def is_ready(self) -> bool:
        return self.ready

    def terminate(self) -> None:
        self.pid = None

    def kill(self) -> None:
        self.pid = None

    def reap(self, timeout: float) -> None:
        self.pid = None


class Bench:
    """A keeper, its toy and its clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.toy = Toy(folder / "toy.log")
        self.keeper = Keeper("toy", "toy-1", self.toy, clock=lambda: self.now)
        self.keeper.start()

    def after(self, seconds: float) -> str:
        self.now += seconds
        self.keeper.step()
        return self.keeper.state

    def die(self) -> None:
        self.toy.pid = None
        self.keeper.step()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_ready_is_what_the_program_says_and_how_long_it_took(bench: Bench) -> None:
    assert bench.after(1.5) == "starting"
    bench.toy.ready = True
    assert bench.after(0.5) == "ready"
    assert bench.keeper.report().seconds == 2.0
    bench.toy.ready = False
    assert bench.after(1) == "starting"


def test_a_dead_process_is_started_again_after_a_pause(bench: Bench) -> None:
    bench.die()
    assert (bench.keeper.state, bench.keeper.report().pid) == ("failed", None)
    assert bench.after(FIRST_PAUSE_SECONDS * 0.9) == "failed"
    assert bench.toy.launches == 1
    assert bench.after(FIRST_PAUSE_SECONDS * 0.2) == "starting"
    assert (bench.toy.launches, bench.keeper.restarts) == (2, 1)


def test_pauses_double_up_to_a_limit(bench: Bench) -> None:
    pauses = []
    for _ in range(9):
        bench.die()
        begun = bench.now
        while bench.keeper.state == "failed":
            bench.after(0.05)
        pauses.append(bench.now - begun)
    expected = [min(FIRST_PAUSE_SECONDS * 2**n, LONGEST_PAUSE_SECONDS) for n in range(9)]
    assert pauses == pytest.approx(expected, abs=0.06)
    assert bench.keeper.failures == 9


def test_a_process_that_settled_begins_anew(bench: Bench) -> None:
    for _ in range(3):
        bench.die()
        bench.after(LONGEST_PAUSE_SECONDS)
    bench.toy.ready = True
    bench.after(0.1)
    bench.after(SETTLED_SECONDS / 2)
    assert bench.keeper.failures == 3
    bench.after(SETTLED_SECONDS)
    assert bench.keeper.failures == 0


def test_a_restart_that_cannot_be_launched_says_why_and_tries_again(bench: Bench) -> None:
    bench.die()
    bench.toy.refuses = "port 9 is in use"
    assert bench.after(1) == "failed"
    assert bench.keeper.cause() == "port 9 is in use"
    bench.toy.refuses = None
    assert bench.after(1) == "starting"


def test_the_cause_is_the_end_of_the_log(bench: Bench) -> None:
    bench.toy.log.write_text("first\nthe reason\n")
    bench.die()
    assert "the reason" in bench.keeper.cause()
