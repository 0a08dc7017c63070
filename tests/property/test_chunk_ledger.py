"""Several decoders write one partition and delete from it: nothing needed is ever lost, and in the end all of it goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.decoder.ledger import ChunkLedger, Entry

TP = ("media.chunks.audio", 0)
GROUPS = ("a", "b", "c")


class World:
    """A partition with its groups' positions, as the broker keeps them."""

    def __init__(self, decoders: int) -> None:
        self.log: list[Entry] = []
        self.start = 0
        self.committed: dict[str, int] = {}
        self.ledgers = [ChunkLedger() for _ in range(decoders)]
        for ledger in self.ledgers:
            ledger.found(TP, 0, 0, 1.0)

    def produce(self, decoder: int, groups: frozenset[str]) -> None:
        for group in groups:
            self.committed.setdefault(group, self.start)
        entry = Entry(len(self.log), 1 + len(self.log) % 3, groups)
        self.log.append(entry)
        self.ledgers[decoder].sent(entry.size)
        self.ledgers[decoder].delivered(TP, entry)

    def tend(self, decoder: int) -> None:
        ledger = self.ledgers[decoder]
        ledger.trimmed(TP, self.start)
        below = ledger.deletable(TP, self.committed, len(self.log))
        if below is None:
            return
        for entry in self.log[self.start : below]:
            assert all(self.committed[group] > entry.offset for group in entry.groups)
        assert self.start < below <= len(self.log)
        self.start = below
        ledger.trimmed(TP, below)


@given(decoders=st.integers(1, 3), steps=st.integers(1, 60), data=st.data())
def test_no_needed_record_is_deleted_and_all_go_in_the_end(decoders: int, steps: int, data: st.DataObject) -> None:
    world = World(decoders)
    for _ in range(steps):
        match data.draw(st.sampled_from(["produce", "commit", "tend"])):
            case "produce":
                groups = frozenset(data.draw(st.sets(st.sampled_from(GROUPS), min_size=1)))
                world.produce(data.draw(st.integers(0, decoders - 1)), groups)
            case "commit" if world.committed:
                group = data.draw(st.sampled_from(sorted(world.committed)))
                world.committed[group] = data.draw(st.integers(world.committed[group], len(world.log)))
            case _:
                world.tend(data.draw(st.integers(0, decoders - 1)))
    world.committed = dict.fromkeys(world.committed, len(world.log))
    for decoder in range(decoders):
        world.tend(decoder)
        world.ledgers[decoder].trimmed(TP, world.start)
    assert world.start == len(world.log)
    assert all(ledger.own_bytes == 0 for ledger in world.ledgers)
