"""The sidecar: a run's signals as Parquet, one folder per stream and task, through fsspec."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray

from schemas.cell import Signals

_META = b"dailies"
_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_ROW = "row"


@dataclass(frozen=True, slots=True)
class SidecarWriter:
    """Writes parts ``{uri}/{asset}/{run}/{stream}/{task}/{part:05d}.parquet``.

    A part has one row per frame or 10 ms hop: ``row`` (counted from the stream's start), ``pts`` where the task gives it,
    then each signal by name; a signal of more than one dimension is a list, fixed in size where all rows agree. The same
    signals give the same bytes, and writing a part again replaces it whole: a reader never sees half of one.
    """

    uri: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options for the file system, such as an endpoint."""

    def write_part(self, asset: str, run: str, stream: str, task: str, part: int, signals: Sequence[Signals]) -> str:
        """Write one part and give its URI.

        Raises ``ValueError`` if a name cannot be part of a path, ``OSError`` if it cannot be written.
        """
        uri = f"{self.dataref(asset, run)}/{_name(stream)}/{_name(task)}/{part:05d}.parquet"
        buffer = BytesIO()
        pq.write_table(_table(signals), buffer, compression="zstd", row_group_size=1 << 16)
        _put(uri, buffer.getvalue(), self.options)
        return uri

    def write_track(self, asset: str, run: str, name: str, data: bytes) -> str:
        """Write a track of a final event, a JSON list, and give its URI: ``{uri}/{asset}/{run}/tracks/{name}.json``."""
        uri = f"{self.dataref(asset, run)}/tracks/{_name(name)}.json"
        _put(uri, data, self.options)
        return uri

    def dataref(self, asset: str, run: str) -> str:
        """The URI of a run's folder: what ``signals.dataref`` of the final event names."""
        return f"{self.uri.rstrip('/')}/{_name(asset)}/{_name(run)}"


def read_signals(dataref: str, stream: str, task: str, *, options: Mapping[str, Any] | None = None) -> Iterator[Signals]:
    """A task's signals of one stream, in order: one item per unbroken stretch of equally shaped rows of each part.

    They equal what was written, bit by bit, and can be folded again. Nothing is given where nothing was written.
    """
    fs, folder = fsspec.core.url_to_fs(f"{dataref.rstrip('/')}/{_name(stream)}/{_name(task)}", **(options or {}))
    for path in sorted(fs.glob(f"{folder}/*.parquet")):
        yield from _stretches(pq.read_table(BytesIO(fs.cat_file(path))))


def join_signals(stretches: Sequence[Signals]) -> dict[str, NDArray[Any]]:
    """Stretches joined, with the column ``row``. Raises ``ValueError`` if a signal's shape is not the same in all."""
    rows = [np.arange(s.first_row, s.end_row, dtype=np.int64) for s in stretches]
    names = stretches[0].arrays if stretches else {}
    return {_ROW: np.concatenate(rows), **{name: np.concatenate([s.arrays[name] for s in stretches]) for name in names}}


def _name(text: str) -> str:
    if not _SAFE.fullmatch(text):
        raise ValueError(f"{text!r} cannot be part of a sidecar's path")
    return text


def _put(uri: str, data: bytes, options: Mapping[str, Any]) -> None:
    """Whole or not at all: object stores do that themselves, a file system by renaming."""
    fs, path = fsspec.core.url_to_fs(uri, **options)
    if not isinstance(fs, LocalFileSystem):
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        fs.pipe_file(path, data)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(slots=True)
class _Group:
    """Signals that lie one behind the other and have the same arrays."""

    first_row: int
    parts: list[Signals]

    @property
    def layout(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        return {name: (a.dtype.str, a.shape[1:]) for name, a in self.parts[0].arrays.items()}

    @property
    def rows(self) -> int:
        return sum(s.rows for s in self.parts)

    def column(self, name: str) -> NDArray[Any]:
        return np.concatenate([s.arrays[name] for s in self.parts])


def _groups(signals: Sequence[Signals]) -> list[_Group]:
    groups: list[_Group] = []
    for s in sorted((s for s in signals if s.rows or s.observations), key=lambda s: s.first_row):
        last = groups[-1] if groups else None
        candidate = _Group(s.first_row, [s])
        if last and last.first_row + last.rows == s.first_row and last.layout == candidate.layout:
            last.parts.append(s)
        else:
            groups.append(candidate)
    return groups


def _table(signals: Sequence[Signals]) -> pa.Table:
    groups = _groups(signals)
    names = sorted({name for g in groups for name in g.layout}, key=lambda n: (n != "pts", n))
    if _ROW in names:
        raise ValueError(f"a signal cannot be called {_ROW!r}")
    rows = [np.arange(g.first_row, g.first_row + g.rows, dtype=np.int64) for g in groups]
    columns: dict[str, Any] = {_ROW: np.concatenate(rows) if rows else np.zeros(0, np.int64)}
    columns |= {name: _column([(g.rows, g.column(name) if name in g.layout else None) for g in groups]) for name in names}
    described = [
        {
            "first_row": g.first_row,
            "rows": g.rows,
            "arrays": {name: {"dtype": dtype, "shape": shape} for name, (dtype, shape) in sorted(g.layout.items())},
            "observations": [o for s in g.parts for o in s.observations],
        }
        for g in groups
    ]
    table = pa.table(columns)
    return table.replace_schema_metadata({_META: orjson.dumps(described, option=orjson.OPT_SORT_KEYS)})


def _column(pieces: list[tuple[int, NDArray[Any] | None]]) -> pa.ChunkedArray:
    """One column of all groups: values, lists of one size, or lists where sizes differ; null where a group lacks it."""
    arrays = [a for _, a in pieces if a is not None]
    dtype = np.result_type(*arrays)
    value = pa.from_numpy_dtype(dtype)
    widths = {int(np.prod(a.shape[1:])) if a.ndim > 1 else None for a in arrays}
    width = next(iter(widths)) if len(widths) == 1 else 0
    kind = value if width is None else pa.list_(value, width) if width else pa.list_(value)
    return pa.chunked_array(
        [pa.nulls(n, kind) if a is None else _values(a.astype(dtype, copy=False), kind) for n, a in pieces], kind
    )


def _values(array: NDArray[Any], kind: pa.DataType) -> pa.Array:
    if not pa.types.is_nested(kind):
        return pa.array(array)
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    rows = array.shape[0]
    width = len(flat) // max(1, rows)
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * np.int32(width)), flat)


def _stretches(table: pa.Table) -> Iterator[Signals]:
    offset = 0
    for group in orjson.loads(table.schema.metadata[_META]):
        rows = group["rows"]
        arrays = {
            name: _numpy(table.column(name).slice(offset, rows), np.dtype(a["dtype"]), tuple(a["shape"]))
            for name, a in group["arrays"].items()
        }
        offset += rows
        yield Signals(group["first_row"], rows, arrays, tuple(group["observations"]))


def _numpy(column: pa.ChunkedArray, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    values = column.combine_chunks()
    rows = len(values)
    if pa.types.is_nested(values.type):
        values = values.flatten()
    flat: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat, dtype=dtype).reshape(rows, *shape)
