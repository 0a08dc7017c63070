"""The chunk message: raw planes or samples in the value, everything about them in one header."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from schemas.clock import Clock
from schemas.errors import WireError
from schemas.ids import Bytes, digest, view


@dataclass(frozen=True, slots=True)
class Part:
    """One named array of every unit of a chunk, e.g. the luma plane of each frame."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """What a chunk holds.

    A *row* is what results are made for: a frame of video, a 10 ms hop of sound. A *unit* is what the value is made of:
    a frame, or one sample of all channels. ``rows`` and ``units`` are ``(owned, after)``: results belong to owned rows,
    the halo after them is context. ``first_row`` and ``first_unit`` count from the stream's start. ``pts`` holds the raw
    timestamp of every frame (owned and after), or the first sample's position alone. ``fresh`` says that nothing
    before this chunk may be used as context: the stream's start, or a change of geometry.
    """

    asset: str
    run: str
    stream: str
    segment: int
    rendition: str
    n: int
    first_row: int
    rows: tuple[int, int]
    first_unit: int
    units: tuple[int, int]
    fresh: bool
    clock: dict[str, Any]
    pts: tuple[int, ...]
    parts: tuple[Part, ...]
    rate: int | None = None
    pixel_format: str | None = None
    colour_range: str | None = None
    matrix: str | None = None
    transfer: str | None = None
    bit_depth: int | None = None
    digest: str = ""
    traceparent: str | None = field(default=None, compare=False)

    @property
    def key(self) -> bytes:
        """The Kafka key: ``asset_id/stream/segment/n``."""
        return f"{self.asset}/{self.stream}/{self.segment}/{self.n}".encode()

    @property
    def unit_dtype(self) -> np.dtype[Any]:
        """The numpy structured type of one unit; parts lie one behind the other, without padding."""
        return _unit_dtype(self.parts)

    def to_bytes(self) -> bytes:
        """The header as JSON."""
        body = asdict(self)
        body["shape"] = self.parts[0].shape
        body["dtype"] = self.parts[0].dtype
        return orjson.dumps(body)

    @classmethod
    def from_bytes(cls, data: bytes) -> ChunkHeader:
        """Parse a header. Raises ``WireError`` if it is not one."""
        try:
            body = orjson.loads(data)
            body = {name: body[name] for name in cls.__slots__ if name in body}  # others are a newer version's
            body["parts"] = tuple(Part(p["name"], p["dtype"], tuple(p["shape"])) for p in body["parts"])
            body["rows"] = tuple(body["rows"])
            body["units"] = tuple(body["units"])
            body["pts"] = tuple(body["pts"])
            return cls(**body)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WireError(f"not a chunk header: {error}") from error


@functools.lru_cache(maxsize=256)
def _unit_dtype(parts: tuple[Part, ...]) -> np.dtype[Any]:
    return np.dtype([(p.name, p.dtype, p.shape) for p in parts])


@dataclass(frozen=True, slots=True, repr=False)
class Chunk:
    """A chunk header with its value. Raises ``WireError`` if the value's length is not what the header says."""

    header: ChunkHeader
    data: Bytes

    def __post_init__(self) -> None:
        wanted = sum(self.header.units) * self.header.unit_dtype.itemsize
        if view(self.data).nbytes != wanted:
            raise WireError(f"{self!r}: {view(self.data).nbytes} bytes where the header says {wanted}")

    def __repr__(self) -> str:
        h = self.header
        parts = ", ".join(f"{p.name}:{p.dtype}{list(p.shape)}" for p in h.parts)
        return f"Chunk({h.stream}/{h.segment}/{h.rendition}/{h.n} rows={h.rows} from {h.first_row}, {parts})"

    def part(self, name: str) -> NDArray[Any]:
        """One part of every unit, owned then after: shape ``(sum(units), *part.shape)``; a read-only view, no copy."""
        array: NDArray[Any] = np.frombuffer(self.data, dtype=self.header.unit_dtype)[name]
        return array

    def intact(self) -> bool:
        """Whether the value's digest is the header's."""
        return digest(self.data) == self.header.digest

    @property
    def clock(self) -> Clock:
        """The stream's clock."""
        return Clock.model_validate(self.header.clock)


def hop_edge(rate: int, hop: int) -> int:
    """The first sample of a 10 ms hop. Where the rate is no multiple of 100 hops differ by one sample, and never drift."""
    return hop * rate // 100


def hops(rate: int, samples: int) -> int:
    """The number of hops that hold ``samples`` samples, the last one perhaps in part."""
    count = samples * 100 // rate
    while hop_edge(rate, count) < samples:
        count += 1
    return count
