"""From a bucket to the final event, with MinIO as the store: its own notifications, its versions, its absences."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from processors.analyse import analyse
from processors.equal import differences
from processors.readahead import MIB
from processors.s3 import open_object
from schemas.errors import SourceChanged, SourceMissing
from schemas.events import ContentMetadata
from streams import topics
from streams.client import read_all
from streams.local.ports import LOOPBACK, free_ports
from tests.minio import Minio, program
from tests.sound import tone_file
from tests.stack import NO_NETWORKS, Stack
from tests.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

SECONDS = 240.0
"""How long a final event may take on a busy machine."""


@dataclass
class Site:
    """A store, and a stack that hears of its objects."""

    minio: Minio
    stack: Stack

    def finals(self, uri: str) -> list[ContentMetadata]:
        """The final events of a URI so far, by the time of their runs."""
        found = (ContentMetadata.model_validate_json(m.value() or b"") for m in read_all(self.stack.bootstrap, topics.METADATA))
        return [event for event in found if event.asset.uri == uri]

    def final(self, uri: str, version: str | None = None) -> ContentMetadata:
        """The final event of a URI, in whichever version or that one."""

        def known() -> ContentMetadata | None:
            return next((event for event in self.finals(uri) if version in (None, event.asset.version)), None)

        found = until(known, f"the final event of {uri}", SECONDS)
        assert found is not None
        return found

    def planned(self, uri: str, version: str) -> bool:
        """Whether a version is planned."""
        plans = (orjson.loads(message.value() or b"{}") for message in read_all(self.stack.bootstrap, topics.ASSETS))
        return any((plan["asset"]["uri"], plan["asset"]["version"]) == (uri, version) for plan in plans if "asset" in plan)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    program()
    folder = tmp_path_factory.mktemp("minio")
    kafka, store = free_ports(2)
    minio = Minio(folder / "store", f"{LOOPBACK}:{kafka}", store)
    settings = {
        **minio.environment,
        "DAILIES_ROOTS": json.dumps(["s3://inbox", "s3://versions", "s3://shared/tenant-a", "gs://inbox"]),
        "DAILIES_S3_ENDPOINTS": json.dumps({"gs": minio.endpoint}),
        "DAILIES_REPAIR_LOOK_SECONDS": "0.5",
    }
    with Stack(folder / "data", settings, ("--port", str(kafka), *NO_NETWORKS)) as stack, minio:
        minio.bucket("inbox")
        minio.bucket("shared")
        minio.bucket("versions", versioned=True)
        yield Site(minio, stack)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tone_file(tmp_path_factory.mktemp("sound") / "tone.wav", 5)


@pytest.fixture
def direct(site: Site, monkeypatch: pytest.MonkeyPatch) -> Minio:
    """The store as this process reaches it."""
    for name, value in site.minio.environment.items():
        monkeypatch.setenv(name, value)
    return site.minio


def test_a_new_object_becomes_an_event(site: Site, sound: Path) -> None:
    """Its key has everything that is encoded in notifications, and the event is that of the file itself."""
    uri = site.minio.put("inbox", "films/Der Große + 1 %2B?.wav", sound.read_bytes())
    event = site.final(uri)
    assert event.run.status == "complete" and event.asset.bytes == sound.stat().st_size
    local = analyse(str(sound), code="test", device="cpu")
    assert differences(event.model_copy(update={"asset": local.asset}), local) == []


@pytest.mark.long
def test_an_upload_in_parts(site: Site, tmp_path: Path) -> None:
    data = tone_file(tmp_path / "long.wav", 60).read_bytes()
    uri, etag = site.minio.put_in_parts("inbox", "parts.wav", [data[: 5 * MIB], data[5 * MIB :]])
    assert etag.endswith("-2")
    event = site.final(uri)
    assert (event.run.status, event.asset.version) == ("complete", etag)


@pytest.mark.long
def test_tenants_and_other_clouds_names(site: Site, sound: Path) -> None:
    allowed = site.minio.put("shared", "tenant-a/x.wav", sound.read_bytes())
    other = site.minio.put("shared", "tenant-b/x.wav", sound.read_bytes())
    assert site.final(allowed).run.status == "complete"
    refused = site.final(other)
    assert refused.run.status == "unprocessable" and (refused.run.reason or "").startswith("source_refused")
    site.minio.put("inbox", "g.wav", sound.read_bytes())
    (event,) = site.stack.ingest("gs://inbox/g.wav")
    assert event.asset.uri == "gs://inbox/g.wav"
    (elsewhere,) = site.stack.ingest("az://in@acct.blob.core.windows.net/x.wav", status=4)
    assert (elsewhere.run.reason or "").startswith("backend_missing")


def test_an_object_that_is_overwritten_after_it_was_planned(site: Site, sound: Path, tmp_path: Path) -> None:
    """The first version's run ends and says why; the second one is planned and complete; nothing of both is mixed."""
    decoder = site.stack.pid("decoder-1")
    os.kill(decoder, signal.SIGSTOP)
    try:
        uri = site.minio.put("versions", "x.wav", sound.read_bytes())
        first = site.minio.client.head_object(Bucket="versions", Key="x.wav")["VersionId"]
        until(lambda: site.planned(uri, first), "the first version's plan", SECONDS)
        longer = tone_file(tmp_path / "longer.wav", 8)
        site.minio.put("versions", "x.wav", longer.read_bytes())
        second = site.minio.client.head_object(Bucket="versions", Key="x.wav")["VersionId"]
    finally:
        os.kill(decoder, signal.SIGCONT)
    done = site.final(uri, second)
    assert done.run.status == "complete" and done.asset.bytes == longer.stat().st_size
    given_up = site.final(uri, first)
    assert given_up.run.status == "incomplete"
    assert {gap.reason.partition(":")[0] for gap in given_up.coverage.gaps} == {"source_changed"}
    (again,) = site.stack.ingest(f"{uri}?versionId={first}")
    assert (again.run.status, again.asset.version, again.asset.bytes) == ("complete", first, sound.stat().st_size)


def test_a_store_that_is_away_when_it_is_read(site: Site, sound: Path) -> None:
    planner = site.stack.pid("planner-1")
    os.kill(planner, signal.SIGSTOP)
    uri = site.minio.put("inbox", "away.wav", sound.read_bytes())
    until(lambda: site.minio.spooled() == 0, "the notification to be sent", SECONDS)
    site.minio.stop()
    with socket.create_server((LOOPBACK, site.minio.port)) as nobody:
        os.kill(planner, signal.SIGCONT)
        nobody.settimeout(SECONDS)
        nobody.accept()[0].close()  # somebody has asked in vain
    site.minio.start()
    assert site.final(uri).run.status == "complete"


def test_kafka_is_away_when_an_object_is_uploaded(site: Site, sound: Path) -> None:
    """The store keeps the notification, and sends it when Kafka is back."""
    down = site.stack.dailies("down")
    assert down.returncode == 0, down.stderr
    uri = site.minio.put("inbox", "spooled.wav", sound.read_bytes())
    until(lambda: site.minio.spooled() > 0, "the notification to be spooled", SECONDS)
    up = site.stack.dailies("up", "--detach", *site.stack.up)
    assert up.returncode == 0, up.stderr
    assert site.final(uri).run.status == "complete"
    until(lambda: site.minio.spooled() == 0, "the spool to be empty", SECONDS)


def test_parts_of_two_states_are_never_mixed(direct: Minio) -> None:
    """Where a bucket has no versions reading ends; where it has, it goes on with the version that was opened."""
    before, after = b"a" * (12 * MIB), b"b" * (12 * MIB)
    with open_object(direct.put("inbox", "mixed.bin", before)) as source:
        assert source.read(10) == before[:10]
        direct.put("inbox", "mixed.bin", after)
        with pytest.raises(SourceChanged):
            source.read()
        assert source.changed()
    with open_object(direct.put("versions", "mixed.bin", before)) as source:
        direct.put("versions", "mixed.bin", after)
        assert source.read() == before
        assert source.changed()


def test_what_the_store_refuses(direct: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    for uri in ("s3://inbox/nothing", "s3://no-such-bucket/x", "s3://inbox/x?versionId=00000000-0000-0000-0000-000000000000"):
        with pytest.raises(SourceMissing):
            open_object(uri)
    uri = direct.put("inbox", "secret.bin", b"x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(SourceMissing, match="credentials"):
        open_object(uri, endpoint=direct.endpoint.replace(LOOPBACK, "localhost"))  # another endpoint: a client of its own
