"""The whole path on a real broker, as a user starts it: `dailies up`, `ingest --wait`, `show`, against `analyse`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import orjson
import pytest
from jsonschema import Draft202012Validator

from processors import sample
from processors.analyse import analyse
from processors.equal import differences
from processors.tasks import registry
from schemas import cloudevents, generate
from schemas.events import ContentMetadata
from schemas.types import SCHEMA_OF
from streams import topics
from streams.client import read_all
from tests.fleet import noise
from tests.looks import MINE
from tests.stack import QUICK, Stack, options
from tests.tools import require_tool

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

LARGER = ["pyscenedetect_testvideo.mp4", "aspect_ratio_sar16_11.mp4"]
CLIPS = ["nasa_13013.mp4", "rotated.mp4", "testsrc2_h265.mp4", *(pytest.param(name, marks=pytest.mark.long) for name in LARGER)]

WANTED = None if os.environ.get("DAILIES_ALL_TASKS") == "1" else QUICK
"""What runs on the sample and the clips. The shot network takes a minute on each: ``make accuracy`` has all tasks."""


def remux(source: Path, target: Path, *, seconds: float) -> None:
    """Copy the packets of the first seconds."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.dts is not None and packet.dts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    (folder := tmp_path_factory.mktemp("profiles")).joinpath("mine.toml").write_text(MINE.format(limit=-90))
    with Stack(tmp_path_factory.mktemp("stack"), {"DAILIES_PROFILES": str(folder)}) as found:
        yield found


def test_sample_is_found_as_it_was_made(stack: Stack, programme: tuple[Path, sample.Truth]) -> None:
    path, truth = programme
    (event,) = stack.ingest(path, options=options(WANTED))
    assert event.run.status == "complete"
    rows = sample.compare(truth, event)
    assert rows
    wrong = [row for row in rows if not row.ok]
    assert [row for row in wrong if WANTED is None or row.what != "shot boundaries"] == []
    assert differences(event, analyse(str(path), code="test", device="cpu", tasks_wanted=WANTED)) == []
    shown = stack.dailies("show", event.asset.id)
    assert shown.returncode == 0
    assert b"Verdict" in shown.stdout


def test_every_task_equals_whole_file_analysis(stack: Stack, programme: tuple[Path, sample.Truth], tmp_path: Path) -> None:
    path = tmp_path / "start.mov"
    remux(programme[0], path, seconds=5)
    (event,) = stack.ingest(path)
    assert {p.name for p in event.producers} == {"decode", *registry()}
    assert differences(event, analyse(str(path), code="test", device="cpu")) == []


def test_same_upload_twice_is_one_asset(stack: Stack, programme: tuple[Path, sample.Truth]) -> None:
    path, _ = programme
    first, again = stack.ingest(path, path, options=options(QUICK))
    assert first == again
    finals = [ContentMetadata.model_validate_json(m.value() or b"") for m in read_all(stack.bootstrap, topics.METADATA)]
    assert [f for f in finals if f.run.id == first.run.id] == [first]


@pytest.mark.media
@pytest.mark.parametrize("name", CLIPS)
def test_real_clip_equals_whole_file_analysis(stack: Stack, media_dir: Path, name: str) -> None:
    path = media_dir / "video" / name
    (event,) = stack.ingest(path, options=options(WANTED))
    assert differences(event, analyse(str(path), code="test", device="cpu", tasks_wanted=WANTED)) == []
    coverage = event.coverage.video_frames
    assert coverage is not None
    index = next(s.index for s in event.technical.streams if s.kind == "video" and s.decision == "analysed")
    probe = [require_tool("ffprobe"), "-v", "error", "-count_frames", "-select_streams", str(index)]
    counted = subprocess.run(
        [*probe, "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", str(path)], capture_output=True, check=True
    )
    assert coverage.analysed == int(counted.stdout.split()[0].strip(b","))


@pytest.mark.media
def test_sound_alone(stack: Stack, media_dir: Path) -> None:
    path = media_dir / "audio" / "whisper_jfk.flac"
    (event,) = stack.ingest(path)
    assert event.run.status == "complete"
    assert event.coverage.video_frames is None
    assert differences(event, analyse(str(path), code="test")) == []


def test_rubbish_is_unprocessable_and_costs_nothing_else(stack: Stack, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.mp4"
    rubbish.write_bytes(os.urandom(100_000))
    (tmp_path / "empty.mov").touch()
    events = stack.ingest(rubbish, tmp_path / "empty.mov", tmp_path / "absent.mov", status=4)
    assert {e.run.status for e in events} == {"unprocessable"}
    assert all(e.run.reason for e in events)


def test_unparsable_upload_goes_to_the_dead_letters(stack: Stack) -> None:
    from streams.producer import Deliveries, make_producer

    deliveries = Deliveries(make_producer(stack.bootstrap))
    deliveries.produce(topics.UPLOADS.name, key=b"k", value=b"not json", headers={"ce_id": b"poison"})
    deliveries.flush_all()

    def letters() -> list[bytes]:
        return [m.value() or b"" for m in read_all(stack.bootstrap, topics.DEAD_LETTERS)]

    from tests.lab import wait_for

    wait_for(lambda: b"not json" in letters(), "the dead letter")


def test_a_profile_of_ones_own_from_upload_to_verdict(stack: Stack, tmp_path: Path) -> None:
    """The name in the upload is found by the planner; an edit judges again at once, and is another run for who asks again."""
    profile, sound = Path(stack.settings["DAILIES_PROFILES"]) / "mine.toml", noise(tmp_path / "noise.wav", 4)
    wanted = ("--task", "loudness", "--profile", "mine")
    (before,) = stack.ingest(sound, options=wanted)
    assert [(v.profile, v.outcome, v.rules[0].limit) for v in before.verdicts] == [("mine", "pass", -90.0)]
    profile.write_text(MINE.format(limit=0))
    judged = stack.dailies("judge", before.asset.id, "--json")
    (verdict,) = orjson.loads(judged.stdout)["verdicts"]
    assert (judged.returncode, verdict["was"], verdict["rules"][0]["limit"]) == (5, "pass", 0.0)
    (after,) = stack.ingest(sound, options=wanted)
    assert after.run.id != before.run.id
    (again,) = after.verdicts
    assert again.model_dump(mode="json") == {k: v for k, v in verdict.items() if k != "was"}
    profile.write_text("name = 1")
    (refused,) = stack.ingest(sound, options=wanted, status=4)
    assert (refused.run.reason or "").startswith("bad_profile: mine.toml:1: name: ")


def test_status_lists_every_process(stack: Stack) -> None:
    done = stack.dailies("status", "--json")
    assert done.returncode == 0
    found = orjson.loads(done.stdout)
    assert {p["role"] for p in found} == {"kafka", "planner", "decoder", "inference", "aggregator"}
    assert all(set(p) >= {"role", "pid", "state", "lag"} and p["state"] == "ready" for p in found)


def test_every_event_fits_its_schema(stack: Stack) -> None:
    """Runs last in this file: everything that the tests above caused lies on the topics."""
    validators = {name: Draft202012Validator(orjson.loads(body)) for name, body in generate.schemas().items()}
    seen: set[str] = set()
    for topic in (topics.ASSETS, topics.SEGMENTS, topics.INFERENCES, topics.REACTIONS, topics.METADATA):
        for message in read_all(stack.bootstrap, topic):
            head = cloudevents.as_mapping(message.headers())
            kind = head["ce_type"].decode()
            assert head["ce_specversion"] == b"1.0"
            assert head["ce_id"]
            assert head["ce_source"]
            if kind in SCHEMA_OF:
                assert head["ce_dataschema"].decode().endswith(SCHEMA_OF[kind])
                validators[SCHEMA_OF[kind]].validate(orjson.loads(message.value() or b""))
                seen.add(kind)
    assert seen >= {"media.asset.planned.v1", "media.segment.v1", "media.manifest.v1", "media.content-metadata.v1"}
