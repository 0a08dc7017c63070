"""Signs of life: given while the body waits, not after it, and not for ever."""

from __future__ import annotations

import threading

from processors.waiting import signs_of_life


def test_signs_come_while_the_body_runs_and_not_after() -> None:
    given = threading.Semaphore(0)
    with signs_of_life(given.release, every=0.005):
        assert all(given.acquire(timeout=10) for _ in range(3))
    while given.acquire(blocking=False):
        pass
    assert not given.acquire(timeout=0.05)


def test_signs_end_though_the_body_goes_on() -> None:
    given = threading.Semaphore(0)
    with signs_of_life(given.release, every=0.005, at_most=0.05):
        ended = next((t for t in threading.enumerate() if t.name == "signs-of-life"), None)
        assert ended is not None
        ended.join(10)
        assert not ended.is_alive()


def test_nobody_to_give_a_sign_to() -> None:
    before = threading.active_count()
    with signs_of_life(None):
        assert threading.active_count() == before
