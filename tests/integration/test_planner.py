"""The planner on a real broker: every upload that can be parsed ends in a plan or in a reason, whatever its child does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import av
import faust
import numpy as np
import pytest

from schemas.plan import NoPlan, Plan
from schemas.types import EventType
from streams import admin, planner
from streams.deadletters import DeadLetter
from streams.groups import PLANNERS
from streams.local.broker import Broker
from streams.record import Record
from streams.settings import Settings
from streams.topics import ASSETS, DEAD_LETTERS, UPLOADS
from tests.integration.failing_probe import BLOAT, CRASH, HANG
from tests.lab import Lab

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of this module's own: the role's topics and group have fixed names."""
    with Broker(tmp_path_factory.mktemp("planner")) as broker:
        admin.apply(broker.bootstrap)
        yield broker


@pytest.fixture
def lab(broker: Broker, tmp_path: Path) -> Lab:
    return Lab(broker.bootstrap, tmp_path)


def clip(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(30):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def run(lab: Lab, settings: Settings, uploads: list[bytes], wanted: int, handler: str = planner.HANDLER) -> dict[str, Record]:
    """Run the planner until that many events are out; by the id of the upload."""
    lab.send(UPLOADS, [(None, upload) for upload in uploads], traceparent="00-aa-bb-01")

    def make() -> faust.App:
        return planner.make(settings, lab.bootstrap, handler=handler)

    before = {record.place for record in lab.read(ASSETS)}
    lab.run(make, lambda: lab.lag(PLANNERS, UPLOADS) == 0)
    found = [record for record in lab.read(ASSETS) if record.place not in before]
    assert len(found) == wanted
    return {json.loads(record.value)["asset"]["uri"].rpartition("/")[2]: record for record in found}


def letters(lab: Lab) -> list[DeadLetter]:
    return [DeadLetter.from_record(record) for record in lab.read(DEAD_LETTERS)]


def test_uploads_become_plans_or_reasons(lab: Lab) -> None:
    good = clip(lab.folder / "good.mp4")
    broken = lab.folder / "broken.mp4"
    broken.write_bytes(b"this is no film" * 100)
    uploads = [
        json.dumps({"uri": str(good), "correlation": {"delivery_id": "D-1"}}).encode(),
        json.dumps({"uri": str(broken)}).encode(),
        json.dumps({"uri": str(lab.folder / "absent.mp4")}).encode(),
        json.dumps({"uri": "ftp://somewhere/f.mp4"}).encode(),
        b'{"Event": "s3:TestEvent"}',
        b"not json",
        b"[1]",
    ]
    found = run(lab, lab.settings, uploads, 4)
    plan = Plan.model_validate_json(found["good.mp4"].value)
    head = found["good.mp4"].headers
    assert (head["ce_type"], head["ce_time"]) == (EventType.PLANNED.encode(), plan.created.encode())
    assert head["traceparent"] == b"00-aa-bb-01"
    assert found["good.mp4"].key == plan.asset.id.encode() and plan.correlation.delivery_id == "D-1" and plan.jobs
    reasons = {}
    for name in ("broken.mp4", "absent.mp4", "f.mp4"):
        assert found[name].headers["ce_type"] == EventType.UNPROCESSABLE.encode()
        reasons[name] = NoPlan.model_validate_json(found[name].value).reason
    assert reasons["absent.mp4"] == "source_missing" and reasons["f.mp4"] == "source_refused"
    refused = [letter for letter in letters(lab) if letter.stage == "planner"]
    assert sorted((letter.original.value, letter.attempts) for letter in refused) == [(b"[1]", 1), (b"not json", 1)]


def test_a_child_that_fails_ends_in_a_reason(lab: Lab) -> None:
    clip(lab.folder / "good.mp4")
    uploads = [json.dumps({"uri": str(lab.folder / name)}).encode() for name in (CRASH, HANG, BLOAT, "good.mp4")]
    settings = lab.settings.model_copy(update={"probe_seconds": 5.0, "attempts": 2})
    found = run(lab, settings, uploads, 4, "tests.integration.failing_probe:handle")
    reasons = {name: NoPlan.model_validate_json(found[name].value).reason for name in (CRASH, HANG, BLOAT)}
    assert reasons == {CRASH: "child_crashed", HANG: "child_timeout", BLOAT: "child_out_of_memory"}
    assert Plan.model_validate_json(found["good.mp4"].value).jobs
    failed = [letter for letter in letters(lab) if letter.stage.startswith("planner/")]
    assert sorted((letter.error, letter.attempts) for letter in failed) == [
        ("ChildCrashed", 2),
        ("ChildOutOfMemory", 2),
        ("ChildTimeout", 2),
    ]
    assert list((lab.folder / "data" / "attempts" / "planner").iterdir()) == []
