"""Losses, changes and cancellations on a real stack: the asset ends all the same, right or with its gaps named."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from confluent_kafka import TopicPartition

from processors.analyse import analyse
from processors.equal import differences
from schemas.events import ContentMetadata
from schemas.manifest import Manifest
from schemas.plan import Job
from schemas.types import EventType
from streams import topics
from streams.client import find, read_all
from streams.connect import admin_client
from streams.record import Record
from streams.topics import MIB
from tests.lab import wait_for
from tests.sound import TONE_RATE as RATE
from tests.sound import tone_file
from tests.stack import NO_NETWORKS, QUICK, Stack, options

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

LOUDNESS = ("loudness",)
BUDGET = 8 * MIB
"""Bytes of chunks that may lie unread; more than any sound here has, but for one."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    quick = {"DAILIES_REPAIR_LOOK_SECONDS": "0.5", "DAILIES_REPAIR_AFTER_SECONDS": "1"}
    quick["DAILIES_CHUNK_BUDGET_BYTES"] = str(BUDGET)
    with Stack(tmp_path_factory.mktemp("stack"), quick, NO_NETWORKS) as found:
        yield found


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing, and is alive."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def records(stack: Stack, topic: topics.Topic) -> list[Record]:
    return [Record.from_confluent(message) for message in read_all(stack.bootstrap, topic)]


def jobs(stack: Stack, path: Path) -> list[Job]:
    found = [Job.model_validate_json(record.value) for record in records(stack, topics.SEGMENTS)]
    return sorted((job for job in found if job.asset.uri == path.as_uri()), key=lambda job: job.attempt)


def manifest_of(stack: Stack, path: Path) -> Manifest | None:
    runs = {job.run for job in jobs(stack, path)}
    for record in records(stack, topics.INFERENCES):
        if record.headers["ce_type"] == EventType.MANIFEST.encode():
            manifest = Manifest.model_validate_json(record.value)
            if manifest.run in runs:
                return manifest
    return None


def chunk_bytes(stack: Stack, path: Path) -> int:
    """What lies in Kafka of a file's sound."""
    assets = {job.asset.id.encode() for job in jobs(stack, path)}
    found = [record for record in records(stack, topics.CHUNKS["audio"]) if record.headers["ce_subject"] in assets]
    return sum(len(record.value) for record in found)


def test_a_chunk_that_is_deleted_unread_is_made_again(stack: Stack, tmp_path: Path) -> None:
    path = tone_file(tmp_path / "deleted.wav", 20)
    with stopped(stack.pid("inference-signals-1")):
        upload = stack.start("ingest", str(path), "--wait", "--json", *options(LOUDNESS))
        wait_for(lambda: manifest_of(stack, path) is not None, "the manifest")
        manifest = manifest_of(stack, path)
        assert manifest is not None
        lost = manifest.chunks[len(manifest.chunks) // 2]
        assert lost.partition is not None and lost.offset is not None
        upto = TopicPartition(topics.CHUNKS["audio"].name, lost.partition, lost.offset + 1)
        client = admin_client(stack.bootstrap)  # a name of its own: without it the client is gone before its answer
        client.delete_records([upto])[upto].result()
    out, errors = upload.communicate(timeout=200)
    assert upload.returncode == 0, errors.decode()[-2000:]
    event = ContentMetadata.model_validate_json(out)
    assert differences(event, analyse(str(path), code="test", tasks_wanted=LOUDNESS)) == []
    assert [job.attempt for job in jobs(stack, path)] == [0, 1]


def test_a_cancelled_asset_ends_with_its_gaps_named(stack: Stack, tmp_path: Path) -> None:
    path = tone_file(tmp_path / "cancelled.wav", 20)
    with stopped(stack.pid("inference-signals-1")):
        upload = stack.start("ingest", str(path), "--wait", "--json", *options(LOUDNESS))
        wait_for(lambda: manifest_of(stack, path) is not None, "the manifest")
        cancelled = stack.dailies("cancel", str(path), "--reason", "wrong reel")
        assert cancelled.returncode == 0, cancelled.stderr
        out, _ = upload.communicate(timeout=120)
    assert upload.returncode == 3
    event = ContentMetadata.model_validate_json(out)
    (gap,) = event.coverage.gaps
    assert (gap.task, gap.reason, gap.start, gap.end) == ("loudness", "wrong reel", 0, 20 * RATE)
    unknown = stack.dailies("cancel", "nothing-like-that")
    assert unknown.returncode == 1
    assert b"nothing to cancel" in unknown.stderr


def test_jobs_of_a_cancelled_asset_are_not_decoded(stack: Stack, tmp_path: Path) -> None:
    """Nobody reads, so the decoder stands before a full budget when it hears of the cancellation."""
    path = tone_file(tmp_path / "dropped.wav", 2 * BUDGET // (2 * RATE))
    log = stack.data_dir / "logs" / "decoder-1.log"
    with stopped(stack.pid("inference-signals-1")):
        upload = stack.start("ingest", str(path), "--wait", "--json", *options(LOUDNESS))
        wait_for(lambda: chunk_bytes(stack, path) > 0, "the first chunk")
        assert stack.dailies("cancel", str(path)).returncode == 0
        (run,) = {job.run for job in jobs(stack, path)}
        wait_for(lambda: any("are dropped" in line and run in line for line in log.read_text().splitlines()), "the decoder")
        upload.communicate(timeout=120)
        assert upload.returncode == 3
        assert chunk_bytes(stack, path) <= BUDGET
    (after,) = stack.ingest(tone_file(tmp_path / "after.wav", 3), options=options(LOUDNESS))
    assert after.run.status == "complete"
    assert manifest_of(stack, path) is None


def test_a_source_that_changes_before_it_is_decoded_is_analysed_as_it_is_now(stack: Stack, tmp_path: Path) -> None:
    path = tone_file(tmp_path / "changed.wav", 20)
    with stopped(stack.pid("decoder-1")):
        upload = stack.start("ingest", str(path), "--wait", "--json", *options(LOUDNESS))
        wait_for(lambda: jobs(stack, path), "the job")
        tone_file(path, 25, hertz=500.0)
    out, _ = upload.communicate(timeout=120)
    assert upload.returncode == 3
    old = ContentMetadata.model_validate_json(out)
    assert old.run.reason is not None
    assert old.run.reason.startswith("source_changed")

    def now() -> ContentMetadata | None:
        found = find(stack.bootstrap, path.as_uri())
        return found if found is not None and found.asset.id != old.asset.id else None

    wait_for(lambda: now() is not None, "the new version's final event")
    new = now()
    assert new is not None
    assert new.run.status == "complete"
    assert differences(new, analyse(str(path), code="test", tasks_wanted=LOUDNESS)) == []


def test_reactions_amount_to_the_findings(stack: Stack, programme: tuple[Path, object]) -> None:
    path, _ = programme
    (event,) = stack.ingest(path, options=options(QUICK))
    done = stack.dailies("watch", str(path), "--json", "--from-beginning", "--until-done")
    assert done.returncode == 0, done.stderr
    said = [orjson.loads(line) for line in done.stdout.splitlines()]
    standing: dict[str, object] = {}
    reactions = sorted((s for s in said if s.get("finding")), key=lambda s: s["seq"])
    for reaction in reactions:
        if reaction["phase"] in ("withdrawn", "merged"):
            standing.pop(reaction["finding"]["id"])
        else:
            standing[reaction["finding"]["id"]] = reaction["finding"]
    assert standing == {f.id: f.model_dump(mode="json") for f in event.findings}
    assert sorted(s["seq"] for s in said if "seq" in s) == list(range(1, 1 + sum("seq" in s for s in said)))
    figures = [s for s in said if s.get("measurement")]
    assert {f["measurement"]["id"] for f in figures} == {"loudness.true_peak"}
    failed = {(r.rule, r.stream) for v in event.verdicts for r in v.rules if r.outcome == "fail"}
    assert {(r["rule"], r["stream"]) for f in figures for r in f["rules"] if r["finality"] == "irrevocable"} <= failed
    stages = [s["stage"] for s in said if "stage" in s]
    assert stages[0] == "planned"
    assert stages[-1] == "complete"
    shown = stack.dailies("watch", str(path), "--from-beginning", "--until-done")
    assert b"video.black" in shown.stdout
    assert b"review" in shown.stdout
