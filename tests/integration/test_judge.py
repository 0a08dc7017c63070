"""Judging on a real broker: finished assets from media.metadata, and a profile of one's own from upload to verdict."""

from __future__ import annotations

from collections.abc import Iterator
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
from tests.fleet import noise
from tests.stack import Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

MINE = """\
name = "mine"
title = "Mine"
reference = "R"

[[rules]]
id = "loud-enough"
code = "loudness.integrated"
op = ">="
limit = {limit}
unit = "LUFS"
outcome = "fail"
severity = "major"
overridable = false
"""


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


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    (tmp_path / "profiles").mkdir()
    with Stack(tmp_path / "stack", settings={"DAILIES_PROFILES": str(tmp_path / "profiles")}) as found:
        yield found


def test_a_profile_of_ones_own_from_upload_to_verdict(stack: Stack, tmp_path: Path) -> None:
    """The name in the upload is found by the planner; an edit judges again at once, and is another run for who asks again."""
    profile, sound = tmp_path / "profiles" / "mine.toml", noise(tmp_path / "noise.wav", 4)
    options = ("--task", "loudness", "--profile", "mine")
    profile.write_text(MINE.format(limit=-90))
    (before,) = stack.ingest(sound, options=options)
    assert [(v.profile, v.outcome, v.rules[0].limit) for v in before.verdicts] == [("mine", "pass", -90.0)]
    profile.write_text(MINE.format(limit=0))
    judged = stack.dailies("judge", before.asset.id, "--json")
    (verdict,) = orjson.loads(judged.stdout)["verdicts"]
    assert (judged.returncode, verdict["was"], verdict["rules"][0]["limit"]) == (5, "pass", 0.0)
    (after,) = stack.ingest(sound, options=options)
    assert after.run.id != before.run.id
    (again,) = after.verdicts
    assert again.model_dump(mode="json") == {k: v for k, v in verdict.items() if k != "was"}
    profile.write_text("name = 1")
    (refused,) = stack.ingest(sound, options=options, status=4)
    assert (refused.run.reason or "").startswith("bad_profile: mine.toml:1: name: ")
