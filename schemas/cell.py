"""The cell: one task's result on one chunk, as it travels on media.inferences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as _load
from safetensors.numpy import save as _save

from schemas.errors import WireError
from schemas.ids import identity


class CellStatus(StrEnum):
    """What became of a cell."""

    OK = "ok"
    """Signals and observations are in the value."""
    FAILED = "failed"
    """The task raised on this chunk after its retries; the value holds the error."""
    SKIPPED = "skipped"
    """The task does not apply to this chunk, or the worker has another major version of it (then the cell names the worker's,
    and counts for nothing); the value holds the reason."""


@dataclass(frozen=True, slots=True)
class CellKey:
    """Which cell: unique in the system."""

    asset: str
    run: str
    stream: str
    segment: int
    rendition: str
    n: int
    task: str
    task_version: str

    @property
    def id(self) -> str:
        """The deterministic event id of this cell's result."""
        return identity("cell", *(getattr(self, name) for name in self.__slots__))

    def to_bytes(self) -> bytes:
        """The key as JSON, for the ``cell`` header."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> CellKey:
        """Parse a ``cell`` header. Raises ``WireError`` if it is not one."""
        try:
            body = orjson.loads(data)
            return cls(**{name: body[name] for name in cls.__slots__})
        except (ValueError, TypeError, KeyError) as error:
            raise WireError(f"not a cell key: {error}") from error


@dataclass(frozen=True, slots=True, repr=False)
class Signals:
    """Signals of ``rows`` consecutive rows (frames, or 10 ms hops) of one stream, from ``first_row`` on.

    Every array's leading dimension is ``rows``; the name ``pts`` is kept for the raw timestamps of video frames (int64).
    ``observations`` are JSON objects (a text box, a label, a fact about the stream). What could not be measured is NaN,
    never 0. Raises ``WireError`` if an array does not fit.
    """

    first_row: int
    rows: int
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    observations: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name, array in self.arrays.items():
            if array.ndim < 1 or array.shape[0] != self.rows:
                raise WireError(f"signal {name} has shape {array.shape}, not {self.rows} rows")

    def __repr__(self) -> str:
        shapes = ", ".join(f"{k}:{v.dtype}{list(v.shape)}" for k, v in self.arrays.items())
        return f"Signals(rows {self.first_row}..{self.first_row + self.rows}, {shapes}, {len(self.observations)} observations)"

    @property
    def end_row(self) -> int:
        """One past the last row."""
        return self.first_row + self.rows

    def to_bytes(self) -> bytes:
        """Safetensors bytes; rows and observations are JSON in the metadata. The same signals give the same bytes."""
        meta = {"first_row": self.first_row, "rows": self.rows, "observations": list(self.observations)}
        return pack(self.arrays, meta)

    @classmethod
    def from_bytes(cls, data: bytes) -> Signals:
        """Parse a cell's value. Raises ``WireError`` if it is not one."""
        arrays, meta = unpack(data)
        try:
            return cls(int(meta["first_row"]), int(meta["rows"]), arrays, tuple(meta["observations"]))
        except (KeyError, TypeError, ValueError) as error:
            raise WireError(f"not a cell's value: {error}") from error


def pack(arrays: Mapping[str, NDArray[Any]], meta: Any) -> bytes:
    """Arrays and one JSON value as safetensors bytes, the same for the same input. Floats in JSON keep every bit."""
    tensors = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    return _save(tensors, metadata={"json": orjson.dumps(meta, option=orjson.OPT_SORT_KEYS).decode()})


def unpack(data: bytes) -> tuple[dict[str, NDArray[Any]], Any]:
    """The inverse of :func:`pack`. Raises ``WireError``."""
    try:
        length = int.from_bytes(data[:8], "little")
        meta = orjson.loads(orjson.loads(data[8 : 8 + length])["__metadata__"]["json"])
        return dict(_load(bytes(data))), meta
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise WireError(f"not packed arrays: {error}") from error


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell with its outcome. ``digest`` is the chunk's that it was made from (its own value's for decode tasks)."""

    key: CellKey
    status: CellStatus
    digest: str
    value: bytes
    seconds: float = 0.0
    runtime: str = ""

    def headers(self) -> dict[str, bytes]:
        """Kafka headers beside the CloudEvents ones."""
        body = {"status": self.status.value, "digest": self.digest, "seconds": self.seconds, "runtime": self.runtime}
        return {"cell": self.key.to_bytes(), "result": orjson.dumps(body)}

    @classmethod
    def from_message(cls, headers: Mapping[str, bytes], value: bytes) -> CellResult:
        """Parse a message of media.inferences. Raises ``WireError``."""
        try:
            body = orjson.loads(headers["result"])
            return cls(
                key=CellKey.from_bytes(headers["cell"]),
                status=CellStatus(body["status"]),
                digest=body["digest"],
                value=bytes(value),
                seconds=float(body["seconds"]),
                runtime=body["runtime"],
            )
        except (KeyError, ValueError, TypeError) as error:
            raise WireError(f"not a cell result: {error}") from error

    def signals(self) -> Signals:
        """The signals of an ``ok`` cell. Raises ``WireError``."""
        return Signals.from_bytes(self.value)
