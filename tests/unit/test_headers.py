"""What is read of containers' headers: boxes of ISO files, elements of Matroska, sets of MXF; and nothing of hostile ones."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable

import pytest

from processors.probe.headers import NOTHING, TrackHeader, boxes, ebml, klv, track_headers
from schemas.plan import LightLevels, MasteringDisplay

P3 = MasteringDisplay(
    red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06), white=(0.3127, 0.329), min_luminance=0.005, max_luminance=1000
)
LEVELS = LightLevels(max_cll=1000, max_fall=300)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def st2086(order: str, luminance: str = "high low") -> bytes:
    """A mastering display as MP4 (green, blue, red) and MXF (red, green, blue) write it."""
    points = b"".join(struct.pack(">2H", *(round(v * 50_000) for v in getattr(P3, colour))) for colour in order.split())
    levels = {"high": 10_000_000, "low": 50}
    return points + b"".join(struct.pack(">I", levels[name]) for name in luminance.split())


def track_box(number: int, handler: bytes, *inside: bytes, version: int = 0, language: bytes = b"") -> bytes:
    dates = bytes(16 if version else 8)
    header = box(b"tkhd", bytes([version, 0, 0, 0]), dates, struct.pack(">I", number), bytes(60))
    entry = box(b"hvc1", bytes(78), *inside)
    table = box(b"stbl", box(b"stsd", bytes(4), struct.pack(">I", 1), entry))
    extended = box(b"elng", bytes(4), language, b"\0") if language else b""
    media = box(b"mdia", box(b"hdlr", bytes(8), handler, bytes(12)), extended, box(b"minf", table))
    return box(b"trak", header, media)


def read(reader: Callable[[io.BytesIO, int], list[TrackHeader]], data: bytes) -> list[TrackHeader]:
    return reader(io.BytesIO(data), len(data))


MOVIE = box(
    b"moov",
    box(b"mvhd", bytes(100)),
    track_box(7, b"vide", box(b"mdcv", st2086("green blue red white")), box(b"clli", struct.pack(">2H", 1000, 300))),
    track_box(3, b"soun", version=1, language=b"pt-BR"),
)


def test_boxes_of_a_movie() -> None:
    picture, sound = read(boxes.tracks, box(b"ftyp", b"qt  ") + box(b"mdat", bytes(50)) + MOVIE)
    assert picture == TrackHeader("video", 7, mastering_display=P3, light_levels=LEVELS)
    assert sound == TrackHeader("audio", 3, language="pt-BR")


def test_boxes_of_vp9() -> None:
    fixed = b"".join(struct.pack(">2H", *(round(v * 65536) for v in getattr(P3, c))) for c in ("red", "green", "blue", "white"))
    display = box(b"SmDm", bytes(4), fixed, struct.pack(">2I", 1000 << 8, round(0.005 * 16384)))
    movie = box(b"moov", track_box(1, b"vide", display, box(b"CoLL", bytes(4), struct.pack(">2H", 1000, 300))))
    (header,) = read(boxes.tracks, movie)
    assert header.light_levels == LEVELS and header.mastering_display is not None
    assert header.mastering_display.red == pytest.approx((0.68, 0.32), abs=2e-5)
    assert header.mastering_display.min_luminance == pytest.approx(0.005, abs=1e-4)
    assert header.mastering_display.max_luminance == 1000


def test_a_box_with_a_long_size_and_one_to_the_end() -> None:
    long = struct.pack(">I", 1) + b"free" + struct.pack(">Q", 40) + bytes(24)
    endless = struct.pack(">I", 0) + MOVIE[4:]
    assert [h.number for h in read(boxes.tracks, long + endless)] == [7, 3]


def test_light_levels_of_zero_are_unknown() -> None:
    none = track_box(1, b"vide", box(b"clli", bytes(4)), box(b"mdcv", bytes(24)))
    one = track_box(2, b"vide", box(b"clli", struct.pack(">2H", 0, 400)))
    first, second = read(boxes.tracks, box(b"moov", none, one))
    assert (first.light_levels, first.mastering_display) == (None, None)
    assert second.light_levels == LightLevels(max_cll=None, max_fall=400)


def element(name: int, body: bytes) -> bytes:
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (1 << 56 | len(body)).to_bytes(8, "big") + body


def number(name: int, value: float) -> bytes:
    return element(name, struct.pack(">d", value) if isinstance(value, float) else value.to_bytes(2, "big"))


def colour_element() -> bytes:
    names = {"red": 0x55D1, "green": 0x55D3, "blue": 0x55D5, "white": 0x55D7}
    points = b"".join(number(n, x) + number(n + 1, y) for c, n in names.items() for x, y in [getattr(P3, c)])
    display = element(0x55D0, points + number(0x55D9, 1000.0) + element(0x55DA, struct.pack(">f", 0.005)))
    return element(0x55B0, display + number(0x55BC, 1000) + number(0x55BD, 300))


MATROSKA = element(0x1A45DFA3, b"") + element(
    0x18538067,
    element(0x1549A966, bytes(30))
    + element(
        0x1654AE6B,
        element(0xAE, number(0x83, 1) + element(0xE0, colour_element()) + element(0x22B59C, b"ger\0"))
        + element(0xAE, number(0x83, 2) + element(0x22B59C, b"spa") + element(0x22B59D, b"es-019"))
        + element(0xAE, number(0x83, 17)),
    ),
)


def test_elements_of_matroska() -> None:
    picture, sound, subtitle = read(ebml.tracks, MATROSKA)
    assert (picture.kind, picture.language, picture.light_levels) == ("video", "ger", LEVELS)
    assert picture.mastering_display == P3
    assert sound == TrackHeader("audio", language="es-019")
    assert subtitle.kind == "other"


def test_a_segment_of_unknown_size_and_tracks_behind_clusters() -> None:
    body = MATROSKA[MATROSKA.index(bytes.fromhex("18538067")) + 12 :]
    unknown = bytes.fromhex("18538067" + "01ffffffffffffff")
    assert len(read(ebml.tracks, unknown + body)) == 3
    assert read(ebml.tracks, unknown + element(0x1F43B675, bytes(9)) + body) == []


def test_numbers_that_are_no_luminance_are_left_out() -> None:
    for wrong in (float("nan"), float("inf"), -1.0):
        display = element(0x55D0, number(0x55D9, wrong) + number(0x55D1, wrong) + number(0x55D2, 0.3))
        entry = element(0xAE, number(0x83, 1) + element(0xE0, element(0x55B0, display)))
        (header,) = read(ebml.tracks, element(0x18538067, element(0x1654AE6B, entry)))
        assert header.mastering_display is None


def triplet(key: str, body: bytes) -> bytes:
    return bytes.fromhex(key).ljust(16, b"\0") + b"\x83" + len(body).to_bytes(3, "big") + body


class Mxf:
    """Writes header metadata: local tags are given out as items need them."""

    def __init__(self) -> None:
        self._tags: dict[str, str] = {}
        self._sets: list[bytes] = []

    def add(self, kind: int, **items: bytes | tuple[str, bytes]) -> None:
        body = b""
        for name, item in items.items():
            label, value = item if isinstance(item, tuple) else (name.lstrip("x"), item)
            tag = label if len(label) == 4 else self._tags.setdefault(label, f"{0x8000 + len(self._tags):04x}")
            body += bytes.fromhex(tag) + len(value).to_bytes(2, "big") + value
        self._sets.append(triplet(f"060e2b34025301010d01010101 01{kind:02x}00", body))

    def bytes(self, run_in: bytes = b"") -> bytes:
        rows = b"".join(bytes.fromhex(tag + label) for label, tag in self._tags.items())
        primer = triplet("060e2b34020501010d01020101050100", struct.pack(">2I", len(self._tags), 18) + rows)
        fill = triplet("060e2b34010101020301021001000000", bytes(40))
        body = primer + fill + b"".join(self._sets)
        pack = triplet("060e2b34020501010d01020101020400", bytes(32) + struct.pack(">Q", len(body)) + bytes(48))
        return run_in + pack + fill + body + triplet("060e2b34010201010d01030115010500", bytes(64))


def words(*values: int) -> bytes:
    return b"".join(struct.pack(">I", value) for value in values)


def references(*instances: bytes) -> bytes:
    return words(len(instances), 16) + b"".join(instances)


def uid(n: int) -> bytes:
    return bytes([n]) * 16


def label_set(mxf: Mxf, n: int, symbol: str, group: int, channel: int | None = None) -> None:
    items: dict[str, bytes | tuple[str, bytes]] = {
        "x3c0a": uid(n),
        "symbol": (klv.SYMBOL, symbol.encode("utf-16-be")),
        "link": (klv.GROUP_LINK, uid(group)),
    }
    if channel is not None:
        items["channel"] = (klv.CHANNEL, words(channel))
    mxf.add(klv.CHANNEL_LABEL, **items)


def labelled_mxf() -> Mxf:
    mxf = Mxf()
    fields = {"x3203": words(1920), "x3202": words(544), "x3205": words(1920), "x3204": words(540), "x320c": b"\1"}
    mxf.add(
        0x28,
        x3006=words(2),
        **fields,
        x320e=words(16, 9),
        primaries=(klv.PRIMARIES, st2086("red green blue", "")),
        white=(klv.WHITE, st2086("white", "")),
        high=(klv.BRIGHTEST, words(10_000_000)),
        low=(klv.DARKEST, words(50)),
        cll=(klv.MAX_CLL, struct.pack(">H", 1000)),
        fall=(klv.MAX_FALL, struct.pack(">H", 300)),
    )
    mxf.add(0x48, x3006=words(4), sub=(klv.SUB_DESCRIPTORS, references(uid(12))))
    mxf.add(0x48, x3006=words(3), sub=(klv.SUB_DESCRIPTORS, references(uid(11), uid(99))))
    label_set(mxf, 11, "chL", 50, 1)
    label_set(mxf, 12, "chR", 50)
    mxf.add(
        klv.SOUNDFIELD_LABEL,
        x3c0a=uid(50),
        link=(klv.LINK, uid(50)),
        symbol=(klv.SYMBOL, "sgST".encode("utf-16-be")),
        spoken=(klv.SPOKEN, b"fr-CA\0"),
    )
    return mxf


@pytest.mark.parametrize("run_in", [b"", bytes(1000)])
def test_sets_of_mxf(run_in: bytes) -> None:
    picture, left, right = read(klv.tracks, labelled_mxf().bytes(run_in))
    assert (picture.kind, picture.size, picture.pixel_aspect) == ("video", (1920, 1080), (1, 1))
    assert (picture.mastering_display, picture.light_levels) == (P3, LEVELS)
    assert [(x.channel, x.symbol, x.soundfield, x.language) for h in (left, right) for x in h.labels] == [
        (0, "chL", "sgST", "fr-CA"),
        (0, "chR", "sgST", "fr-CA"),
    ]
    assert left.labels[0].group == right.labels[0].group == uid(50).hex()
    assert left.language == "fr-CA"


def test_headers_find_their_streams() -> None:
    def match(data: bytes, container: str, streams: list[tuple[str, int]]) -> list[str]:
        return [h.kind for h in track_headers(io.BytesIO(data), len(data), container, streams)]

    assert match(MOVIE, "mov,mp4,m4a", [("audio", 3), ("data", 9), ("video", 7)]) == ["audio", "other", "video"]
    assert match(MATROSKA, "matroska,webm", [("video", 0), ("audio", 0)]) == ["video", "audio"]
    assert match(MATROSKA, "matroska,webm", [("video", 0), ("video", 0), ("audio", 0)]) == ["other", "other", "audio"]
    assert match(MOVIE, "mpegts", [("video", 1)]) == ["other"]
    assert NOTHING.kind == "other"


@pytest.mark.parametrize(
    ("reader", "data"), [(boxes.tracks, MOVIE), (ebml.tracks, MATROSKA), (klv.tracks, labelled_mxf().bytes())]
)
def test_damaged_headers_are_read_as_far_as_they_go(
    reader: Callable[[io.BytesIO, int], list[TrackHeader]], data: bytes
) -> None:
    whole = len(read(reader, data))
    for cut in range(0, len(data), 7):
        assert len(read(reader, data[:cut])) <= whole
    chance = random.Random(1)
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        assert len(read(reader, bytes(damaged))) <= 64


class Counting(io.BytesIO):
    """Counts what is read."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.total += len(data)
        return data


def test_little_is_read_of_hostile_sizes() -> None:
    entries = box(b"stsd", bytes(8 << 20))
    media = box(b"mdia", box(b"hdlr", bytes(8), b"vide"), box(b"minf", box(b"stbl", entries)))
    huge = box(b"moov", box(b"trak", media))
    source = Counting(huge)
    assert [h.kind for h in boxes.tracks(source, len(huge))] == ["video"]
    assert source.total < 2 << 20
    many = box(b"free") * 100_000
    source = Counting(many + MOVIE)
    assert boxes.tracks(source, len(many) + len(MOVIE)) == []
    assert source.total < 1 << 20
    nested = box(b"moov", box(b"trak", box(b"free") * 100_000))
    source = Counting(nested)
    assert [h.number for h in boxes.tracks(source, len(nested))] == [None]
    assert source.total < 1 << 14
    tracks = element(0x18538067, element(0x1654AE6B, bytes(8 << 20)))
    source = Counting(tracks)
    assert ebml.tracks(source, len(tracks)) == []
    assert source.total < 1 << 10
