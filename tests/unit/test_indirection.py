"""Files that name other files or hosts reach neither: a watched file is never opened, a listening socket never called."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from schemas.events import ContentMetadata
from tests.chaos.excerpts import RECIPES, encode
from tests.chaos.line import Line
from tests.chaos.mutate import Mutant

EXCERPTS = {recipe.name: recipe for recipe in RECIPES}
IN_OPEN, IN_ACCESS = 0x20, 0x1


@dataclass(frozen=True)
class Trap:
    """A file that nobody may open, and a port of this machine that nobody may call."""

    path: Path
    listener: socket.socket
    watch: int

    @property
    def url(self) -> str:
        host, port = self.listener.getsockname()
        return f"http://{host}:{port}/canary.wav"

    def touched(self) -> list[str]:
        found = []
        with suppress(BlockingIOError):
            os.read(self.watch, 4096)
            found.append("the file was opened")
        with suppress(BlockingIOError):
            self.listener.accept()[0].close()
            found.append("the port was called")
        return found


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    path = tmp_path / "canary.wav"
    path.write_bytes(encode(EXCERPTS["pcm.wav"]))
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, bytes(path), IN_OPEN | IN_ACCESS) >= 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Trap(path, listener, watch)
    os.close(watch)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with Line(tmp_path_factory.mktemp("line")) as one:
        yield one


def hls(target: str) -> bytes:
    return f'#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI="{target}"\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n'.encode()


def dash(target: str) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S">'
        f'<Period><AdaptationSet mimeType="video/mp4"><Representation id="0" bandwidth="1"><BaseURL>{target}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    ).encode()


def concat(target: str) -> bytes:
    return f"ffconcat version 1.0\nfile '{target}'\n".encode()


def sdp(target: str) -> bytes:
    port = target.partition(":")[2].rpartition(":")[2].partition("/")[0]
    session = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    return f"{session}m=audio {port} RTP/AVP 0\na=control:{target}\n".encode()


def imf(target: str) -> bytes:
    return (
        '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>urn:uuid:0</Id>'
        f"<EditRate>25 1</EditRate><SegmentList><Segment><Path>{target}</Path></Segment></SegmentList></CompositionPlaylist>"
    ).encode()


def redirector(target: str) -> bytes:
    return (
        f"[Reference]\nRef1={target}\nFile1={target}\n<asx version='3'><entry><ref href='{target}'/></entry></asx>\n".encode()
    )


def rtsp_text(target: str) -> bytes:
    return f"RTSPtext\r\n{target}\r\n".encode()


def external(target: str) -> bytes:
    """A QuickTime file whose samples lie elsewhere: its data reference is an alias with an absolute path."""
    path = target.encode() + bytes(len(target) & 1)
    levels = struct.pack(">2H", 1, 1)
    alias = bytes(10) + b"\1x" + bytes(26) + bytes(12) + b"\6canary" + bytes(57) + bytes(16) + levels + bytes(16)
    alias += struct.pack(">2H", 2, len(path)) + path + struct.pack(">2H", 0xFFFF, 0)
    reference = struct.pack(">2I", 0, 1) + struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    return _replaced(encode(EXCERPTS["mjpeg.mov"]), [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"], reference)


def reference_movie(target: str) -> bytes:
    """A QuickTime reference movie: ``rmra`` instead of tracks."""
    reference = struct.pack(">I4sI4sI", 20 + len(target), b"rdrf", 0, b"url ", len(target)) + target.encode()
    inside = struct.pack(">I4s", 8 + len(reference), b"rmda") + reference
    moov = struct.pack(">I4s", 8 + len(inside), b"rmra") + inside
    return struct.pack(">I4s4sI", 16, b"ftyp", b"qt  ", 0) + struct.pack(">I4s", 8 + len(moov), b"moov") + moov


def linked_segment(target: str) -> bytes:
    """Matroska that says which file comes next (``NextFilename``, ``ChapterSegmentUID``), in the place of a void element."""
    data = encode(EXCERPTS["ffv1.mkv"])
    info = b"\x3e\x83\xbb" + bytes([0x80 | len(target)]) + target.encode() + b"\x3e\xb9\x23\x90" + bytes(16)
    begin = data.index(b"\x15\x49\xa9\x66")
    return data[:begin] + b"\x15\x49\xa9\x66" + bytes([0x40, len(info)]) + info + data[begin:]


def operational_atom(target: str) -> bytes:
    """MXF that calls itself OP-Atom, with a network locator's text, and no essence of its own."""
    data = bytearray(encode(EXCERPTS["mpeg2.mxf"]))
    pattern = bytes.fromhex("060e2b34040101010d01020101")
    at = data.index(pattern)
    data[at + 12] = 0x10
    locator = bytes.fromhex("060e2b34025301010d01010101013200")
    text = target.encode("utf-16-be")
    return bytes(data[:60_000]) + locator + struct.pack(">B2H", 4 + len(text), 0x4001, len(text)) + text


def tagged(target: str) -> bytes:
    """MP3 with links in every place for them."""
    links = {b"WOAF": b"", b"WXXX": b"\0\0", b"APIC": b"\0-->\0\3\0"}
    bodies = {name: before + target.encode() for name, before in links.items()}
    frames = b"".join(name + struct.pack(">I", len(body)) + b"\0\0" + body for name, body in bodies.items())
    return b"ID3\3\0\0" + bytes((len(frames) >> 7 * n) & 0x7F for n in (3, 2, 1, 0)) + frames + encode(EXCERPTS["mp3.mp3"])


def _replaced(data: bytes, path: list[bytes], content: bytes) -> bytes:
    """The content of every box at a path of types, in a file whose media data come first."""
    found, at = b"", 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + size]
        if kind == path[0]:
            body = _replaced(body, path[1:], content) if len(path) > 1 else content
        found += struct.pack(">I4s", 8 + len(body), kind) + body
        at += size
    return found


Make = Callable[[str], bytes]
PLAYLISTS: tuple[Make, ...] = (hls, dash, concat, sdp, imf, redirector, rtsp_text)
SUFFIXES = {hls: ".m3u8", dash: ".mpd", concat: ".ffconcat", sdp: ".sdp", imf: ".xml", redirector: ".asx", rtsp_text: ".mov"}
MEDIA: dict[Make, str] = {
    external: ".mov",
    reference_movie: ".mov",
    linked_segment: ".mkv",
    operational_atom: ".mxf",
    tagged: ".mp3",
}
STATUS = {external: "unprocessable", reference_movie: "unprocessable"}


def targets(trap: Trap) -> list[str]:
    return [
        trap.url,
        trap.path.as_uri(),
        str(trap.path),
        trap.path.name,
        f"concat:{trap.path}",
        f"subfile,,start,0,end,0,,:{trap.path}",
    ]


def ends(line: Line, trap: Trap, name: str, make: Make) -> list[ContentMetadata]:
    canary = line.folder / trap.path.name
    found = []
    for target in targets(trap):
        canary.symlink_to(trap.path)  # so that a name without a folder would find it
        found.append(line.run(Mutant(name, make(target), "", "")))
        canary.unlink()
    return found


def test_the_trap_works(trap: Trap, tmp_path: Path) -> None:
    assert trap.touched() == []
    for target in (str(trap.path), trap.url):
        path = tmp_path / "x.ffconcat"
        path.write_bytes(concat(target))
        with suppress(av.error.FFmpegError):
            av.open(str(path), options={"safe": "0", "protocol_whitelist": "file,http,tcp"}, timeout=1).close()
        assert trap.touched() == (["the file was opened"] if target == str(trap.path) else ["the port was called"])
    path = tmp_path / "x.mov"
    path.write_bytes(external(str(trap.path)))
    av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}).close()
    assert trap.touched() == ["the file was opened"]


@pytest.mark.parametrize("make", PLAYLISTS)
def test_a_playlist_is_no_media_whatever_it_is_called(line: Line, trap: Trap, make: Make) -> None:
    for suffix in {SUFFIXES[make], ".mp4", ".ts", ".mkv", ".wav", ""}:
        for event in ends(line, trap, f"x{suffix}", make):
            assert event.run.status == "unprocessable"
            assert event.run.reason is not None and event.run.reason.startswith(("not_media", "no_streams"))
    assert trap.touched() == []
    assert not line.failures


@pytest.mark.parametrize("make", MEDIA)
def test_media_that_name_another_file_are_read_alone(line: Line, trap: Trap, make: Make) -> None:
    assert {event.run.status for event in ends(line, trap, f"x{MEDIA[make]}", make)} == {STATUS.get(make, "complete")}
    assert trap.touched() == []
    assert not line.failures
