"""Objects: one version and never two, few requests, and patience with a store that is away."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from processors import objects
from processors.policy import SourcePolicy
from processors.probe import probe, probe_source
from processors.readahead import MIB
from processors.s3 import split
from processors.source import open_container, open_source
from schemas.errors import SourceChanged, SourceMissing, SourceRefused, Unprocessable
from tests.objects import Store, absent, errors, refusal

BODY = random.Random(7).randbytes(12 * MIB)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Waits take no time; how long they would have been."""
    waits: list[float] = []
    monkeypatch.setattr("processors.objects.time.sleep", waits.append)
    yield waits


def test_what_is_read_is_the_object() -> None:
    store = Store()
    store.put("a b.mov", BODY)
    with store.open("s3://in/a b.mov") as source:
        assert (source.size, source.name) == (len(BODY), "a b.mov")
        assert source.version == store.objects["a b.mov"][0].etag.strip('"')
        source.seek(-5, 2)
        assert source.read() == BODY[-5:]
        source.seek(3 * MIB)
        assert source.read(9) == BODY[3 * MIB : 3 * MIB + 9]
        assert not source.changed()


@pytest.mark.parametrize("versioned", [False, True])
def test_an_object_that_is_overwritten_is_never_mixed(versioned: bool) -> None:
    store = Store(versioned)
    store.put("x", BODY)
    with store.open("s3://in/x") as source:
        assert source.read(10) == BODY[:10]
        store.put("x", BODY[::-1])
        source.seek(6 * MIB)
        if versioned:
            assert source.read(10) == BODY[6 * MIB : 6 * MIB + 10]
            assert source.version == "v1"
        else:
            with pytest.raises(SourceChanged, match="overwritten"):
                source.read(10)
        assert source.changed()


def test_an_object_that_goes_away() -> None:
    store = Store()
    store.put("x", BODY)
    with store.open("s3://in/x") as source:
        store.objects.clear()
        assert source.changed()
        with pytest.raises(SourceChanged, match="went away"):
            source.read(10)


def test_a_version_by_its_id() -> None:
    store = Store(versioned=True)
    store.put("x", b"first")
    store.put("x", b"second")
    with store.open("s3://in/x?versionId=v1") as source:
        assert (source.read(), source.version, source.name) == (b"first", "v1", "x")
        assert not source.changed()
    with store.open("s3://in/x") as source:
        assert (source.read(), source.version) == (b"second", "v2")
    with pytest.raises(SourceMissing):
        store.open("s3://in/x?versionId=v9")


@pytest.mark.parametrize(
    ("uri", "path", "version"),
    [
        ("s3://in/a/b.mov", "in/a/b.mov", None),
        ("s3://in/a?b.mov", "in/a?b.mov", None),
        ("s3://in/a?versionId=x/y", "in/a?versionId=x/y", None),
        ("s3://in/a?versionId=L4k.9_-~", "in/a", "L4k.9_-~"),
    ],
)
def test_how_uris_name_versions(uri: str, path: str, version: str | None) -> None:
    assert split(uri) == (path, version)


def test_the_etag_of_a_multipart_upload_is_a_version() -> None:
    store = Store()
    store.put("x", BODY, etag='"9b2cf535f27731c974343645a3985328-3"')
    with store.open("s3://in/x") as source:
        assert source.version == "9b2cf535f27731c974343645a3985328-3"
        assert source.read(4) == BODY[:4]


def test_a_store_that_is_away_for_a_while(hasty: list[float]) -> None:
    store = Store()
    store.put("x", BODY)
    store.faults += absent()
    with store.open("s3://in/x") as source:
        assert len(hasty) == 6 and hasty == sorted(hasty)
        store.faults += absent()
        assert source.read(5) == BODY[:5]
        store.faults += absent()
        assert not source.changed()


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def later(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("processors.objects.time.sleep", later)
    monkeypatch.setattr("processors.objects.time.monotonic", lambda: now)
    store = Store()
    store.faults += [refusal(503, "SlowDown")] * 1000
    with pytest.raises(ConnectionError, match="503 SlowDown"):
        store.open("s3://in/x")
    assert objects.PATIENCE_SECONDS - objects.LONGEST_WAIT_SECONDS <= now <= objects.PATIENCE_SECONDS
    assert store.asked["head_object"] < 60


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (refusal(404, "404"), SourceMissing, "source_missing"),
        (refusal(403, "AccessDenied"), SourceMissing, "source_missing"),
        (refusal(400, "InvalidBucketName"), SourceMissing, "source_missing"),
        (errors.NoCredentialsError(), Unprocessable, "no_credentials"),
        (errors.ParamValidationError(report="Bucket"), SourceRefused, "source_refused"),
    ],
)
def test_answers_that_stay_are_said_at_once(
    fault: Exception, kind: type[Unprocessable], reason: str, hasty: list[float]
) -> None:
    store = Store(faults=[fault])
    with pytest.raises(kind) as caught:
        store.open("s3://in/x")
    assert caught.value.reason == reason and hasty == []


def movie(path: Path, seconds: int) -> bytes:
    """A file of 192 kB a second with its index at the end."""
    samples = np.arange(48_000 * 2, dtype=np.int16).reshape(1, -1)
    with av.open(str(path), "w", format="mov") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        for second in range(seconds):
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.rate, frame.pts = 48_000, 48_000 * second
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert data.index(b"moov") > 0.99 * len(data)
    return data


def test_an_index_at_the_end_and_all_packets_take_few_requests(tmp_path: Path) -> None:
    data = movie(tmp_path / "x.mov", 150)
    store = Store()
    store.put("x.mov", data)
    with store.open("s3://in/x.mov") as source:
        index = probe_source(source)
        # The start, the end, and from there on at a doubled pace: 2, 4, 8, 8 and the rest of 29 MB.
        assert store.asked == {"head_object": 1, "get_object": 7}
        with open_container(source) as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) == 150 * 48_000
    assert index.duration == 150
    assert store.asked["get_object"] <= 7 + 5


def test_probing_again_what_is_overwritten_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    first, second = (movie(tmp_path / f"{seconds}.mov", seconds) for seconds in (40, 30))
    store.put("x.mov", first)
    opened: list[Any] = []

    def opening(uri: str, _: SourcePolicy) -> Any:
        opened.append(store.open(uri))
        opened[-1].read(10)
        if len(opened) == 1:
            store.put("x.mov", second)
        return opened[-1]

    monkeypatch.setattr("processors.probe.open_source", opening)
    index = probe("s3://in/x.mov", SourcePolicy())
    assert len(opened) == 2 and index.version == opened[1].version
    assert index.duration == 30


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_other_clouds_say_what_to_set(scheme: str) -> None:
    with pytest.raises(Unprocessable, match="DAILIES_S3_ENDPOINTS") as caught:
        open_source(f"{scheme}://in/x", SourcePolicy())
    assert caught.value.reason == "backend_missing"


def test_roots_hold_tenants_apart() -> None:
    policy = SourcePolicy(("s3",), ("s3://tenant-a", "s3://shared/tenant-a/"), endpoints=(("gs", "http://store"),))
    for uri in ("s3://tenant-a/x", "s3://shared/tenant-a/x?versionId=1"):
        policy.check(uri)
    for uri in ("s3://tenant-ab/x", "s3://tenant-b/x", "s3://shared/tenant-ab/x", "s3://shared/x", "gs://tenant-a/x"):
        with pytest.raises(SourceRefused, match="allowed root"):
            policy.check(uri)
    for uri in ("s3://tenant-a/../tenant-b/x", "s3://shared/tenant-a/../tenant-b/x"):
        with pytest.raises(SourceRefused):
            open_source(uri, policy)
