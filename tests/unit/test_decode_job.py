"""Jobs as a whole: native cells, damage, what a task that fails leaves, and the child that runs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from processors import tasks
from processors.decode.child import parse
from processors.decode.faults import MAX_ENTRIES, FaultLog
from processors.decode.frame import NativeFrame
from processors.decode.native import ROWS
from processors.sandbox import Child, Limits, Message
from processors.source import SourcePolicy, open_source, to_uri
from processors.tasks.base import TaskSpec
from schemas.cell import CellResult, CellStatus
from schemas.chunk import Chunk
from schemas.errors import SourceChanged, Unprocessable, WireError
from schemas.ids import digest
from schemas.manifest import Manifest
from schemas.plan import AssetRef, Job, TaskRef
from tests.decoding import chunks_of, index_of, manifest_of, outputs, render, video_jobs
from tests.tools import MEDIA, require_tool
from tests.unit.web_server import Site, serve

GOP = {"preset": "ultrafast", "g": "25", "x264-params": "scenecut=0:bframes=2:open-gop=1"}


class Means:
    """A decode task for tests: each frame's mean luma, and the next frame's (which it must wait for)."""

    def __init__(self, job: Job, fail_at: int | None) -> None:
        self._fail_at = fail_at
        self._means: list[float] = []
        self._owned = 0
        self._taken = 0
        self._closed = False

    def feed(self, frame: NativeFrame, *, owned: bool) -> None:
        if frame.number == self._fail_at:
            raise RuntimeError(f"frame {frame.number} is not to my liking")
        self._means.append(float(frame.planes[0].mean()))
        self._owned += owned

    def hungry(self) -> bool:
        return len(self._means) <= self._owned

    def ready(self) -> int:
        known = self._owned if self._closed else min(self._owned, len(self._means) - 1)
        return known - self._taken

    def take(self, rows: int) -> tuple[dict[str, np.ndarray[Any, Any]], tuple[dict[str, Any], ...]]:
        low, high = self._taken, self._taken + rows
        self._taken = high
        means = [*self._means, float("nan")]
        return {"mean": np.array(means[low:high]), "next": np.array(means[low + 1 : high + 1])}, ()

    def close(self) -> None:
        self._closed = True


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int | None]]:
    """Tasks ``one`` and ``two``; the dict says at which frame each fails."""
    fails: dict[str, int | None] = {"one": None, "two": None}

    class Task:
        def __init__(self, name: str) -> None:
            self.name = name
            self.spec = TaskSpec(name, "1.5", "video", "decode", "native", "means")

        def open(self, job: Job) -> Means:
            return Means(job, fails[self.name])

    monkeypatch.setattr(tasks, "decode_task", Task)
    yield fails


def ref(name: str) -> TaskRef:
    return TaskRef(name=name, version="1", where="decode", rendition="native", group="signals")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=200, size=(96, 64), options=GOP)


def cells(job: Job, task: str) -> list[CellResult]:
    return [o for o in outputs(job) if isinstance(o, CellResult) and o.key.task == task]


def test_native_cells_are_the_same_however_the_stream_is_cut(clip: Path, means: dict[str, int | None]) -> None:
    def rows(cuts: list[int]) -> dict[str, np.ndarray[Any, Any]]:
        found = [c.signals() for job in video_jobs(clip, cuts=cuts, tasks=[ref("one")]) for c in cells(job, "one")]
        assert [s.first_row for s in found] == list(np.cumsum([0, *(s.rows for s in found)])[:-1])
        return {name: np.concatenate([s.arrays[name] for s in found]) for name in found[0].arrays}

    whole = rows([])
    assert whole["pts"].tolist() == list(index_of(clip).pts)
    assert np.array_equal(whole["next"][:-1], whole["mean"][1:])
    for cuts in ([1], [2, 3, 6], [1, 2, 3, 4, 5, 6, 7]):
        cut = rows(cuts)
        assert all(np.array_equal(cut[name], whole[name], equal_nan=True) for name in whole)


def test_cells_and_records_agree(clip: Path, means: dict[str, int | None]) -> None:
    job = video_jobs(clip, cuts=[3], tasks=[ref("one"), ref("two")], renditions=["thumbs"])[1]
    found = outputs(job)
    manifest = manifest_of(found)
    assert manifest.decoded == 125 and (manifest.segment, manifest.kind) == (1, "video")
    records = [r for r in manifest.chunks if r.rendition == "native"]
    assert [(r.n, r.first_row, r.rows, r.fresh) for r in records] == [(0, 75, (ROWS, 0), False), (1, 139, (61, 0), False)]
    made = [o for o in found if isinstance(o, CellResult)]
    assert [(c.key.n, c.key.task) for c in made] == [(0, "one"), (0, "two"), (1, "one"), (1, "two")]
    for cell in made:
        assert cell.digest == digest(cell.value) == records[cell.key.n].digests[cell.key.task]
        assert cell.status is CellStatus.OK and cell.seconds >= 0 and "numpy" in cell.runtime
        assert cell.key.task_version == "1.5", "what ran, not what was planned"
    thumbs = chunks_of(found, "thumbs")
    assert [(r.n, r.digests[""], r.bytes) for r in manifest.chunks if r.rendition == "thumbs"] == [
        (c.header.n, c.header.digest, len(c.data)) for c in thumbs
    ]
    assert {"decode", "thumbs", "one", "two"} == manifest.seconds.keys()
    pts = index_of(clip).pts
    assert (manifest.first_pts, manifest.last_pts, manifest.end_pts) == (pts[75], pts[-1], 2 * pts[-1] - pts[-2])


def test_a_failing_task_leaves_the_others_alone(clip: Path, means: dict[str, int | None]) -> None:
    (job,) = video_jobs(clip, tasks=[ref("one"), ref("two")], renditions=["thumbs"])
    right = {c.key.n: c.value for c in cells(job, "two")}
    means["one"] = 100
    found = outputs(job)
    one = [o for o in found if isinstance(o, CellResult) and o.key.task == "one"]
    two = [o for o in found if isinstance(o, CellResult) and o.key.task == "two"]
    assert [c.status for c in one] == [CellStatus.OK] + [CellStatus.FAILED] * 3
    assert orjson.loads(one[1].value) == {"error": "RuntimeError", "message": "frame 100 is not to my liking"}
    assert {c.key.n: c.value for c in two} == right
    assert manifest_of(found).decoded == 200 and chunks_of(found, "thumbs")
    means["two"] = 150
    statuses = [o.status for o in outputs(job) if isinstance(o, CellResult) and o.key.task == "two"]
    assert statuses == [CellStatus.OK] * 2 + [CellStatus.FAILED] * 2


@pytest.mark.parametrize("name", ["cut.ts", "cut.mkv", "cut.mp4"])
@pytest.mark.parametrize("keep", [0.3, 0.77, 0.99])
def test_a_truncated_file_gives_what_it_has(name: str, keep: float, tmp_path: Path) -> None:
    index_first = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = render(tmp_path / name, frames=200, options=GOP, container_options=index_first)
    jobs = video_jobs(path, cuts=[2, 6], renditions=["proxy", "thumbs", "stills"], after={"proxy": 1, "thumbs": 99})
    whole = sum(manifest_of(outputs(job)).decoded for job in jobs)
    assert whole == 200
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    manifests = [manifest_of(outputs(job)) for job in jobs]
    assert 200 * keep * 0.5 < sum(m.decoded for m in manifests) < 200
    if keep < 0.5:
        assert manifests[-1].decoded == 0
        assert "cannot be found" in manifests[-1].errors[-1].message


def test_damage_is_told_and_the_rest_decoded(tmp_path: Path) -> None:
    path = render(tmp_path / "clip.ts", frames=200, options=GOP)
    job = video_jobs(path, renditions=["proxy"])[0]
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in range(len(data) // 3, len(data) // 2, 5000):
        data[at : at + 700] = rng.integers(0, 256, 700).astype(np.uint8).tobytes()
    path.write_bytes(bytes(data))
    found = outputs(job)
    manifest = manifest_of(found)
    assert 100 < manifest.decoded <= 200
    assert manifest.errors
    assert manifest.concealed <= manifest.decoded
    concealed = sum(e.end - e.first for e in manifest.errors if e.message == "concealed by the decoder")
    assert concealed == manifest.concealed
    assert sum(c.header.rows[0] for c in chunks_of(found, "proxy")) == manifest.decoded


def test_errors_stay_a_message_however_many() -> None:
    faults = FaultLog()
    for row in range(10_000):
        faults.add(f"kind {row % 3}", row, row + 1)
    assert len(faults.entries()) == MAX_ENTRIES
    assert faults.entries()[-1].end == 10_000
    merged = FaultLog()
    for row in range(100):
        merged.add("concealed", row, row + 1, pts=row * 10)
    assert [(e.first, e.end, e.pts) for e in merged.entries()] == [(0, 100, 0)]


def test_a_stream_that_is_not_there(clip: Path) -> None:
    job = video_jobs(clip)[0]
    with pytest.raises(SourceChanged):
        outputs(job.model_copy(update={"index": 7}))
    with pytest.raises(SourceChanged):
        outputs(job.model_copy(update={"kind": "audio"}))


def in_child(job: Job) -> list[Any]:
    request = {"job": job.model_dump(mode="json"), "policy": asdict(SourcePolicy())}
    with Child(handler="processors.decode.child:handle", limits=Limits(wall_seconds=60)) as child:
        return [parse(message) for message in child.call(request)]


def planned(path: Path, **options: Any) -> Job:
    job = video_jobs(path, **options)[0]
    with open_source(to_uri(str(path)), SourcePolicy()) as source:
        return job.model_copy(update={"asset": job.asset.model_copy(update={"version": source.version})})


def test_a_child_gives_the_same_as_a_call(clip: Path) -> None:
    job = planned(clip, renditions=["proxy", "thumbs"], after={"thumbs": 99})
    here, there = outputs(job), in_child(job)
    assert [type(o) for o in there] == [type(o) for o in here]
    for mine, theirs in zip(here[:-1], there[:-1], strict=True):
        assert isinstance(mine, Chunk)
        assert theirs.header == mine.header and theirs.intact()
    untimed = {"seconds": {}}
    assert isinstance(there[-1], Manifest)
    assert there[-1].model_copy(update=untimed) == manifest_of(here).model_copy(update=untimed)


def test_a_child_sends_cells(clip: Path) -> None:
    name = next((n for n, t in tasks.registry().items() if t.spec.where == "decode" and t.spec.kind == "video"), None)
    assert name is not None
    job = planned(clip, tasks=[tasks.task(name).spec.ref()])
    found = [o for o in in_child(job) if isinstance(o, CellResult)]
    assert [c.signals().rows for c in found] == [64, 64, 64, 8]
    assert [c.value for c in found] == [c.value for c in cells(job, name)]


def test_a_slow_source_is_no_stall(clip: Path) -> None:
    with serve(Site(pages={"/clip.mp4": clip.read_bytes()}, headers={"ETag": '"1"'}, delays={2: 5.0})) as site:
        policy = SourcePolicy(schemes=("http",), private_addresses=True)
        uri = f"{site.base}/clip.mp4"
        with open_source(uri, policy) as source:
            version = source.version
        job = video_jobs(clip)[0]
        job = job.model_copy(update={"asset": AssetRef(id="asset", uri=uri, version=version)})
        request = {"job": job.model_dump(mode="json"), "policy": asdict(policy)}
        with Child(handler="processors.decode.child:handle", limits=Limits(stall_seconds=2.5, network=True)) as child:
            found = [parse(message) for message in child.call(request)]
    assert manifest_of(found).decoded == 200 and len(site.asked) >= 4  # the third is the first of the data


def test_another_version_is_refused(clip: Path) -> None:
    with pytest.raises(SourceChanged):
        in_child(video_jobs(clip)[0])


def test_a_file_that_is_no_media(tmp_path: Path) -> None:
    path = render(tmp_path / "clip.mp4", frames=10)
    job = video_jobs(path)[0]
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(Unprocessable):
        outputs(job)


@pytest.mark.parametrize(
    "head", [{}, {"type": "song"}, {"type": "chunk"}, {"type": "cell", "headers": {}}, {"type": "manifest"}]
)
def test_what_is_no_message_of_a_decode_child(head: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        parse(Message(head, b"{}"))


@pytest.mark.media
@pytest.mark.parametrize(
    "name",
    ["nasa_13013.mp4", "rotated.mp4", "testsrc2_h265.mp4"],
)
def test_frames_are_those_of_ffprobe(name: str) -> None:
    import subprocess

    from processors.container import open_container
    from processors.decode.video import frames

    path = MEDIA / "video" / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    (job,) = video_jobs(path)
    command = [require_tool("ffprobe"), "-v", "error", "-count_frames", "-select_streams", str(job.index)]
    command += ["-show_entries", "frame=pts", "-of", "csv=p=0", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with open_source(job.asset.uri, SourcePolicy()) as source, open_container(source) as container:
        found = [frame.pts for frame, _ in frames(container, job)]
    assert found == [int(line.strip(",")) for line in said.split()]
