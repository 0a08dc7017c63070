"""Damaged and hostile files, made from whole ones: pure functions of their sources and a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.structure import layout

HEADER_BYTES = 1024
EXTENSIONS = (
    ".mp4",
    ".mov",
    ".mkv",
    ".ts",
    ".avi",
    ".mxf",
    ".wav",
    ".mp3",
    ".aac",
    ".flac",
    ".h264",
    ".y4m",
    ".dv",
    ".m3u8",
    "",
)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A small whole file."""

    name: str
    data: bytes

    @property
    def suffix(self) -> str:
        """With its dot."""
        return "." + self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True, repr=False)
class Mutant:
    """A file and how it came about: ``kind`` is the operator, ``name`` what it may be called."""

    name: str
    data: bytes
    kind: str
    description: str

    def __repr__(self) -> str:
        return f"Mutant({self.name}: {self.description}, {len(self.data)} bytes)"


Change = tuple[bytes, str]
"""The new bytes and what was done."""


def mutant(excerpts: Sequence[Excerpt], seed: int) -> Mutant:
    """The mutant of a seed: one or two operators on one excerpt."""
    rng = random.Random(seed)
    source = rng.choice(excerpts)
    data, said, kinds = source.data, [], []
    for _ in range(1 if rng.random() < 0.75 else 2):
        kind = rng.choice(list(OPERATORS))
        data, what = OPERATORS[kind](data, rng, excerpts)
        kinds.append(kind)
        said.append(what)
    suffix = source.suffix
    if rng.random() < 0.1:
        suffix = rng.choice(EXTENSIONS)
        said.append(f"called {suffix or 'nothing'}")
    return Mutant(f"m{seed}{suffix}", data, "+".join(kinds), f"{source.name}: {', '.join(said)}")


def _header_bits(data: bytes, rng: random.Random, _: Sequence[Excerpt]) -> Change:
    return _flip(data, rng, 0, min(HEADER_BYTES, len(data)), rng.randint(1, 8))


def _payload(data: bytes, rng: random.Random, _: Sequence[Excerpt]) -> Change:
    return _flip(data, rng, min(HEADER_BYTES, len(data) // 4), len(data), rng.choice((1, 4, 16, 64)))


def _flip(data: bytes, rng: random.Random, low: int, high: int, count: int) -> Change:
    changed = bytearray(data)
    for _ in range(count if high > low else 0):
        changed[rng.randrange(low, high)] ^= 1 << rng.randrange(8)
    return bytes(changed), f"{count} bits of [{low}, {high}) flipped"


def _sizes(data: bytes, rng: random.Random, excerpts: Sequence[Excerpt]) -> Change:
    fields = layout(data).sizes
    if not fields:
        return _header_bits(data, rng, excerpts)
    at, size, order, name = rng.choice(fields)
    old, full = int.from_bytes(data[at : at + size], order), (1 << 8 * size) - 1
    new = rng.choice((0, 1, 7, old - 1, old + 1, old // 2, old * 2, len(data), full >> 1, full, rng.randint(0, full))) & full
    return data[:at] + new.to_bytes(size, order) + data[at + size :], f"size of {name} at {at} from {old} to {new}"


def _index(data: bytes, rng: random.Random, excerpts: Sequence[Excerpt]) -> Change:
    tables = [(low, high) for low, high in layout(data).tables if high > low]
    if not tables:
        return _payload(data, rng, excerpts)
    low, high = rng.choice(tables)
    if rng.random() < 0.5:
        return _flip(data, rng, low, high, rng.randint(1, 8))
    at = rng.randrange(low, high) & ~3 | low & 3
    word = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, rng.getrandbits(32))).to_bytes(4, "big")
    return (data[:at] + word + data[at + 4 :])[: len(data)], f"index word at {at} is {word.hex()}"


def _truncate(data: bytes, rng: random.Random, _: Sequence[Excerpt]) -> Change:
    at = rng.choice((rng.randrange(len(data) + 1), rng.randrange(min(HEADER_BYTES, len(data)) + 1), max(0, len(data) - 1)))
    return data[:at], f"cut at {at}"


def _splice(data: bytes, rng: random.Random, excerpts: Sequence[Excerpt]) -> Change:
    other = rng.choice(excerpts)
    at, begin = rng.randrange(len(data) + 1), rng.randrange(len(other.data) + 1)
    return data[:at] + other.data[begin:], f"from {at} on {other.name} from {begin}"


def _repeat(data: bytes, rng: random.Random, _: Sequence[Excerpt]) -> Change:
    low, high = _range(data, rng)
    times = rng.choice((1, 1, 2, 8))
    return data[:high] + data[low:high] * times + data[high:], f"[{low}, {high}) {times} times more"


def _remove(data: bytes, rng: random.Random, _: Sequence[Excerpt]) -> Change:
    low, high = _range(data, rng)
    return data[:low] + data[high:], f"[{low}, {high}) removed"


def _zero(data: bytes, rng: random.Random, _: Sequence[Excerpt]) -> Change:
    low, high = _range(data, rng)
    fill = rng.choice((b"\0", b"\xff"))
    return data[:low] + fill * (high - low) + data[high:], f"[{low}, {high}) filled with {fill.hex()}"


def _range(data: bytes, rng: random.Random) -> tuple[int, int]:
    low = rng.randrange(len(data) + 1)
    return low, min(len(data), low + rng.choice((1, 16, 188, 512, 4096, 32_768)))


OPERATORS: Mapping[str, Callable[[bytes, random.Random, Sequence[Excerpt]], Change]] = {
    "header": _header_bits,
    "size": _sizes,
    "index": _index,
    "payload": _payload,
    "truncation": _truncate,
    "splice": _splice,
    "repeat": _repeat,
    "removal": _remove,
    "fill": _zero,
}
