"""A job stays a few chunks ahead of its readers, with a log in memory in place of Kafka's answers."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable

import pytest

from streams.chunklog import ChunkLog
from streams.decoder.offsets import TP
from streams.decoder.pace import PATIENCE_SECONDS, Pace
from tests.waiting import until

PLACE = ("chunks", 0)
LEAD = 5


class Readers(ChunkLog):
    """A group's committed offset in one partition."""

    def __init__(self) -> None:
        self.offset = 0
        self.asked = 0

    def committed(self, group: str, tps: Iterable[TP]) -> dict[TP, int]:
        assert group == "readers"
        self.asked += 1
        return dict.fromkeys(tps, self.offset)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def readers() -> Readers:
    return Readers()


def never() -> bool:
    return False


def produce(pace: Pace, offsets: Iterable[int], job: str = "job") -> None:
    for offset in offsets:
        pace.wait(job, LEAD, never)
        pace.reported(job, (PLACE, offset))


def test_the_next_chunk_waits_until_one_is_read(readers: Readers) -> None:
    pace = Pace(readers, "readers", clock=Clock())
    produce(pace, range(LEAD))
    assert readers.asked == 0
    thread = threading.Thread(target=produce, args=(pace, [LEAD]))
    thread.start()
    until(lambda: readers.asked > 3, "it looks again and again")
    assert pace.ahead("job") == LEAD
    readers.offset = 2
    thread.join(10)
    assert not thread.is_alive()
    assert pace.ahead("job") == LEAD - 1


def test_jobs_do_not_wait_for_each_other(readers: Readers) -> None:
    pace = Pace(readers, "readers", clock=Clock())
    produce(pace, range(LEAD), job="one")
    produce(pace, range(LEAD, 2 * LEAD), job="other")
    assert readers.asked == 0


def test_nobody_waits_for_readers_that_stand_still(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    pace = Pace(readers, "readers", clock=clock)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr("streams.decoder.pace.time.sleep", sleep)
    produce(pace, range(LEAD))
    begun = clock.now
    produce(pace, range(LEAD, 100))
    assert PATIENCE_SECONDS <= clock.now - begun < 2 * PATIENCE_SECONDS, "only the first of them waited"
    assert pace.ahead("job") == 100
    readers.offset = 99
    clock.now += PATIENCE_SECONDS
    produce(pace, [100])
    assert pace.ahead("job") == 2, "they move again, and count again"


def test_a_cancelled_job_waits_for_nothing_and_a_forgotten_one_counts_nothing(readers: Readers) -> None:
    pace = Pace(readers, "readers", clock=Clock())
    answers = itertools.chain([False, False, True], itertools.repeat(True))
    produce(pace, range(LEAD))
    pace.wait("job", LEAD, lambda: next(answers))
    pace.forget("job")
    pace.reported("job", (PLACE, LEAD))
    assert pace.ahead("job") == 0


def test_what_was_read_before_its_report_came_is_not_unread(readers: Readers) -> None:
    pace = Pace(readers, "readers", clock=Clock())
    produce(pace, range(LEAD))
    readers.offset = LEAD + 5
    produce(pace, range(LEAD, LEAD + 5))
    assert pace.ahead("job") == 0
    pace.wait("job", LEAD, never)
    pace.reported("job", None)
    assert pace.ahead("job") == 0
