"""Sources: what may be opened, what it is called, and when it counts as another version."""

from __future__ import annotations

import ipaddress
import os
import random
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import orjson
import pytest

from processors.policy import is_public
from processors.readahead import MIB
from processors.source import SourcePolicy, open_container, open_source, to_uri
from schemas.errors import SourceChanged, SourceMissing, SourceRefused, Unprocessable
from tests.decoding import render
from tests.tools import require_tool
from tests.unit.web_server import Site, serve

FILES = SourcePolicy()
WEB = SourcePolicy(schemes=("http", "https"), private_addresses=True)
BODY = random.Random(5).randbytes(8 * MIB + 12345)


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("/a/b c.mov", "file:///a/b%20c.mov"),
        ("/a/./x/../b.mov", "file:///a/b.mov"),
        ("FILE:///a/%62.mov", "file:///a/b.mov"),
        ("file:/a/b.mov", "file:///a/b.mov"),
        ("file://localhost/a/b.mov", "file:///a/b.mov"),
        ("S3://In/k%20 +ü?.mov", "s3://In/k%20 +ü?.mov"),
        ("HTTPS://Example.COM:443/A/b?c=D#frag", "https://example.com/A/b?c=D"),
        ("https://example.com", "https://example.com/"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
    ],
)
def test_one_object_has_one_uri(given: str, normal: str) -> None:
    assert to_uri(given) == normal
    assert to_uri(normal) == normal


def test_plain_paths_are_taken_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert to_uri("x/y:z.mov") == (tmp_path / "x" / "y:z.mov").as_uri()


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/a\0b",
        "file:///a%00b",
        "file://elsewhere/a",
        "https://user:secret@example.com/a",
        "https:///a",
        "https://example.com/a/%2e%2e/b",
        "https://example.com/a/../b",
        "https://example.com:port/",
        "https://example.com/a b",
        "s3://bucket/a/../b",
    ],
)
def test_malformed_uris_are_refused(uri: str) -> None:
    with pytest.raises(SourceRefused):
        to_uri(uri)


@pytest.mark.parametrize(
    "uri", ["ftp://h/x", "http://h/x", "concat:a|b", "memory://x", "zip://x::file:///etc/passwd", "data://x"]
)
def test_other_schemes_are_refused(uri: str) -> None:
    with pytest.raises((SourceRefused, SourceMissing)):
        open_source(uri, FILES)
    if "://" in uri:
        with pytest.raises(SourceRefused, match="allowed are file, s3, https"):
            open_source(uri, FILES)


def test_a_policy_travels_as_json() -> None:
    policy = SourcePolicy(("file",), ("/in", "s3://b/p"), True)
    assert SourcePolicy.from_json(orjson.loads(orjson.dumps(asdict(policy)))) == policy


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"0123456789")
    with open_source(str(path), FILES) as source:
        assert (source.uri, source.size) == (path.as_uri(), 10)
        assert source.version == f"10-{path.stat().st_mtime_ns}"
        assert source.read(4) == b"0123" and source.seek(-2, os.SEEK_END) == 8 and source.read() == b"89"
        assert not source.changed()
        os.utime(path, ns=(1, 1))
        assert source.changed()
    with open_source(str(path), FILES) as source:
        path.unlink()
        assert source.changed()


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="No such file"):
        open_source(str(tmp_path / "nothing"), FILES)
    with pytest.raises(SourceMissing):
        open_source(str(tmp_path / ("x" * 300)), FILES)
    (tmp_path / "file").touch()
    with pytest.raises(SourceMissing):
        open_source(str(tmp_path / "file" / "below"), FILES)
    with pytest.raises(SourceRefused, match="regular file"):
        open_source(str(tmp_path), FILES)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceRefused, match="regular file"):
        open_source(str(tmp_path / "pipe"), FILES)
    with pytest.raises(SourceRefused, match="regular file"):
        open_source("/dev/null", FILES)


def test_only_real_paths_under_a_root_are_opened(tmp_path: Path) -> None:
    inside, outside, near = (tmp_path / name for name in ("in", "out", "in-secret"))
    for folder in (inside, outside, near):
        folder.mkdir()
        (folder / "x").write_bytes(b"x")
    (inside / "ok").symlink_to(inside / "x")
    (inside / "escape").symlink_to(outside / "x")
    (inside / "folder").symlink_to(outside)
    (tmp_path / "alias").symlink_to(inside)
    policy = SourcePolicy(roots=(str(inside),))
    for good in (inside / "x", inside / "ok", outside / ".." / "in" / "x"):
        with open_source(str(good), policy) as source:
            assert source.read() == b"x"
    bad = (outside / "x", inside / ".." / "out" / "x", inside / "escape", inside / "folder" / "x", near / "x")
    for path in (*map(str, bad), f"{inside.as_uri()}/%2e%2e/out/x"):
        with pytest.raises(SourceRefused, match="allowed root"):
            open_source(path, policy)
    with open_source(str(inside / "x"), SourcePolicy(roots=((tmp_path / "alias").as_uri(),))) as source:
        assert source.size == 1
    with pytest.raises(SourceRefused):
        open_source(str(inside / "x"), SourcePolicy(roots=("s3://bucket",)))


def test_roots_of_objects_end_at_a_slash() -> None:
    policy = SourcePolicy(roots=("s3://in/a", "https://example.com/media/"))
    policy.check("s3://in/a/b.mov")
    policy.check("https://example.com/media/x?sig=1")
    for uri in ("s3://in/ab.mov", "s3://in-secret/a/b", "https://example.com/mediax", "https://example.com.evil.org/media/x"):
        with pytest.raises(SourceRefused):
            policy.check(uri)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.9.9", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *(
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "ff02::1",
        ),
    ],
)
def test_private_addresses(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(SourceRefused, match="public"):
        SourcePolicy().check_address("host", address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses(address: str) -> None:
    SourcePolicy().check_address("host", address)


def test_a_web_source_is_read_by_ranges() -> None:
    site = Site(pages={"/x.mov": BODY}, headers={"ETag": '"abc"'})
    with serve(site), open_source(f"{site.base}/x.mov", WEB) as source:
        assert (source.size, source.version) == (len(BODY), "abc")
        source.seek(4 * MIB - 10)
        assert source.read(20) == BODY[4 * MIB - 10 : 4 * MIB + 10]
        source.seek(-5, os.SEEK_END)
        assert source.read(100) == BODY[-5:] and source.read(1) == b""
        source.seek(0)
        assert source.read() == BODY
        assert not source.changed()
        assert len(site.asked) <= 6


def test_an_idle_connection_that_was_dropped_is_renewed() -> None:
    site = Site(pages={"/x": BODY}, headers={"ETag": "e"}, drop_after=1)
    with serve(site), open_source(f"{site.base}/x", WEB) as source:
        assert source.read() == BODY


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"x-amz-version-id": "v7", "ETag": '"e"'}, "v7"),
        ({"x-amz-version-id": "null", "ETag": '"e"'}, "e"),
        ({"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, "Mon, 01 Jan 2024 00:00:00 GMT-3"),
    ],
)
def test_versions_of_web_sources(headers: dict[str, str], version: str) -> None:
    site = Site(pages={"/x": b"abc"}, headers=headers)
    with serve(site), open_source(f"{site.base}/x", WEB) as source:
        assert source.version == version


def test_a_web_source_that_changes_is_noticed() -> None:
    site = Site(pages={"/x": BODY}, headers={"ETag": "1"})
    with serve(site), open_source(f"{site.base}/x", WEB) as source:
        source.read(10)
        site.headers["ETag"] = "2"
        assert source.changed()
        source.seek(4 * MIB)
        with pytest.raises(SourceChanged):
            source.read(10)
        site.pages.clear()
        assert source.changed()


def test_redirects_are_followed_and_judged() -> None:
    site = Site(pages={"/good/x": b"abc"}, headers={"ETag": "1"})
    with serve(site):
        site.moved = {"/good/a": "/good/b", "/good/b": f"{site.base}/good/x", "/good/loop": "/good/loop", "/good/out": "/bad/x"}
        site.moved |= {"/good/file": "file:///etc/passwd", "/good/up": "/good/%2e%2e/bad", "/good/ftp": "ftp://h/x"}
        policy = SourcePolicy(("http",), (f"{site.base}/good",), private_addresses=True)
        with open_source(f"{site.base}/good/a", policy) as source:
            assert source.read() == b"abc" and source.uri.endswith("/good/a")
        for path in ("loop", "out", "file", "up", "ftp"):
            with pytest.raises(SourceRefused):
                open_source(f"{site.base}/good/{path}", policy)


def test_private_servers_are_refused_before_anything_is_sent() -> None:
    site = Site(pages={"/x": b"abc"})
    with serve(site):
        port = site.base.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]"):
            with pytest.raises(SourceRefused, match="not a public address"):
                open_source(f"http://{host}:{port}/x", SourcePolicy(("http",)))
    assert site.asked == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, SourceMissing), (403, SourceMissing), (410, SourceMissing), (503, ConnectionError), (429, OSError)],
)
def test_answers_that_are_no_object(status: int, error: type[Exception]) -> None:
    site = Site(status={"/x": status})
    with serve(site), pytest.raises(error, match=str(status)):
        open_source(f"{site.base}/x", WEB)


def test_a_server_without_ranges_and_an_empty_object() -> None:
    site = Site(pages={"/x": b"abc", "/empty": b""}, ranges=False)
    with serve(site):
        with pytest.raises(Unprocessable, match="byte ranges") as caught:
            open_source(f"{site.base}/x", WEB)
        assert caught.value.reason == "no_ranges"
        assert open_source(f"{site.base}/empty", WEB).size == 0
        site.ranges = True
        assert open_source(f"{site.base}/empty", WEB).size == 0


def test_an_unknown_host_is_missing() -> None:
    with pytest.raises((SourceMissing, OSError)):
        open_source("https://nothing.invalid/x", SourcePolicy())


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [require_tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        [*command, "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    site = Site(pages={"/x": b"abc"}, headers={"ETag": "1"})
    with serve(site, (certificate, key)):
        with pytest.raises(SourceRefused, match=r"localhost: .*certificate"):
            open_source(f"{site.base}/x", WEB)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with open_source(f"{site.base}/x", WEB) as source:
            assert source.read() == b"abc"
        with pytest.raises(SourceRefused, match="certificate"):
            open_source(f"{site.base.replace('localhost', '127.0.0.1')}/x", WEB)


def test_a_missing_backend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.filesystem", absent)
    with pytest.raises(Unprocessable, match="Install s3fs") as caught:
        open_source("s3://in/x", FILES)
    assert caught.value.reason == "backend_missing"


def frames(path_or_source: Any) -> list[bytes]:
    opened = av.open(path_or_source) if isinstance(path_or_source, str) else open_container(path_or_source)
    with opened as container:
        return [bytes(memoryview(frame.planes[0])) for frame in container.decode(video=0)]


def test_decoding_through_a_source_is_decoding_the_file(tmp_path: Path) -> None:
    path = render(tmp_path / "x.mp4", frames=30)
    wanted = frames(str(path))
    with open_source(str(path), FILES) as source:
        assert frames(source) == wanted
    site = Site(pages={"/x.mp4": path.read_bytes()}, headers={"ETag": "1"})
    with serve(site), open_source(f"{site.base}/x.mp4", WEB) as source:
        assert frames(source) == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{other}\n#EXT-X-ENDLIST\n"),
        ("x.ffconcat", "ffconcat version 1.0\nfile {other}\n"),
        (
            "x.sdp",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        ),
        ("x.mpd", '<?xml version="1.0"?><MPD type="static"><Period><BaseURL>{other}</BaseURL></Period></MPD>'),
    ],
)
def test_files_that_name_other_files_are_no_media(tmp_path: Path, name: str, text: str) -> None:
    other = render(tmp_path / "other.ts", frames=5)
    (tmp_path / name).write_text(text.format(other=other))
    with open_source(str(tmp_path / name), FILES) as source, pytest.raises(Unprocessable) as caught:
        open_container(source)
    assert caught.value.reason == "not_media"
