"""The inference role on a real broker: the same cells as a direct call gives, and one task's failure is only its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import faust
import numpy as np
import orjson
import pytest

from processors.infer import infer
from schemas import cloudevents
from schemas.cell import CellResult, CellStatus, Signals
from schemas.chunk import Chunk
from schemas.types import EventType
from streams import admin, inference
from streams.deadletters import DeadLetter
from streams.groups import SIGNALS, inference_group
from streams.local.broker import Broker
from streams.record import Record
from streams.topics import CHUNKS, DEAD_LETTERS, INFERENCES, Topic
from tests.lab import WAIT_SECONDS, Lab, wait_for
from tests.sound import make_chunks

pytestmark = pytest.mark.kafka

AUDIO = CHUNKS["audio"]
TIME = "2026-01-02T03:04:05Z"
GROUP = inference_group(SIGNALS)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of this module's own: the role's topics and group have fixed names."""
    with Broker(tmp_path_factory.mktemp("inference")) as broker:
        admin.apply(broker.bootstrap)
        yield broker


@pytest.fixture
def lab(broker: Broker, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(broker.bootstrap, tmp_path)
    yield lab
    lab.end()


@pytest.fixture
def chunks(request: pytest.FixtureRequest) -> list[Chunk]:
    rng = np.random.default_rng(4)
    samples = (rng.standard_normal((48000 * 6, 2)) * 3000).astype(np.int16)
    made = make_chunks(samples, 48000, cuts=(200, 400), after=40)
    return [replace_header(chunk, asset=request.node.name) for chunk in made]


def send(lab: Lab, made: Chunk, names: list[str], **changed: str) -> None:
    head = {
        "chunk": made.header.to_bytes().decode(),
        "tasks": orjson.dumps(names).decode(),
        "ce_time": TIME,
        "traceparent": "tp",
    }
    lab.send(AUDIO, [(made.header.key, bytes(made.data))], **(head | changed))


def mine(lab: Lab, topic: Topic, chunks: list[Chunk]) -> list[Record]:
    """The records of this test's asset."""
    asset = chunks[0].header.asset.encode()
    return [record for record in lab.read(topic) if (record.key or b"").split(b"/")[0] == asset]


def cells(lab: Lab, chunks: list[Chunk]) -> dict[tuple[str, int], tuple[CellResult, Record]]:
    found = {}
    for record in mine(lab, INFERENCES, chunks):
        result = CellResult.from_message(record.headers, record.value)
        found[result.key.task, result.key.n] = (result, record)
    return found


def letters(lab: Lab, chunks: list[Chunk]) -> list[DeadLetter]:
    return [DeadLetter.from_record(record) for record in mine(lab, DEAD_LETTERS, chunks)]


def run(lab: Lab) -> None:
    def make() -> faust.App:
        return inference.make(lab.settings, lab.bootstrap, group=SIGNALS)

    lab.run(make, lambda: lab.lag(GROUP, AUDIO) == 0)


def test_cells_equal_a_direct_call(lab: Lab, chunks: list[Chunk]) -> None:
    for chunk in chunks:
        send(lab, chunk, ["loudness", "audio-qc", "a task of another group"])
    send(lab, replace_header(chunks[0], segment=7), ["audio-qc"])
    run(lab)
    loaded = {
        one.task.name: one for one in inference.load(inference.select("signals", ["loudness", "audio-qc"]), "cpu")["audio"]
    }
    found = [CellResult.from_message(record.headers, record.value) for record in mine(lab, INFERENCES, chunks)]
    assert len(found) == 7
    for result in found:
        one = loaded[result.key.task]
        direct = infer(one.task, one.runner, replace_header(chunks[result.key.n], segment=result.key.segment))
        assert result == replace(direct, seconds=result.seconds) and result.status is CellStatus.OK
    record = mine(lab, INFERENCES, chunks)[0]
    result = CellResult.from_message(record.headers, record.value)
    assert record.key == chunks[0].header.asset.encode() and record.headers["ce_id"] == result.key.id.encode()
    assert record.headers["ce_type"] == EventType.CELL.encode() and record.headers["ce_time"] == TIME.encode()
    assert record.headers["content-type"] == cloudevents.SAFETENSORS.encode() and record.headers["traceparent"] == b"tp"


def replace_header(chunk: Chunk, **changed: Any) -> Chunk:
    return Chunk(replace(chunk.header, **changed), chunk.data)


def test_what_is_no_chunk_goes_to_the_dead_letters(lab: Lab, chunks: list[Chunk]) -> None:
    damaged = replace(chunks[0], data=bytes(len(bytes(chunks[0].data))))
    send(lab, damaged, ["loudness"])
    send(lab, chunks[1], ["loudness"], chunk="{}")
    send(lab, chunks[1], ["loudness"], tasks="null")
    send(lab, chunks[2], ["loudness"])
    run(lab)
    assert {key: result.status for key, (result, _) in cells(lab, chunks).items()} == {
        ("loudness", 0): CellStatus.FAILED,  # its headers are sound: its cell is accounted for
        ("loudness", 2): CellStatus.OK,
    }
    assert [letter.error for letter in letters(lab, chunks)] == ["WireError"] * 3


@dataclass(frozen=True)
class Stubborn:
    """A runner that raises on every second chunk."""

    runtime: str = "test"

    def __call__(self, chunk: Chunk) -> Signals:
        if chunk.header.n % 2:
            raise ArithmeticError("odd")
        return Signals(0, 0)


def test_a_task_that_raises_leaves_the_others_alone(lab: Lab, chunks: list[Chunk], monkeypatch: pytest.MonkeyPatch) -> None:
    load = inference.load

    def load_with_a_fault(tasks: list[Any], device: str) -> dict[str, list[inference.Loaded]]:
        audio = [
            inference.Loaded(one.task, Stubborn()) if one.task.name == "audio-qc" else one
            for one in load(tasks, device)["audio"]
        ]
        return {"audio": audio}

    monkeypatch.setattr(inference, "load", load_with_a_fault)
    for chunk in chunks:
        send(lab, chunk, ["audio-qc", "loudness"])
    run(lab)
    found = cells(lab, chunks)
    assert {key for key, (result, _) in found.items() if result.status is CellStatus.FAILED} == {("audio-qc", 1)}
    assert len(found) == 6
    failed, record = found["audio-qc", 1]
    assert orjson.loads(failed.value) == {"error": "ArithmeticError", "message": "odd"}
    assert failed.digest == chunks[1].header.digest and record.headers["content-type"] == b"application/json"
    (letter,) = letters(lab, chunks)
    assert (letter.stage, letter.attempts, letter.error) == ("inference-signals/audio-qc", 3, "ArithmeticError")
    assert letter.original.value == bytes(chunks[1].data)


@pytest.mark.chaos
def test_a_task_that_kills_its_process_is_told_from_its_neighbours(lab: Lab, chunks: list[Chunk]) -> None:
    send(lab, chunks[0], ["audio-qc", "loudness"])
    for _ in range(3):
        assert lab.start("infers_deadly").wait(WAIT_SECONDS) == -signal.SIGKILL
    worker = lab.start("infers_deadly")
    wait_for(lambda: set(cells(lab, chunks)) == {("audio-qc", 0), ("loudness", 0)}, "both cells")
    found = cells(lab, chunks)
    assert found["loudness", 0][0].status is CellStatus.OK
    assert found["audio-qc", 0][0].status is CellStatus.FAILED
    (letter,) = letters(lab, chunks)
    assert (letter.error, letter.attempts) == ("Killed", 3)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WAIT_SECONDS) == 0
