"""The oracle can fail: each verdict on a history that was doctored for it, and none on the history as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from processors import tasks
from processors.sidecar import SidecarWriter
from schemas import cloudevents
from schemas.events import ContentMetadata
from schemas.ids import digest
from schemas.types import EventType
from streams import topics
from streams.aggregator.service import Service
from streams.deadletters import dead_letter
from streams.record import Record
from tests.chaos.ledger import Ledger, Seen
from tests.chaos.oracle import Violation, canonical, different, strangers, verify
from tests.sums import PLANNED, SumTask, messages_of, plan, seeded

UPLOAD = plan().caused_by
Doctor = Callable[[list[Seen]], list[Seen]]


class Broker:
    """Gives each record its place and its append time."""

    def __init__(self) -> None:
        self.records: list[Seen] = []

    def put(self, topic: str, key: bytes | None, value: bytes, headers: cloudevents.Headers) -> tuple[str, int, int]:
        number = len(self.records)
        self.records.append(Seen(topic, 0, number, number, key, value, headers, digest(value)))
        return topic, 0, number

    async def emit(self, topic: str, key: bytes, value: bytes, headers: cloudevents.Headers) -> tuple[str, int, int]:
        return self.put(topic, key, value, headers)


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """One upload from its event to its final event, as the aggregator's own code writes it."""
    monkeypatch.setattr(tasks, "registry", lambda: {"sum": SumTask()})
    broker = Broker()
    service = Service({}, SidecarWriter((tmp_path / "side").as_uri()), broker.emit)
    broker.put(topics.UPLOADS.name, b"k", b"{}", {"ce_id": UPLOAD.encode()})

    async def drive() -> None:
        for topic, (headers, value) in [(topics.ASSETS, PLANNED), *((topics.INFERENCES, m) for m in messages_of(seeded()))]:
            broker.put(topic.name, b"a", value, headers)
            await service.handle(headers, value)

    asyncio.run(drive())
    return broker.records


def of_type(records: list[Seen], kind: EventType) -> list[Seen]:
    return [seen for seen in records if seen.type == kind]


def reactions(records: list[Seen]) -> list[Seen]:
    return [seen for seen in of_type(records, EventType.REACTION) if b'"seq"' in seen.value]


def without(*gone: Seen) -> Doctor:
    return lambda records: [seen for seen in records if seen not in gone]


def judged(records: list[Seen]) -> set[str]:
    ledger = Ledger()
    ledger.add_all(records)
    return {v.verdict for v in [*verify(ledger, [UPLOAD]), *strangers(ledger, [UPLOAD])]}


def changed(seen: Seen, **body: object) -> Seen:
    value = orjson.dumps({**orjson.loads(seen.value), **body})
    return replace(seen, value=value, digest=digest(value))


def later(seen: Seen) -> Seen:
    return replace(seen, at=seen.at + 10_000)


def swap(records: list[Seen], one: Seen, other: Seen) -> list[Seen]:
    return [other if seen is one else one if seen is other else seen for seen in records]


def test_a_true_history_is_beyond_reproach(history: list[Seen]) -> None:
    assert len(reactions(history)) > 2
    assert judged(history) == set()
    assert judged(history * 2) == set(), "repeats are no effect"


@pytest.mark.parametrize("kind", [EventType.METADATA, EventType.PLANNED, EventType.MANIFEST, EventType.CELL])
def test_what_is_gone_is_lost(history: list[Seen], kind: EventType) -> None:
    records = without(of_type(history, kind)[-1])(history)
    assert "lost" in judged(records)


def test_a_reaction_that_is_gone_is_lost_and_leaves_a_hole(history: list[Seen]) -> None:
    last = reactions(history)[-1]
    assert judged(without(last)(history)) == {"lost"}, "a finding that nobody was told of"
    assert "reordered" in judged(without(reactions(history)[0])(history))


def test_cells_that_the_final_event_does_not_count_are_lost(history: list[Seen]) -> None:
    (final,) = of_type(history, EventType.METADATA)
    event = orjson.loads(final.value)
    event["coverage"]["chunks"] |= {"expected": 5, "ok": 5}
    records = [changed(seen, coverage=event["coverage"]) if seen is final else seen for seen in history]
    assert judged(records) == {"lost"}


def test_a_second_final_event_is_doubled_if_it_differs(history: list[Seen]) -> None:
    (final,) = of_type(history, EventType.METADATA)
    assert judged([*history, later(final)]) == set()
    assert judged([*history, changed(later(final), findings=[])]) == {"doubled"}
    other = replace(later(final), headers=final.headers | {"ce_id": b"other"})
    assert judged([*history, other]) == {"doubled"}


def test_one_number_for_two_reactions_is_doubled(history: list[Seen]) -> None:
    first = reactions(history)[0]
    assert judged([*history, changed(first, phase="update")]) == {"doubled"}


def test_two_results_of_one_cell_are_doubled_if_they_differ(history: list[Seen]) -> None:
    cell = of_type(history, EventType.CELL)[0]
    assert judged([*history, cell]) == set()
    assert judged([*history, replace(cell, digest="another")]) == {"doubled"}


def test_two_runs_for_one_upload_are_doubled(history: list[Seen]) -> None:
    (planned,) = of_type(history, EventType.PLANNED)
    assert "doubled" in judged([*history, changed(planned, run="r2")])


@pytest.mark.parametrize("kind", [EventType.CELL, EventType.MANIFEST])
def test_a_final_event_before_what_it_counts_is_torn(history: list[Seen], kind: EventType) -> None:
    one = of_type(history, kind)[0]
    assert judged([later(seen) if seen is one else seen for seen in history]) == {"torn"}
    assert judged([*history, later(one)]) == set(), "a repeat may come after it"


def test_a_reaction_after_the_final_event_is_torn(history: list[Seen]) -> None:
    last = reactions(history)[-1]
    assert judged([later(seen) if seen is last else seen for seen in history]) == {"torn"}


def test_reactions_out_of_order_are_reordered(history: list[Seen]) -> None:
    first, second = reactions(history)[:2]
    assert judged(swap(history, first, second)) == {"reordered"}
    assert judged([*history, first]) == set(), "a repeat may come after later ones"


def test_strangers_and_unreadable_records_are_unseen(history: list[Seen]) -> None:
    (planned,) = of_type(history, EventType.PLANNED)
    assert judged([*history, changed(planned, run="r2", caused_by="someone else")]) == {"unseen"}
    assert judged([*history, replace(planned, value=b"not json")]) == {"unseen"}
    assert judged([*history, replace(planned, headers={"ce_type": b"what.is.this"})]) == {"unseen"}
    assert judged([*history, Seen(topics.UPLOADS.name, 0, 0, 0, b"k", b"{}", {"ce_id": b"other"}, "")]) == {"unseen"}


def test_a_dead_letter_accounts_for_an_upload(history: list[Seen]) -> None:
    upload = history[0]
    original = Record(*upload.place, key=upload.key, value=upload.value, headers=upload.headers)
    key, value, headers = dead_letter(original, stage="planner", attempts=3, error=ValueError("no"))
    letter = Seen(topics.DEAD_LETTERS.name, 0, 0, 1, key, value, headers, digest(value))
    assert judged([upload]) == {"lost"}
    assert judged([upload, letter]) == set()
    elsewhere = replace(letter, headers=headers | {"dl_offset": b"77"})
    assert judged([*history, elsewhere]) == {"unseen"}


def test_only_names_and_times_may_differ_from_the_quiet_run(history: list[Seen]) -> None:
    (final,) = of_type(history, EventType.METADATA)

    def body(seen: Seen) -> bytes:
        return canonical(seen, ContentMetadata.model_validate_json(seen.value), "file:///", [UPLOAD])

    event = orjson.loads(final.value)
    slower = changed(final, producers=[{**producer, "seconds": 9.75} for producer in event["producers"]])
    assert event["producers"]
    assert body(slower) == body(changed(final))
    other = final.value.replace(plan().asset.id.encode(), b"b" * 32)
    renamed = replace(final, value=other, headers={k: v.replace(b"a" * 32, b"b" * 32) for k, v in final.headers.items()})
    assert body(renamed) == body(final)
    assert different({"x": body(final)}, {"x": body(renamed), "y": b"not in the quiet run"}) == []
    for measurement in event["measurements"]:
        measurement["value"] += 1e-12
    (found,) = different({"x": body(final)}, {"x": body(changed(final, measurements=event["measurements"]))})
    assert isinstance(found, Violation)
    assert found.verdict == "different"
