"""Whatever order jobs end in, what is committed is always a prefix of finished jobs, and in the end all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.decoder.offsets import OffsetTracker

TP = ("media.segments", 0)


@given(gaps=st.lists(st.integers(1, 4), min_size=1, max_size=30), data=st.data())
def test_committed_offsets_are_a_finished_prefix(gaps: list[int], data: st.DataObject) -> None:
    tracker = OffsetTracker()
    tracker.assigned(TP)
    offsets = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    waiting, open_, done = list(offsets), {}, set()
    committed = 0
    while waiting or open_:
        if waiting and (not open_ or data.draw(st.booleans())):
            offset = waiting.pop(0)
            open_[offset] = tracker.taken(TP, offset)
        else:
            offset = data.draw(st.sampled_from(sorted(open_)))
            tracker.done(open_.pop(offset))
            done.add(offset)
        for tp, position in tracker.committable().items():
            assert position > committed
            assert all(o in done for o in offsets if o < position)
            committed = position
            if data.draw(st.booleans()):
                tracker.committed(tp, position)
            else:
                committed = position - 1
    assert tracker.committable().get(TP, offsets[-1] + 1) == offsets[-1] + 1
    assert tracker.span(TP) == 0
