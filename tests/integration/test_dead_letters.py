"""Dead letters as a tool, on a real broker: what failed is replayed once its cause is gone, and ends complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from processors.analyse import analyse
from processors.equal import differences
from streams import letterbox, topics
from streams.client import find
from streams.producer import Deliveries, make_producer
from tests.fleet import Fleet, fleet_in, noise
from tests.lab import wait_for
from tests.stack import options

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

TASKS = ("loudness", "audio-qc")
OPTIONS = options(TASKS)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_in(tmp_path_factory.mktemp("fleet")) as found:
        found.double("infers_fragile", task="loudness", n=1, fault=str(found.lab.folder / "fault"))
        yield found


def letters(fleet: Fleet, *options: str) -> list[dict[str, object]]:
    listed = fleet.dailies("dead-letters", "list", "--json", *options)
    assert listed.returncode == 0, listed.stderr.decode()
    found: list[dict[str, object]] = orjson.loads(listed.stdout)
    return found


def test_a_chunk_that_failed_is_replayed_and_the_gap_is_closed(fleet: Fleet, tmp_path: Path) -> None:
    path, fault = noise(tmp_path / "noise.wav", 12), fleet.lab.folder / "fault"
    fault.touch()
    first = fleet.ingest(path, *OPTIONS, "--correlation", "delivery_id=D-88", "--profile", "ebu-r128", status=3)
    assert [(gap.task, gap.stream) for gap in first.coverage.gaps] == [("loudness", "a0")]
    (letter,) = letters(fleet, "--asset", str(path))
    assert (letter["stage"], letter["error"], letter["attempts"]) == ("inference-signals/loudness", "ArithmeticError", 3)
    assert (letter["asset"], letter["run"], letter["uri"]) == (first.asset.id, first.run.id, path.as_uri())
    assert letter["replays"] == []

    would = fleet.dailies("dead-letters", "replay", str(letter["id"])[:8], "--dry-run")
    assert would.returncode == 0
    assert path.as_uri() in would.stdout.decode()
    assert letters(fleet, "--asset", first.asset.id) == [letter]

    fault.unlink()
    replayed = fleet.dailies("dead-letters", "replay", str(letter["id"])[:8], "--wait")
    assert replayed.returncode == 0, replayed.stderr.decode()[-2000:]
    last = find(fleet.lab.bootstrap, path.as_uri())
    assert last is not None
    assert last.run.id != first.run.id
    assert (last.asset, last.run.status, last.coverage.gaps) == (first.asset, "complete", ())
    assert last.correlation.delivery_id == "D-88"
    assert [verdict.profile for verdict in last.verdicts] == ["ebu-r128"]
    reference = analyse(str(path), code="test", tasks_wanted=TASKS, profiles=("ebu-r128",))
    assert differences(last, reference) == []
    assert [event.run.id for event in fleet.finals(first.asset.id)] == [first.run.id, last.run.id]

    (marked,) = letters(fleet, "--asset", str(path))
    assert marked["replays"]
    again = fleet.dailies("dead-letters", "replay", "--error", "ArithmeticError")
    assert again.returncode == 1
    assert b"replayed already" in again.stderr
    before = fleet.count(topics.UPLOADS)
    assert fleet.dailies("dead-letters", "replay", "--error", "ArithmeticError", "--again", "--wait").returncode == 0
    assert fleet.count(topics.UPLOADS) == before + 1
    assert len({event.run.id for event in fleet.finals(first.asset.id)}) == 3

    shown = fleet.dailies("show", str(path), "--no-plots")
    assert b"complete" in shown.stdout


def test_all_of_one_error_are_replayed_one_run_an_asset(fleet: Fleet, tmp_path: Path) -> None:
    fault = fleet.lab.folder / "fault"
    fault.touch()
    paths = [noise(tmp_path / f"{seed}.wav", 12, seed) for seed in (2, 3)]
    first = [fleet.ingest(path, *OPTIONS, status=3) for path in paths]
    fault.unlink()
    before = fleet.count(topics.UPLOADS)
    done = fleet.dailies("dead-letters", "replay", "--error", "arithmeticerror", "--stage", "inference", "--wait")
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert fleet.count(topics.UPLOADS) == before + 2
    for path, old in zip(paths, first, strict=True):
        event = find(fleet.lab.bootstrap, old.asset.id)
        assert event is not None
        assert event.run.status == "complete"
        assert differences(event, analyse(str(path), code="test", tasks_wanted=TASKS)) == []


def test_a_poison_upload_lands_in_the_dead_letters_again_and_no_further(fleet: Fleet) -> None:
    deliveries = Deliveries(make_producer(fleet.lab.bootstrap))
    deliveries.produce(topics.UPLOADS.name, key=b"k", value=b"not json", headers={"ce_id": b"poison"})
    deliveries.flush_all()

    def poison() -> list[letterbox.Letter]:
        return [one for one in letterbox.read(fleet.lab.bootstrap) if one.dead.original.value == b"not json"]

    wait_for(lambda: len(poison()) == 1, "the dead letter")
    (first,) = poison()
    shown = fleet.dailies("dead-letters", "show", first.id[:10])
    assert shown.returncode == 0
    assert b"not JSON" in shown.stdout
    assert b"8 bytes" in shown.stdout
    before = fleet.count(topics.UPLOADS)
    done = fleet.dailies("dead-letters", "replay", first.id, "--wait")
    assert done.returncode == 4, done.stderr.decode()
    old, new = poison()
    assert old.replays and not new.replays
    assert new.dead.original.headers["replay_of"] == first.id.encode()
    listed = fleet.dailies("dead-letters", "list", "--error", "WireError")
    assert listed.stdout.count(b"WireError") == 2
    # Everything behind it is planned, and nothing came of the poison but its letter.
    assert fleet.dailies("dead-letters", "replay", first.id).returncode == 1
    assert fleet.count(topics.UPLOADS) == before + 1


def test_what_cannot_be_replayed_is_said(fleet: Fleet) -> None:
    for arguments, said in (
        (("show", "zzz"), b"there is no dead letter"),
        (("replay", "zzz"), b"there is no dead letter"),
        (("replay", "--error", "NoSuchError"), b"no dead letter matches"),
    ):
        done = fleet.dailies("dead-letters", *arguments)
        assert done.returncode == 1
        assert said in done.stderr
    assert fleet.dailies("dead-letters", "replay").returncode == 2


def test_an_asset_that_was_cancelled_is_analysed_when_it_is_asked_for_again(fleet: Fleet, tmp_path: Path) -> None:
    path = noise(tmp_path / "cancelled.wav", 12, 4)
    (decoder,) = [process for process in fleet.made if "decoder" in process.args]
    fleet.stop(decoder)
    waiting = fleet.start("ingest", str(path), "--wait", "--json", *OPTIONS)
    wait_for(lambda: fleet.dailies("cancel", str(path), "--reason", "wrong reel").returncode == 0, "the plan")
    out, _ = waiting.communicate(timeout=120)
    assert waiting.returncode == 3
    cancelled = orjson.loads(out)
    fleet.role("decoder")
    assert fleet.ingest(path, *OPTIONS, status=3).run.id == cancelled["run"]["id"]
    again = fleet.ingest(path, *OPTIONS, "--again")
    assert again.run.id != cancelled["run"]["id"]
    assert differences(again, analyse(str(path), code="test", tasks_wanted=TASKS)) == []
