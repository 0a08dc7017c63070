"""When a role counts as alive and as ready. The clock is the test's."""

from __future__ import annotations

import pytest

from streams.health import Health

PATIENCE = 300.0
WORK = {"media.chunks.audio": 3}


class Bench:
    def __init__(self) -> None:
        self.now = 1000.0
        self.health = Health(PATIENCE, clock=lambda: self.now)

    def later(self, seconds: float) -> None:
        """Time passes, and the loop turns in it."""
        self.now += seconds
        self.health.beat()

    def saw(self, lag: dict[str, int], *, away: bool = False, moving: bool = False) -> None:
        self.health.saw(lag, away=away, moving=moving)

    @property
    def reason(self) -> str | None:
        answer = self.health.live()
        assert answer.ok == (answer.reason is None)
        return answer.reason


@pytest.fixture
def bench() -> Bench:
    """A role that became ready this moment and has work."""
    bench = Bench()
    bench.health.beat()
    bench.health.ready()
    bench.saw(WORK)
    return bench


def test_work_that_nobody_does_is_no_life(bench: Bench) -> None:
    bench.later(PATIENCE)
    assert bench.reason is None
    bench.later(1)
    assert bench.reason == "3 records wait, and for 301 s nothing was done"
    assert bench.health.readiness().ok, "a restart cures it, to be left out does not"
    bench.health.acked()
    assert bench.reason is None


def test_without_work_silence_is_right(bench: Bench) -> None:
    bench.saw({"media.chunks.audio": 0})
    bench.later(10 * PATIENCE)
    assert bench.reason is None
    bench.saw({"media.chunks.audio": 0})
    bench.later(1)
    bench.saw(WORK)
    assert bench.reason is None, "an idle hour before the first record was held against it"
    bench.later(PATIENCE - 1)
    bench.saw(WORK)
    assert bench.reason is None
    bench.later(1)
    assert bench.reason is not None


def test_signs_of_work_under_way_are_life(bench: Bench) -> None:
    for _ in range(5):
        bench.later(PATIENCE - 1)
        bench.health.sign("decode-0")
        assert bench.reason is None
    bench.later(PATIENCE + 1)
    assert bench.reason is not None


def test_what_another_limit_ends_is_allowed_for(bench: Bench) -> None:
    bench.health.sign("probe", 600)
    bench.health.sign("another")
    bench.later(600 + PATIENCE)
    assert bench.reason is None
    bench.later(1)
    assert bench.reason is not None
    bench.health.sign("probe", 600)
    bench.health.sign("probe")
    bench.later(PATIENCE + 1)
    assert bench.reason is not None, "what was allowed outlived the work that it was for"


def test_a_broker_that_is_away_holds_the_clock(bench: Bench) -> None:
    for _ in range(20):
        bench.later(PATIENCE / 2)
        bench.saw(WORK, away=True)
        assert bench.reason is None
    assert bench.health.readiness().reason == "the broker is out of reach"
    bench.saw(WORK)
    assert bench.health.readiness().ok
    bench.later(PATIENCE + 1)
    assert bench.reason is not None


def test_moving_partitions_hold_the_clock(bench: Bench) -> None:
    bench.later(PATIENCE - 1)
    bench.saw(WORK, moving=True)
    assert not bench.health.readiness().ok
    bench.later(PATIENCE - 1)
    assert bench.reason is None


def test_a_loop_that_stands_is_no_life_with_work_or_without(bench: Bench) -> None:
    bench.saw({})
    bench.now += PATIENCE + 1
    bench.health.acked()
    assert bench.reason == "the loop has not turned for 301 s"
    bench.health.beat()
    assert bench.reason is None


def test_a_start_may_take_its_time_and_is_not_ready() -> None:
    bench = Bench()
    bench.saw(WORK)
    bench.now += 10 * PATIENCE
    assert bench.reason is None, "its loop was never seen to turn: it loads a model"
    bench.later(10 * PATIENCE)
    bench.health.beat()
    assert bench.reason is None, "no ack is due before it is ready"
    assert not bench.health.readiness().ok
    bench.health.ready()
    assert bench.health.readiness().ok
    bench.health.stopping()
    assert bench.health.readiness().reason == "it is stopping"


def test_the_answer_says_what_it_rests_on(bench: Bench) -> None:
    bench.later(5)
    bench.health.acked()
    bench.later(2.5)
    assert bench.health.live().body() == {
        "ok": True,
        "reason": None,
        "phase": "ready",
        "lag": WORK,
        "ack_age_seconds": 2.5,
        "uptime_seconds": 7.5,
    }
