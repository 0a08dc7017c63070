"""Two versions at once: what is compatible is counted, what is not is recognised, named, and at last planned anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from processors import tasks
from processors.aggregate import Aggregate
from processors.infer import other_version_cell
from processors.sidecar import SidecarWriter
from schemas.cell import CellKey, CellResult, CellStatus
from schemas.chunk import ChunkHeader, Part
from schemas.errors import OtherVersion, WireError
from schemas.events import ContentMetadata
from schemas.ids import digest
from schemas.manifest import JobFailed, Manifest, Offsets
from schemas.plan import Job, NoPlan, Plan, Reanalysis
from schemas.types import EventType
from schemas.uploads import Uploads, parse_upload
from schemas.versions import compatible, order
from streams.aggregator.anew import ROUNDS
from streams.aggregator.jobs import Repairs
from streams.aggregator.service import Service
from streams.decoder import needs
from streams.groups import DECODERS
from streams.inference import Envelope, Planned
from streams.record import Record
from tests.sums import CHUNKS, PLANNED, SEGMENTS, Kafka, SumTask, cell, manifest, messages_of, plan, seeded

TICK = ({"ce_type": EventType.TICK.encode()}, b"{}")


class Rig:
    """An aggregator with a table that outlives it, whose readers have passed everything."""

    def __init__(self, tmp_path: Path, *, attempts: int = 2) -> None:
        self.kafka, self.table = Kafka(), {}
        self.writer = SidecarWriter((tmp_path / "side").as_uri())
        self.repairs = Repairs(self.observe, attempts, 0.0)
        self.restart()

    def restart(self) -> None:
        self.service = Service(self.table, self.writer, self.kafka.emit, repairs=self.repairs)

    def observe(self, wanted: Any) -> tuple[dict[str, Offsets], Offsets]:
        return {DECODERS: {"media.segments/0": len(self.kafka.sent)}}, {}

    async def restarted(self) -> None:
        """Another aggregator, whose first tick wakes the runs of the table, and whose second looks at them."""
        self.restart()
        await self.look()
        await self.look()

    async def look(self) -> None:
        before = len(self.kafka.on("media.inferences"))
        await self.service.handle(*TICK)
        for check in self.kafka.on("media.inferences")[before:]:
            await self.service.handle({"ce_type": EventType.CHECK.encode()}, check)

    async def feed(self, *messages: tuple[dict[str, bytes], bytes]) -> None:
        for message in messages:
            await self.service.handle(*message)

    def finals(self) -> list[ContentMetadata]:
        return [ContentMetadata.model_validate_json(body) for body in self.kafka.finals()]

    def uploads(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for body in self.kafka.on("media.uploads")]

    def jobs(self) -> list[Job]:
        return [Job.model_validate_json(body) for body in self.kafka.on("media.segments")]


@pytest.fixture(autouse=True)
def only_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "registry", lambda: {"sum": SumTask()})


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def of_cell(result: CellResult) -> tuple[dict[str, bytes], bytes]:
    return {"ce_type": EventType.CELL.encode(), **result.headers()}, result.value


def by(result: CellResult, version: str) -> CellResult:
    return replace(result, key=replace(result.key, task_version=version))


def planned(made: Plan) -> tuple[dict[str, bytes], bytes]:
    return PLANNED[0], made.model_dump_json().encode()


def upgrade(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(SumTask, "spec", replace(SumTask.spec, version=version))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.0.0", "1.4.2", True),
        ("1", "1.0", True),
        ("1.0.0", "2.0.0", False),
        ("0.1.0", "0.1.7", True),
        ("0.1.0", "0.2.0", False),
        ("none", "1.0.0", False),
        ("11.0", "1.0", False),
    ],
)
def test_the_major_version_decides(one: str, other: str, same: bool) -> None:
    assert compatible(one, other) is compatible(other, one) is same
    assert sorted(["1.10.0", "1.9.0", "1.9.0-rc1"], key=order)[-1] == "1.10.0"


def test_a_minor_version_s_results_count_and_are_named(rig: Rig) -> None:
    async def drive() -> None:
        await rig.feed(PLANNED)
        values = seeded()
        for segment in range(SEGMENTS):
            cells = [cell(segment, n, values) for n in range(CHUNKS)]
            await rig.feed(*[of_cell(by(c, "1.2" if n == 2 else "1")) for n, c in enumerate(cells)])
            await rig.feed(({"ce_type": EventType.MANIFEST.encode()}, manifest(segment, cells).to_bytes()))
            rig.restart()

    asyncio.run(drive())
    (event,) = rig.finals()
    assert event.run.status == "complete"
    (producer,) = [p for p in event.producers if p.name == "sum"]
    assert (producer.version, producer.versions) == ("1.2", ("1", "1.2"))


@pytest.mark.parametrize("status", CellStatus)
def test_a_result_of_another_major_version_is_never_folded_and_its_job_done_again(rig: Rig, status: CellStatus) -> None:
    messages = messages_of(seeded())
    wrong = by(cell(0, 1, seeded() + 1, status), "2.0.0")
    wrong = replace(wrong, digest=cell(0, 1, seeded()).digest)

    async def drive() -> None:
        await rig.feed(PLANNED, *[m for i, m in enumerate(messages) if i != 1], of_cell(wrong))
        assert rig.finals() == []
        await rig.restarted()
        assert [(j.segment, j.attempt) for j in rig.jobs()][SEGMENTS:] == [(0, 1)]
        await rig.feed(of_cell(wrong), messages[1])

    asyncio.run(drive())
    (event,) = rig.finals()
    assert event.run.status == "complete"
    assert {m.id: m.value for m in event.measurements}["video.frames"] == 60.0
    assert rig.uploads() == []


def test_where_no_worker_has_the_version_the_gap_is_named_and_the_asset_planned_anew(rig: Rig) -> None:
    messages = messages_of(seeded())
    header = ChunkHeader("a" * 32, "r", "v0", 0, "native", 1, 5, (5, 0), 5, (5, 0), False, {}, (), (Part("x", "u1", ()),))
    said = other_version_cell("sum", "2.0.0", replace(header, digest=cell(0, 1, seeded()).digest), "sum 1 is planned")

    async def drive() -> None:
        await rig.feed(PLANNED, *[m for i, m in enumerate(messages) if i != 1], of_cell(said))
        for attempt in (1, 2):
            await rig.restarted()
            again = Manifest.model_validate_json(messages[CHUNKS][1]).model_copy(update={"attempt": attempt})
            await rig.feed(({"ce_type": EventType.MANIFEST.encode()}, again.to_bytes()), of_cell(said))

    asyncio.run(drive())
    (event,) = rig.finals()
    assert [(gap.task, gap.reason) for gap in event.coverage.gaps] == [
        ("sum", "task_version: sum 1 is planned, and 2.0.0 would have run, in 2 attempts")
    ]
    (upload,) = rig.uploads()
    assert (upload["uri"], upload["reanalysis"]) == ("file:///x.mp4", {"cause": "task_version in run r", "round": 1})
    topics = [topic for topic, *_ in rig.kafka.sent]
    assert topics.index("media.metadata") < topics.index("media.uploads"), "the next run's event must be the last one"


def test_a_decoder_of_another_version_is_asked_again_and_then_named(rig: Rig) -> None:
    failed = JobFailed(
        run="r", asset="a" * 32, stream="v0", segment=1, reason="task_version", message="sum 1 is planned", attempts=1
    )
    per_job = CHUNKS + 1
    messages = messages_of(seeded())

    async def drive() -> None:
        await rig.feed(PLANNED, *messages[:per_job], *messages[2 * per_job :])
        for _ in range(2):
            await rig.feed(({"ce_type": EventType.JOB_FAILED.encode()}, failed.model_dump_json().encode()))
            await rig.look()

    asyncio.run(drive())
    assert [j.attempt for j in rig.jobs() if j.segment == 1] == [0, 1]
    (event,) = rig.finals()
    assert [gap.reason for gap in event.coverage.gaps] == ["task_version: sum 1 is planned, in 2 attempts"]
    assert len(rig.uploads()) == 1


def test_planners_of_two_versions_cannot_go_on_for_ever(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(monkeypatch, "2.0.0")

    async def drive() -> None:
        await rig.feed(PLANNED)
        while len(rig.finals()) == len(rig.uploads()):  # each time, a planner of old takes the upload
            asked = parse_upload(rig.kafka.on("media.uploads")[-1])
            assert isinstance(asked, Uploads)
            again = plan().model_copy(update={"run": f"r{len(rig.finals())}", "reanalysis": asked[0].reanalysis})
            await rig.feed(planned(again))

    asyncio.run(drive())
    assert len(rig.finals()) == ROUNDS + 1
    assert rig.jobs() == [], "what cannot be folded is not decoded"
    assert {event.coverage.gaps[0].reason for event in rig.finals()} == {
        "task_version: sum 1 is planned, and 2.0.0 would have run"
    }


def test_a_plan_with_an_unknown_task_ends_with_that_named(rig: Rig) -> None:
    ref = SumTask.spec.ref().model_copy(update={"name": "smell"})
    streams = tuple(s.model_copy(update={"tasks": ("sum", "smell")}) for s in plan().streams)
    strange = plan().model_copy(update={"tasks": (SumTask.spec.ref(), ref), "streams": streams})
    asyncio.run(rig.feed(planned(strange)))
    (event,) = rig.finals()
    assert event.coverage.gaps[0].reason == "task_version: smell 1 is planned, and there is no such task here"
    assert event.coverage.streams["v0"].missing == 60


def halfway(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.aggregator.service.CHECKPOINT_CELLS", 2)
    asyncio.run(rig.feed(PLANNED, *messages_of(seeded())[:CHUNKS]))
    assert any("/lane/" in key for key in rig.table)
    rig.restart()


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.update({key: b"2" for key in table if key.endswith("/format")}),
        lambda table: table.update({key: b"\x80\x04 something else" for key in table if "/lane/" in key}),
        lambda table: table.update({key: b"{}" for key in table if "/issued/" in key}),
        lambda table: table.update({key: b"{}" for key in table if "/reaction/" in key}),
    ],
    ids=["format", "lane", "issued", "reaction"],
)
def test_state_of_another_version_is_planned_anew(rig: Rig, change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    halfway(rig, monkeypatch)
    change(rig.table)
    asyncio.run(rig.look())
    (event,) = rig.finals()
    assert event.run.reason is not None
    assert event.run.reason.startswith("state_version")
    (upload,) = rig.uploads()
    assert upload["reanalysis"] == {"cause": "state_version in run r", "round": 1}
    assert [key.rsplit("/", 1)[1] for key in rig.table] == ["closed"]


def test_a_fold_s_state_is_continued_by_its_own_version_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    halfway(rig, monkeypatch)
    upgrade(monkeypatch, "1.1")
    asyncio.run(rig.look())
    (event,) = rig.finals()
    assert "the state of sum is of version 1, and 1.1 runs here" in event.coverage.gaps[0].reason


def test_state_of_the_first_release_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    halfway(rig, monkeypatch)
    for key in [key for key in rig.table if key.endswith("/format")]:
        del rig.table[key]
    asyncio.run(rig.feed(*messages_of(seeded())))
    assert [event.run.status for event in rig.finals()] == ["complete"]


@pytest.mark.parametrize("known", [True, False])
def test_a_plan_that_cannot_be_read_is_replaced_as_far_as_it_is_known(
    rig: Rig, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    halfway(rig, monkeypatch)
    (key,) = [key for key in rig.table if key.endswith("/plan")]
    body = orjson.loads(rig.table[key]) | {"plan_version": "2.0.0", "profiles": ["ebu-r128"]}
    rig.table[key] = orjson.dumps(body if known else {"something": "else"})
    asyncio.run(rig.look())
    assert rig.finals() == []
    assert [upload["profiles"] for upload in rig.uploads()] == ([["ebu-r128"]] if known else [])
    assert [key.rsplit("/", 1)[1] for key in rig.table] == ["closed"]


def test_a_run_under_way_ends_when_the_asset_is_asked_for_again(rig: Rig) -> None:
    again = plan().model_copy(update={"run": "r2", "reanalysis": Reanalysis(cause="dead letters of run r")})
    messages = messages_of(seeded())

    async def drive() -> None:
        await rig.feed(PLANNED, *messages[:3], planned(again), planned(again), *messages[3:], PLANNED)

    asyncio.run(drive())
    (event,) = rig.finals()
    assert (event.run.id, event.run.status, event.run.reason) == ("r", "incomplete", "superseded: by run r2")
    assert len(rig.jobs()) == 2 * SEGMENTS, "each run's were issued once"
    (cancel,) = rig.kafka.on("media.assets")
    assert orjson.loads(cancel)["run"] == "r"
    assert rig.uploads() == [], "who asked for it gets it: nothing is planned anew beside"


def test_a_reason_that_is_told_again_answers_who_waits(rig: Rig) -> None:
    why = NoPlan(run="n", asset=plan().asset, caused_by="u", created="2026-01-01T00:00:00Z", code="1", reason="x", message="y")
    message = {"ce_type": EventType.UNPROCESSABLE.encode()}, why.model_dump_json().encode()
    asyncio.run(rig.feed(message, message))
    assert len(rig.finals()) == 1
    (told,) = rig.kafka.on("media.reactions")
    assert orjson.loads(told)["stage"] == "complete"


@pytest.mark.parametrize("type", ["media.asset.planned.v2", "media.inference.v2", "something"])
def test_an_event_of_an_unknown_version_is_refused(rig: Rig, type: str) -> None:
    with pytest.raises(WireError, match="knows no event of type"):
        asyncio.run(rig.feed(({"ce_type": type.encode()}, b"{}")))


def test_a_plan_of_another_major_version_is_refused_and_a_minor_one_read(rig: Rig) -> None:
    body = plan().model_dump(mode="json") | {"colour_of_the_day": "blue"}
    body["jobs"][0]["new_field"] = 1
    for version in ("2.0.0", "0.9.0"):
        with pytest.raises(WireError, match=f"plan version {version} is not one"):
            asyncio.run(rig.feed((PLANNED[0], orjson.dumps(body | {"plan_version": version}))))
    asyncio.run(rig.feed((PLANNED[0], orjson.dumps(body | {"plan_version": "1.7.0"}))))
    assert len(rig.jobs()) == SEGMENTS


def test_an_upload_of_another_major_version_is_refused() -> None:
    structured = {"specversion": "1.0", "id": "1", "source": "x", "type": "media.upload.v2", "data": {"uri": "/x"}}
    for value, headers in (
        (b'{"uri": "/x"}', {"ce_id": b"1", "ce_type": b"media.upload.v2"}),
        (orjson.dumps(structured), None),
    ):
        with pytest.raises(WireError, match=r"media\.upload\.v2"):
            parse_upload(value, headers)
    assert parse_upload(b'{"uri": "/x"}', {"ce_id": b"1", "ce_type": b"com.example.v9"})


def test_the_cause_of_a_reanalysis_comes_with_the_upload() -> None:
    found = parse_upload(b'{"uri": "/x", "reanalysis": {"cause": "why", "later": 1}}')
    assert isinstance(found, Uploads)
    assert found[0].reanalysis == Reanalysis(cause="why")
    for wrong in (b'"why"', b'{"cause": ""}', b'{"cause": "x", "round": -1}', b'{"cause": "' + b"x" * 300 + b'"}'):
        with pytest.raises(WireError, match="reanalysis"):
            parse_upload(b'{"uri": "/x", "reanalysis": ' + wrong + b"}")


def test_keys_and_headers_with_unknown_fields_are_read() -> None:
    key = cell(0, 0, seeded()).key
    assert CellKey.from_bytes(orjson.dumps(orjson.loads(key.to_bytes()) | {"mood": "good"})) == key
    header = ChunkHeader("a", "r", "v0", 0, "proxy", 1, 5, (5, 0), 5, (5, 0), False, {}, (1,), (Part("x", "u1", (2,)),))
    body = orjson.loads(header.to_bytes()) | {"mood": "good"}
    assert ChunkHeader.from_bytes(orjson.dumps(body)) == header


def test_chunks_say_versions_and_those_of_old_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the tasks as they are
    header = ChunkHeader("a", "r", "a0", 0, "audio", 0, 0, (1, 0), 0, (1, 0), True, {}, (0,), (Part("x", "u1", (1,)),))
    common = {"chunk": header.to_bytes(), "ce_time": b"2026-01-01T00:00:00Z"}
    loudness = tasks.task("loudness").spec.ref()
    job = plan().jobs[0].model_copy(update={"agent_tasks": ("loudness",), "tasks": ()})
    for one in (job, job.model_copy(update={"agents": (loudness,)})):
        need = needs.Need.of(one, "audio")
        assert orjson.loads(need.headers["tasks"]) == ["loudness"], "workers of old know of names only"
        assert Envelope.of(Record("t", 0, 0, b"", b"", common | need.headers)).tasks == {
            "loudness": Planned("1.0.0", "signals")
        }
    old = Envelope.of(Record("t", 0, 0, b"", b"", common | {"tasks": b'["loudness"]'}))
    assert old.tasks == {"loudness": None}
    for wrong in ({"task_refs": b"[1]"}, {"task_refs": b"5"}, {"ce_type": b"media.chunk.v2"}):
        with pytest.raises(WireError):
            Envelope.of(Record("t", 0, 0, b"", b"", common | {"tasks": b"[]"} | wrong))


def test_a_decoder_says_what_it_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    loudness, native = tasks.task("loudness").spec.ref(), tasks.task("native-picture").spec.ref()
    job = plan().jobs[0].model_copy(update={"tasks": (native,), "agents": (loudness,)})
    needs.check(job)
    newer = loudness.model_copy(update={"version": "7.0.0", "name": "loudness-of-tomorrow"})
    needs.check(job.model_copy(update={"agents": (newer,)}))  # its rendition and its readers are known: that is enough
    for wrong in (
        {"tasks": (native.model_copy(update={"version": "2.0.0"}),)},
        {"tasks": (native.model_copy(update={"name": "smell"}),)},
        {"agents": (loudness.model_copy(update={"rendition": "smells"}),)},
        {"agents": (loudness.model_copy(update={"group": "noses"}),)},
        {"agents": (), "agent_tasks": ("smell",)},
    ):
        with pytest.raises(OtherVersion) as caught:
            needs.check(job.model_copy(update=wrong))
        assert caught.value.reason == "task_version"


def test_two_decoders_that_differ_bit_by_bit_have_the_asset_planned_anew(rig: Rig) -> None:
    values = seeded()
    cells = [cell(0, n, values) for n in range(CHUNKS)]
    other = manifest(0, [replace(c, digest=digest(b"another decoder's")) for c in cells])
    rest = messages_of(values)[CHUNKS + 1 :]

    async def drive() -> None:
        await rig.feed(PLANNED, *[of_cell(c) for c in cells], ({"ce_type": EventType.MANIFEST.encode()}, other.to_bytes()))
        await rig.feed(*rest)

    asyncio.run(drive())
    (event,) = rig.finals()
    assert event.run.reason is not None
    assert event.run.reason.startswith("digest_mismatch")
    assert len(rig.uploads()) == 1


def test_a_result_for_another_task_is_of_no_other_version() -> None:
    aggregate = Aggregate(plan())
    assert aggregate.other_version(by(cell(0, 0, seeded()), "1.9")) is None
    assert aggregate.other_version(by(cell(0, 0, seeded()), "2")) == "sum 1 is planned, and 2 would have run"


def test_an_answer_of_another_version_that_comes_before_the_plan_is_known_for_one(rig: Rig) -> None:
    messages = messages_of(seeded())
    said = by(cell(0, 1, seeded(), CellStatus.SKIPPED), "2.0.0")

    async def drive() -> None:
        await rig.feed(of_cell(said), PLANNED, *[m for i, m in enumerate(messages) if i != 1])
        for attempt in (1, 2):
            await rig.look()
            again = Manifest.model_validate_json(messages[CHUNKS][1]).model_copy(update={"attempt": attempt})
            await rig.feed(({"ce_type": EventType.MANIFEST.encode()}, again.to_bytes()))

    asyncio.run(drive())
    (event,) = rig.finals()
    assert [gap.reason.split(":")[0] for gap in event.coverage.gaps] == ["task_version"]
