"""The aggregator dies between any two records of its changelog: nothing that it had is lost, and the same event comes."""

from __future__ import annotations

import asyncio
import random
from collections import ChainMap
from pathlib import Path

import pytest

from processors import tasks
from processors.sidecar import SidecarWriter
from streams.aggregator.service import Service
from streams.aggregator.store import RunStore
from tests.sums import PLANNED, Kafka, SumTask, messages_of, seeded


@pytest.fixture(autouse=True)
def only_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "registry", lambda: {"sum": SumTask()})


class Died(Exception):
    """The process has ended: a broker took no more of its changelog."""


class Changelog(dict[str, bytes]):
    """A table as :class:`streams.durable.DurableTable` writes it: ``kept`` is what a recovery would find.

    It takes ``room`` more records and dies at the next. What is written is taken at the next wait, what is deleted after that.
    """

    def __init__(self, kept: dict[str, bytes], room: int) -> None:
        super().__init__(kept)
        self.kept, self.room = kept, room
        self._written: dict[str, bytes] = {}
        self._deleted: dict[str, None] = {}

    def __setitem__(self, key: str, value: bytes) -> None:
        super().__setitem__(key, value)
        self._deleted.pop(key, None)
        self._written.pop(key, None)
        self._written[key] = value

    def pop(self, key: str, *default: object) -> object:  # type: ignore[override]
        if key in self:
            self._deleted[key] = None
        return super().pop(key, *default)

    async def persist(self) -> None:
        written, self._written = self._written, {}
        for key, value in written.items():
            self._take()
            self.kept[key] = value
        deleted, self._deleted = self._deleted, {}
        for key in deleted:
            self._take()
            self.kept.pop(key, None)

    def _take(self) -> None:
        if self.room == 0:
            raise Died
        self.room -= 1


def drive(folder: Path, rng: random.Random | None) -> tuple[Kafka, dict[str, bytes]]:
    """All messages through aggregators that die now and then; what was in work is handled again by the next."""
    kafka, writer = Kafka(), SidecarWriter((folder / "side").as_uri())
    kept: dict[str, bytes] = {}

    def fresh() -> tuple[Changelog, Service]:
        table = Changelog(kept, rng.randrange(12) if rng is not None else 1 << 30)
        return table, Service(table, writer, kafka.emit, persist=table.persist)

    async def main() -> None:
        table, service = fresh()
        for headers, value in [PLANNED, *messages_of(seeded())]:
            while True:
                try:
                    await service.handle(headers, value)
                    await table.persist()
                    break
                except Died:
                    table, service = fresh()

    asyncio.run(main())
    return kafka, kept


@pytest.mark.parametrize("seed", range(60))
def test_the_same_event_comes_wherever_the_changelog_breaks_off(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.aggregator.service.CHECKPOINT_CELLS", 3)
    quiet, left = drive(tmp_path, None)
    torn, kept = drive(tmp_path, random.Random(seed))
    assert set(torn.finals()) == set(quiet.finals())
    assert len(set(quiet.finals())) == 1
    store = RunStore(ChainMap(kept))
    assert store.open_runs() == [], "what a crash has left of a closed run is not under way"
    assert set(left) == {key for key in left if key.endswith("/closed")}


class Recovered(dict[str, bytes]):
    """A table that a timer looks at while it is being recovered."""

    generation = 0


def test_a_look_in_the_middle_of_a_recovery_hides_nothing(tmp_path: Path) -> None:
    """Another aggregator had the partition, and has died: what it left comes back after the first look."""
    *before, last = [PLANNED, *messages_of(seeded())]
    kafka, writer, table, left = Kafka(), SidecarWriter((tmp_path / "side").as_uri()), Recovered(), dict[str, bytes]()
    other, service = Service(left, writer, kafka.emit), Service(table, writer, kafka.emit)

    async def main() -> None:
        for headers, value in before:
            await other.handle(headers, value)
        assert service.in_flight() == []
        assert not service.busy
        table.update(left)
        table.generation += 1
        assert service.busy
        await service.handle(*last)

    asyncio.run(main())
    assert len(kafka.finals()) == 1


def test_what_a_crash_has_left_of_a_closed_run_goes_with_it() -> None:
    kept = {"a/r/closed": b'{"ce_id": "c", "at": "2026-01-01T00:00:00+00:00"}', "a/r/plan": b"{}", "a/r/cell/x": b""}
    store = RunStore(kept)
    assert (store.open_runs(), store.has_plan("a/r"), store.closed("a/r")) == ([], False, "c")
    store.expire("2026-02-01T00:00:00+00:00", like="a/r", same=lambda *_: True)
    assert kept == {}
