"""The decoder on a real broker: what a job puts on the topics, and when its offset is committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from schemas.cell import CellResult
from schemas.chunk import ChunkHeader
from schemas.cloudevents import RAW, SAFETENSORS
from schemas.ids import digest
from schemas.types import EventType
from streams import topics
from streams.deadletters import DeadLetter
from streams.local.broker import Broker
from tests.integration.decoder_rig import (
    failures,
    make_job,
    manifests,
    of_type,
    records,
    running,
    settings,
    submit,
    until_committed,
)

pytestmark = pytest.mark.kafka

AUDIO = topics.CHUNKS["audio"].name


@pytest.fixture(scope="module")
def broker(kafka: Broker) -> str:
    """The decoder's group and topics are fixed, so these tests use them one after the other."""
    return kafka.bootstrap


@pytest.fixture(scope="module")
def attempts(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One decoder for all of these tests, and the folder where it counts attempts."""
    folder = tmp_path_factory.mktemp("decoder")
    with running(broker, settings(folder)):
        yield folder / "attempts" / "decoder"


def test_a_job_becomes_chunks_cells_and_a_manifest(broker: str, attempts: Path) -> None:
    job = make_job("whole")
    (place,) = submit(broker, job)
    until_committed(broker, place)
    (manifest,) = manifests(broker, "whole")
    chunks = {(r.topic, r.partition, r.offset): r for r in records(broker, AUDIO, "whole")}
    audio = [record for record in manifest.chunks if record.rendition == "audio"]
    assert len(audio) == len(chunks) == 4
    for record in audio:
        found = chunks[record.topic, record.partition, record.offset]
        header = ChunkHeader.from_bytes(found.headers["chunk"])
        assert record.digests == {"": header.digest} == {"": digest(found.value)}
        assert found.key == header.key == f"whole/a0/0/{record.n}".encode()
        assert orjson.loads(found.headers["tasks"]) == ["loudness"]
        assert found.headers["ce_type"].decode() == EventType.CHUNK
        assert found.headers["content-type"].decode() == RAW
        assert found.headers["ce_time"] == b"2026-01-01T00:00:00Z"
        assert found.headers["traceparent"] == b"00-trace"
    cells = of_type(records(broker, topics.INFERENCES.name, "whole"), EventType.CELL)
    results = [CellResult.from_message(r.headers, r.value) for r in cells]
    assert [r.digest for r in results] == [m.digests["test"] for m in manifest.chunks if m.rendition == "native"]
    assert {r.headers["content-type"].decode() for r in cells} == {SAFETENSORS}
    assert len({r.headers["ce_id"] for r in (*cells, *chunks.values())}) == 8


def test_a_child_that_crashes_gets_its_attempts_and_then_succeeds(broker: str, attempts: Path) -> None:
    (place,) = submit(broker, make_job("shaky", crash={"ledger": str(attempts), "times": 2}))
    until_committed(broker, place)
    assert failures(broker, "shaky") == []
    assert len(manifests(broker, "shaky")) == 1
    found = records(broker, AUDIO, "shaky")
    assert len(found) == 6
    assert len({(r.key, r.headers["ce_id"], digest(r.value), r.headers["chunk"]) for r in found}) == 4
    assert list(attempts.iterdir()) == []


def test_a_job_that_always_crashes_is_given_up_and_the_next_one_done(broker: str, attempts: Path) -> None:
    poison = make_job("poison", crash={"ledger": str(attempts), "times": 9})
    places = submit(broker, poison, make_job("after-poison"), partition_key=b"same")
    until_committed(broker, *places)
    (failure,) = failures(broker, "poison")
    assert failure["reason"] == "child_crashed"
    assert failure["attempts"] == 3
    assert manifests(broker, "poison") == []
    assert len(manifests(broker, "after-poison")) == 1
    letters = [DeadLetter.from_record(r) for r in records(broker, topics.DEAD_LETTERS.name, "same")]
    (letter,) = [one for one in letters if b"poison" in one.original.value]
    assert (letter.stage, letter.attempts, letter.error) == ("decoder", 3, "ChildCrashed")
    assert (letter.original.topic, letter.original.offset) == (places[0].topic, places[0].offset)


def test_a_source_that_changed_fails_the_job_at_once(broker: str, attempts: Path) -> None:
    (place,) = submit(broker, make_job("changed", changed=True))
    until_committed(broker, place)
    (failure,) = failures(broker, "changed")
    assert (failure["reason"], failure["attempts"]) == ("source_changed", 1)
    assert records(broker, topics.DEAD_LETTERS.name, "changed") == []


def test_a_child_without_a_manifest_has_failed(broker: str, attempts: Path) -> None:
    (place,) = submit(broker, make_job("silent", silent=True))
    until_committed(broker, place)
    assert [f["attempts"] for f in failures(broker, "silent")] == [3]


def test_what_is_no_job_goes_to_the_dead_letters(broker: str, attempts: Path) -> None:
    (place,) = submit(broker, b'{"run": 1}', partition_key=b"nonsense")
    until_committed(broker, place)
    (record,) = records(broker, topics.DEAD_LETTERS.name, "nonsense")
    assert DeadLetter.from_record(record).error == "BadJob"
