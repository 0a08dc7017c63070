"""Workers of two releases at once, on a real broker: the asset is analysed right, or ends with the reason named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processors.analyse import analyse
from processors.equal import differences
from schemas.cell import CellResult, CellStatus
from schemas.events import ContentMetadata
from schemas.types import EventType
from streams import topics
from streams.aggregator.anew import ROUNDS
from streams.client import read_all
from streams.record import Record
from tests.fleet import Fleet, fleet_in, noise
from tests.lab import wait_for
from tests.stack import options

# The short form of it is tests/unit/test_versions.py.
pytestmark = [pytest.mark.kafka, pytest.mark.long, pytest.mark.timeout(600)]

TASKS = ("loudness", "audio-qc")
OPTIONS = options(TASKS)
OTHER_MAJOR = "2.0.0"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_in(tmp_path_factory.mktemp("fleet")) as found:
        yield found


@contextmanager
def other(fleet: Fleet, version: str) -> Iterator[None]:
    """A worker of another release, beside the others."""
    process = fleet.double("infers_other_version", task="loudness", version=version)
    try:
        yield
    finally:
        fleet.stop(process)


@contextmanager
def this(fleet: Fleet) -> Iterator[None]:
    """A worker of this release."""
    process = fleet.role("inference", "--group", "signals")
    try:
        yield
    finally:
        fleet.stop(process)


def answers(fleet: Fleet, run: str) -> list[CellResult]:
    """The results of loudness in a run."""
    records = [Record.from_confluent(message) for message in read_all(fleet.lab.bootstrap, topics.INFERENCES)]
    cells = [CellResult.from_message(r.headers, r.value) for r in records if r.headers["ce_type"] == EventType.CELL.encode()]
    return [cell for cell in cells if cell.key.run == run and cell.key.task == "loudness"]


def test_workers_of_one_major_version_work_on_one_asset(fleet: Fleet, tmp_path: Path) -> None:
    path = noise(tmp_path / "minor.wav", 90)
    with this(fleet), other(fleet, "1.0.1"):
        event = fleet.ingest(path, *OPTIONS)
    versions = {cell.key.task_version for cell in answers(fleet, event.run.id)}
    assert versions == {"1.0.0", "1.0.1"}, "both had some of the chunks"
    (producer,) = [one for one in event.producers if one.name == "loudness"]
    assert (producer.version, producer.versions) == ("1.0.1", ("1.0.0", "1.0.1"))
    assert differences(event, analyse(str(path), code="test", tasks_wanted=TASKS)) == []


def test_what_another_major_version_has_got_is_done_again_by_the_right_one(fleet: Fleet, tmp_path: Path) -> None:
    path = noise(tmp_path / "major.wav", 90)
    with this(fleet):
        with other(fleet, OTHER_MAJOR):
            waiting = fleet.start("ingest", str(path), "--wait", "--json", *OPTIONS)

            def answered() -> bool:
                records = [Record.from_confluent(message) for message in read_all(fleet.lab.bootstrap, topics.INFERENCES)]
                return any(b'"task_version":"2.0.0"' in record.headers.get("cell", b"") for record in records)

            wait_for(answered, "an answer of the other version")
        out, errors = waiting.communicate(timeout=240)
    assert waiting.returncode == 0, errors.decode()[-2000:]
    (event,) = events_of(out)
    said = [cell for cell in answers(fleet, event.run.id) if cell.key.task_version == OTHER_MAJOR]
    assert said and {cell.status for cell in said} == {CellStatus.SKIPPED}
    (producer,) = [one for one in event.producers if one.name == "loudness"]
    assert (producer.version, producer.versions) == ("1.0.0", ())
    assert differences(event, analyse(str(path), code="test", tasks_wanted=TASKS)) == []


def events_of(lines: bytes) -> list[ContentMetadata]:
    return [ContentMetadata.model_validate_json(line) for line in lines.splitlines()]


def test_where_nobody_has_the_version_the_gap_is_named_and_the_asset_planned_anew_a_few_times(
    fleet: Fleet, tmp_path: Path
) -> None:
    path = noise(tmp_path / "alone.wav", 12)
    with other(fleet, OTHER_MAJOR):
        first = fleet.ingest(path, *OPTIONS, status=3)
        wait_for(lambda: len(fleet.finals(first.asset.id)) == ROUNDS + 1, "the last round")
        events = fleet.finals(first.asset.id)
    assert len({event.run.id for event in events}) == ROUNDS + 1
    for event in events:
        assert event.run.status == "incomplete"
        assert {(gap.task, gap.reason.split(",")[0]) for gap in event.coverage.gaps} == {
            ("loudness", "task_version: loudness 1.0.0 is planned")
        }
    with this(fleet):
        assert fleet.dailies("ingest", str(path), "--wait", *OPTIONS).returncode == 3, "it is answered with the last event"
        again = fleet.ingest(path, *OPTIONS, "--again")
    assert len(fleet.finals(first.asset.id)) == ROUNDS + 2, "there were no further rounds"
    assert differences(again, analyse(str(path), code="test", tasks_wanted=TASKS)) == []
