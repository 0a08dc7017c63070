"""Judging finished assets from media.metadata on a real broker; from upload to verdict see test_pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from schemas.events import ContentMetadata
from streams.cli import app
from streams.local.broker import Broker
from streams.topics import METADATA
from tests import looks
from tests.looks import MINE

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


def dailies(kafka: Broker, *args: str) -> Result:
    return CliRunner().invoke(app, ["judge", *args, "--bootstrap", kafka.bootstrap])


def finished(asset: str, loudness: float) -> ContentMetadata:
    made = looks.made(uri=f"file:///judge/{asset}.mov")
    figure = made.measurements[0].model_copy(update={"value": loudness})
    return made.model_copy(update={"asset": made.asset.model_copy(update={"id": asset}), "measurements": (figure,)})


@pytest.fixture(scope="module")
def told(kafka: Broker) -> Broker:
    """Assets as the aggregator leaves them: one that was analysed twice, one that is good, and one that was taken away."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    events = [
        finished("judge-twice", -30.0),
        finished("judge-twice", -20.0),
        finished("judge-good", -10.0),
        finished("judge-gone", -10.0),
    ]
    for event in events:
        producer.produce(METADATA.name, key=event.asset.id, value=event.model_dump_json())
    producer.produce(METADATA.name, key="judge-gone", value=None)
    assert producer.flush(20) == 0
    return kafka


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(MINE.format(limit=-15))
    return str(path)


@pytest.mark.parametrize(
    ("asset", "status", "measured"), [("judge-twice", 5, -20.0), ("file:///judge/judge-good.mov", 0, -10.0)]
)
def test_an_asset_by_its_id_or_uri_is_judged_by_its_newest_event(
    told: Broker, mine: str, asset: str, status: int, measured: float
) -> None:
    done = dailies(told, asset, "--profile", mine, "--json")
    (verdict,) = orjson.loads(done.stdout)["verdicts"]
    assert (done.exit_code, verdict["rules"][0]["measured"]) == (status, measured)


def test_all_finished_assets_are_judged_once(told: Broker, mine: str) -> None:
    done = dailies(told, "--all", "--profile", mine, "--json")
    bodies: list[dict[str, Any]] = [orjson.loads(line) for line in done.stdout.splitlines()]
    ours = {body["asset"]["id"]: body["verdicts"][0] for body in bodies if body["asset"]["id"].startswith("judge-")}
    assert {name: verdict["outcome"] for name, verdict in ours.items()} == {"judge-twice": "fail", "judge-good": "pass"}
    assert len(bodies) == len({body["asset"]["id"] for body in bodies})
    assert done.exit_code == 5


def test_an_asset_that_is_not_there(told: Broker, mine: str) -> None:
    done = dailies(told, "judge-nowhere", "--profile", mine)
    assert (done.exit_code, "there is no final event of 'judge-nowhere'" in done.stderr) == (1, True)
