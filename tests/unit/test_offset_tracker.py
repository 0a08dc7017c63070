"""The offsets that may be committed while jobs end in any order."""

from __future__ import annotations

import pytest

from streams.decoder.offsets import OffsetTracker

TP = ("media.segments", 3)


def tracker() -> OffsetTracker:
    made = OffsetTracker()
    made.assigned(TP)
    return made


def test_nothing_is_committable_before_the_first_is_done() -> None:
    offsets = tracker()
    first, second = offsets.taken(TP, 5), offsets.taken(TP, 6)
    offsets.done(second)
    assert offsets.committable() == {}
    offsets.done(first)
    assert offsets.committable() == {TP: 7}


def test_a_committed_position_is_not_committed_again() -> None:
    offsets = tracker()
    offsets.done(offsets.taken(TP, 0))
    offsets.committed(TP, 1)
    assert offsets.committable() == {}
    offsets.done(offsets.taken(TP, 4))
    assert offsets.committable() == {TP: 5}


def test_a_ticket_of_an_earlier_assignment_is_void() -> None:
    offsets = tracker()
    old = offsets.taken(TP, 9)
    offsets.revoked(TP)
    offsets.done(old)
    assert offsets.committable() == {}
    offsets.assigned(TP)
    again = offsets.taken(TP, 9)
    offsets.done(old)
    assert not offsets.valid(old)
    assert offsets.committable() == {}
    offsets.done(again)
    assert offsets.committable() == {TP: 10}


def test_an_offset_that_goes_back_raises() -> None:
    offsets = tracker()
    offsets.done(offsets.taken(TP, 3))
    with pytest.raises(ValueError, match="after 3"):
        offsets.taken(TP, 3)
    offsets.taken(TP, 8)
    with pytest.raises(ValueError, match="after 8"):
        offsets.taken(TP, 7)


def test_the_span_is_what_a_crash_would_repeat() -> None:
    offsets = tracker()
    tickets = [offsets.taken(TP, n) for n in range(4)]
    for ticket in tickets[1:]:
        offsets.done(ticket)
    assert offsets.span(TP) == 4
    offsets.done(tickets[0])
    assert offsets.span(TP) == 0
    assert offsets.span(("other", 0)) == 0


def test_what_is_not_committed_is_behind() -> None:
    offsets = tracker()
    assert offsets.uncommitted(TP[0]) == 0
    first, second = offsets.taken(TP, 5), offsets.taken(TP, 6)
    assert offsets.uncommitted(TP[0]) == 2
    offsets.done(second)
    assert offsets.uncommitted(TP[0]) == 2, "a crash would repeat it"
    offsets.done(first)
    assert offsets.uncommitted(TP[0]) == 1
    offsets.committed(TP, 7)
    assert offsets.uncommitted(TP[0]) == 0 == offsets.uncommitted("other")
