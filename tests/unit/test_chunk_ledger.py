"""What waits on a decoder's account, and what may be deleted."""

from __future__ import annotations

from streams.decoder.ledger import ChunkLedger, Entry

TP = ("media.chunks.proxy", 2)
A, B = frozenset({"a"}), frozenset({"b"})


def ledger(*entries: Entry, start: int = 0) -> ChunkLedger:
    made = ChunkLedger()
    made.found(TP, start, start, 0)
    for entry in entries:
        made.sent(entry.size)
        made.delivered(TP, entry)
    return made


def test_bytes_count_from_sending_to_deletion() -> None:
    made = ChunkLedger()
    made.sent(10)
    made.sent(7)
    assert made.own_bytes == 17
    made.lost(7)
    made.delivered(TP, Entry(0, 10, A))
    assert made.own_bytes == 10
    made.trimmed(TP, 1)
    assert made.own_bytes == 0
    assert made.partitions() == []


def test_nothing_goes_that_a_needed_group_has_not_committed() -> None:
    made = ledger(Entry(0, 1, A), Entry(1, 1, A | B), Entry(2, 1, A))
    assert made.deletable(TP, {"a": 3, "b": 0}, 3) == 1
    assert made.deletable(TP, {"a": 3, "b": 2}, 3) == 3
    assert made.deletable(TP, {"a": 0, "b": 3}, 3) is None


def test_a_needed_group_that_is_not_known_has_committed_nothing() -> None:
    assert ledger(Entry(0, 1, B)).deletable(TP, {"a": 1}, 1) is None


def test_own_records_do_not_wait_for_groups_that_do_not_need_them() -> None:
    assert ledger(Entry(0, 1, A), Entry(1, 1, A)).deletable(TP, {"a": 2, "b": 0}, 2) == 2


def test_the_records_of_others_wait_for_every_known_group() -> None:
    made = ledger(Entry(0, 1, A), Entry(3, 1, A))
    assert made.deletable(TP, {"a": 4, "b": 2}, 4) == 2
    assert made.deletable(TP, {"a": 4, "b": 3}, 4) == 4
    assert made.deletable(TP, {}, 4) is None


def test_what_came_after_the_groups_were_asked_stays() -> None:
    made = ledger(Entry(0, 1, A))
    assert made.deletable(TP, {"a": 9}, 1) == 1
    assert made.deletable(TP, {"a": 9}, 5) == 5


def test_reports_may_come_out_of_order_and_after_the_deletion() -> None:
    made = ledger(Entry(2, 1, A), Entry(0, 1, B), Entry(1, 1, A))
    assert made.deletable(TP, {"a": 3, "b": 0}, 3) is None
    made.trimmed(TP, 3)
    made.sent(5)
    made.delivered(TP, Entry(1, 5, A))
    assert made.own_bytes == 0


def test_leftovers_count_by_their_number_until_the_log_begins_behind_them() -> None:
    made = ChunkLedger()
    made.found(TP, 10, 20, 100)
    assert made.leftover_bytes == 1000
    assert made.partitions() == [TP]
    assert made.deletable(TP, {"a": 10}, 20) is None
    assert made.deletable(TP, {"a": 15, "b": 13}, 20) == 13
    made.trimmed(TP, 13)
    assert made.leftover_bytes == 700
    made.trimmed(TP, 20)
    assert made.leftover_bytes == 0
    assert made.partitions() == []
