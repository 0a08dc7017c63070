"""The decoder's share of the byte budget, with a log in memory in place of Kafka's answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping

import pytest

from streams.chunklog import ChunkLog
from streams.decoder.budget import TYPICAL_BYTES, Budget, Readers
from streams.decoder.offsets import TP
from streams.decoder.source_of_jobs import MEMBERS_EACH
from streams.groups import DECODERS
from streams.producer import Delivered
from streams.topics import Topic

TOPIC = Topic("chunks", 1, "key")
PLACE = ("chunks", 0)
NEED = frozenset({"readers"})


class LogInMemory(ChunkLog):
    """One partition and its groups."""

    def __init__(self, *, end: int = 0, decoders: int = 1) -> None:
        self.start, self.end, self.decoders = 0, end, decoders
        self.groups: dict[str, int] = {}

    def close(self) -> None:
        pass

    def starts(self, tps: Iterable[TP]) -> dict[TP, int]:
        return dict.fromkeys(tps, self.start)

    def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        return dict.fromkeys(tps, self.end)

    def members(self, groups: Iterable[str]) -> dict[str, int]:
        return {group: self.decoders * MEMBERS_EACH if group == DECODERS else 0 for group in groups}

    def committed(self, group: str, tps: Iterable[TP]) -> dict[TP, int]:
        return dict.fromkeys(tps, self.groups[group]) if group in self.groups else {}

    def register(self, group: str, tps: Iterable[TP]) -> bool:
        self.groups.setdefault(group, self.start)
        return True

    def delete(self, below: Mapping[TP, int]) -> dict[TP, int]:
        self.start = max([self.start, *below.values()])
        return dict.fromkeys(below, self.start)


def made(log: LogInMemory, total: int) -> Budget:
    budget = Budget(total, log, {"proxy": Readers(TOPIC, NEED)})
    budget.take_stock()
    return budget


def produce(budget: Budget, log: LogInMemory, size: int) -> bool:
    """Admit and deliver a chunk; False if there is no room."""
    if not budget.admit(size, lambda: True):
        return False
    budget.reported(Delivered(*PLACE, log.end), size=size, groups=NEED)
    log.end += 1
    return True


def never() -> bool:
    return False


def test_chunks_are_admitted_up_to_the_limit_and_again_when_read() -> None:
    log = LogInMemory()
    budget = made(log, 100)
    budget.require("proxy", NEED, never)
    assert [produce(budget, log, 40) for _ in range(3)] == [True, True, False]
    budget.tend()
    assert (log.start, budget.waiting) == (0, 80)
    log.groups["readers"] = 1
    budget.tend()
    assert (log.start, budget.waiting) == (1, 40)
    assert produce(budget, log, 40)


def test_a_chunk_larger_than_the_budget_goes_alone() -> None:
    log = LogInMemory()
    budget = made(log, 10)
    assert [produce(budget, log, 500), produce(budget, log, 1)] == [True, False]


def test_a_refused_chunk_gives_its_bytes_back() -> None:
    log = LogInMemory()
    budget = made(log, 10)
    assert budget.admit(10, never)
    budget.reported(None, size=10, groups=NEED)
    assert budget.waiting == 0


def test_the_budget_is_shared_by_the_live_decoders() -> None:
    log = LogInMemory(decoders=4)
    budget = made(log, 100)
    assert budget.limit == 25
    log.decoders = 2
    budget.tend()
    assert budget.limit == 50


@pytest.mark.parametrize(("found", "counted"), [(3, 3 * TYPICAL_BYTES), (1000, 8 * TYPICAL_BYTES)])
def test_what_was_there_before_counts_up_to_half_of_the_share(found: int, counted: int) -> None:
    log = LogInMemory(end=found)
    budget = made(log, 16 * TYPICAL_BYTES)
    assert budget.waiting == counted
    budget.tend()
    assert log.start == 0
    log.groups["readers"] = found
    budget.tend()
    assert (log.start, budget.waiting) == (found, 0)


def test_nothing_is_admitted_before_stock_is_taken() -> None:
    assert not Budget(100, LogInMemory(), {"proxy": Readers(TOPIC, NEED)}).admit(1, lambda: True)


def test_the_log_is_tended_at_leisure_while_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    log = LogInMemory()
    monkeypatch.setattr(log, "members", lambda groups: looks.append(1) or dict.fromkeys(groups, MEMBERS_EACH))
    monkeypatch.setattr("streams.decoder.budget.CALM_SECONDS", 0.2)
    budget = made(log, 10)
    began = time.monotonic()
    budget.start()
    while len(looks) < 4:
        time.sleep(0.01)
    budget.close()
    assert time.monotonic() - began > 0.2, "three looks of its own, and a pause between each two"


def test_who_waits_for_room_is_woken() -> None:
    log = LogInMemory()
    budget = made(log, 10)
    budget.require("proxy", NEED, never)
    assert produce(budget, log, 10)
    admitted = threading.Event()
    thread = threading.Thread(target=lambda: budget.admit(10, never) and admitted.set())
    thread.start()
    log.groups["readers"] = 1
    budget.tend()
    assert admitted.wait(10)
    thread.join()


def test_who_waits_for_room_gives_signs_while_the_log_is_tended() -> None:
    log, signs = LogInMemory(end=1), threading.Semaphore(0)
    budget = Budget(10, log, {"proxy": Readers(TOPIC, NEED)}, waits=signs.release)
    log.groups["readers"] = 0
    budget.start()
    assert budget.admit(10, never)
    ended = threading.Event()
    thread = threading.Thread(target=lambda: budget.admit(10, ended.is_set))
    thread.start()
    assert all(signs.acquire(timeout=10) for _ in range(3))
    assert budget.waiters == 1
    budget.close()
    while signs.acquire(timeout=0.5):
        pass
    assert thread.is_alive() and not signs.acquire(timeout=0.5), "it lives on what nobody tends"
    ended.set()
    thread.join()
