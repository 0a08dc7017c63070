"""The decoder on a real clip: what lies in Kafka is, byte for byte, what decoding in this process gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from processors.decode.job import run_job
from processors.plan import PlanRequest, make_plan
from processors.probe import probe
from processors.source import SourcePolicy, open_source, to_uri
from schemas.cell import CellResult
from schemas.chunk import Chunk, ChunkHeader
from schemas.manifest import Manifest
from schemas.plan import Job, Plan
from schemas.types import EventType
from streams import topics
from streams.decoder.worker import HANDLER
from streams.local.broker import Broker
from tests.decoding import render
from tests.integration.decoder_rig import failures, manifests, of_type, records, running, settings, submit, until_committed

pytestmark = pytest.mark.kafka

POLICY = SourcePolicy()


def planned(path: Path) -> Plan:
    """The plan of a clip: several segments, all tasks."""
    request = PlanRequest(caused_by="upload", created="2026-01-01T00:00:00Z", code="test", cuts=(50, 100))
    return make_plan(probe(to_uri(str(path)), POLICY), request)


def here(job: Job) -> tuple[dict[tuple[str, int], bytes], dict[str, bytes], Manifest]:
    """Chunks by rendition and number, cells by id, and the manifest, made in this process."""
    with open_source(job.asset.uri, POLICY) as source:
        outputs = list(run_job(job, source))
    chunks = {(o.header.rendition, o.header.n): bytes(o.data) for o in outputs if isinstance(o, Chunk)}
    cells = {o.key.id: o.value for o in outputs if isinstance(o, CellResult)}
    (manifest,) = (o for o in outputs if isinstance(o, Manifest))
    return chunks, cells, manifest


def told(manifest: Manifest) -> list[dict[str, Any]]:
    """What a manifest says of the chunks, but for where they lie."""
    return [record.model_dump(exclude={"topic", "partition", "offset"}) for record in manifest.chunks]


@pytest.mark.long
def test_every_segment_of_a_clip(kafka: Broker, tmp_path: Path) -> None:
    bootstrap = kafka.bootstrap
    path = render(tmp_path / "clip.mp4", frames=150, options={"g": "25", "sc_threshold": "0"})
    plan = planned(path)
    assert len(plan.jobs) == 3
    with running(bootstrap, settings(tmp_path), HANDLER):
        until_committed(bootstrap, *submit(bootstrap, *plan.jobs))
    asset = plan.asset.id
    chunks = [r for topic in topics.CHUNKS.values() for r in records(bootstrap, topic.name, asset)]
    lying = {(r.topic, r.partition, r.offset): r for r in chunks}
    cells = {r.headers["ce_id"].decode(): r for r in of_type(records(bootstrap, topics.INFERENCES.name, asset), EventType.CELL)}
    found = {m.segment: m for m in manifests(bootstrap, asset)}
    assert sum(m.decoded for m in found.values()) == 150
    for job in plan.jobs:
        expected, native, manifest = here(job)
        assert told(found[job.segment]) == told(manifest)
        for record in found[job.segment].chunks:
            if record.rendition in topics.CHUNKS:
                message = lying.pop((record.topic, record.partition, record.offset))
                assert message.value == expected.pop((record.rendition, record.n))
                assert ChunkHeader.from_bytes(message.headers["chunk"]).digest == record.digests[""]
        assert not expected
        assert {cell: cells.pop(cell).value for cell in native} == native
    assert not lying
    assert not cells


def test_a_clip_that_changed_since_it_was_planned(kafka: Broker, tmp_path: Path) -> None:
    bootstrap = kafka.bootstrap
    plan = planned(render(tmp_path / "clip.mp4", frames=150, options={"g": "25", "sc_threshold": "0"}))
    render(tmp_path / "clip.mp4", frames=60)
    with running(bootstrap, settings(tmp_path), HANDLER):
        until_committed(bootstrap, *submit(bootstrap, plan.jobs[0]))
    (failure,) = failures(bootstrap, plan.asset.id)
    assert (failure["reason"], failure["attempts"]) == ("source_changed", 1)
