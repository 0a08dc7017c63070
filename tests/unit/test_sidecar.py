"""The Parquet sidecar: what is written comes back, whole, the same bytes for the same signals."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from processors.sidecar import SidecarWriter, join_signals, read_signals
from schemas.cell import Signals


def make(first: int, rows: int, width: int = 3) -> Signals:
    rng = np.random.default_rng(first)
    return Signals(
        first,
        rows,
        {
            "pts": np.arange(first, first + rows, dtype=np.int64) * 1001,
            "ratio": rng.random(rows, dtype=np.float32),
            "columns": rng.random((rows, width)),
            "cube": rng.integers(0, 255, (rows, 2, 2), dtype=np.uint8),
            "flag": rng.random(rows) > 0.5,
        },
        ({"row": first, "text": "x"},),
    )


def equal(a: Signals, b: Signals) -> None:
    assert (a.first_row, a.rows, a.observations) == (b.first_row, b.rows, b.observations)
    assert a.arrays.keys() == b.arrays.keys()
    for name in a.arrays:
        assert a.arrays[name].dtype == b.arrays[name].dtype
        np.testing.assert_array_equal(a.arrays[name], b.arrays[name])


@pytest.fixture(params=["file", "memory"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return tmp_path.as_uri() if request.param == "file" else f"memory://{tmp_path.name}"


def test_rows_come_back_across_parts(uri: str) -> None:
    writer = SidecarWriter(uri)
    writer.write_part("a1", "r1", "v0", "native-picture", 0, [make(0, 5), make(5, 7)])
    last = writer.write_part("a1", "r1", "v0", "native-picture", 1, [make(12, 4)])
    assert last == f"{writer.dataref('a1', 'r1')}/v0/native-picture/00001.parquet"
    stretches = list(read_signals(writer.dataref("a1", "r1"), "v0", "native-picture"))
    assert [(s.first_row, s.rows) for s in stretches] == [(0, 12), (12, 4)]
    equal(stretches[1], make(12, 4))
    assert [o["row"] for o in stretches[0].observations] == [0, 5]
    joined = join_signals(stretches)
    assert joined["row"].tolist() == list(range(16))
    np.testing.assert_array_equal(
        joined["columns"], np.concatenate([make(n, r).arrays["columns"] for n, r in ((0, 5), (5, 7), (12, 4))])
    )


def test_another_reader_sees_plain_columns(tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path.as_uri())
    writer.write_part("a1", "r1", "v0", "t", 0, [make(0, 5)])
    table = pq.read_table(tmp_path / "a1/r1/v0/t/00000.parquet")
    assert table.column_names == ["row", "pts", "columns", "cube", "flag", "ratio"]
    assert table.column("ratio").to_numpy().dtype == np.float32
    assert len(table.column("columns")[0]) == 3
    assert pq.ParquetFile(tmp_path / "a1/r1/v0/t/00000.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_same_signals_same_bytes_and_nothing_left_beside(tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path.as_uri())
    for _ in range(2):
        writer.write_part("a1", "r1", "v0", "t", 0, [make(0, 50)])
        first = (tmp_path / "a1/r1/v0/t/00000.parquet").read_bytes()
    writer.write_part("a1", "r1", "v0", "t", 0, [make(0, 20), make(20, 30)])
    writer.write_part("a1", "r1", "v0", "t", 0, [make(0, 50)])
    assert (tmp_path / "a1/r1/v0/t/00000.parquet").read_bytes() == first
    assert [p.name for p in (tmp_path / "a1/r1/v0/t").iterdir()] == ["00000.parquet"]


def test_a_failed_write_leaves_the_old_part_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SidecarWriter(tmp_path.as_uri())
    writer.write_part("a1", "r1", "v0", "t", 0, [make(0, 5)])

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="space"):
        writer.write_part("a1", "r1", "v0", "t", 0, [make(0, 9)])
    assert [s.rows for s in read_signals(writer.dataref("a1", "r1"), "v0", "t")] == [5]
    assert len(list((tmp_path / "a1/r1/v0/t").iterdir())) == 1


def test_holes_and_changes_of_shape_keep_their_own_stretch(uri: str) -> None:
    writer = SidecarWriter(uri)
    other = Signals(30, 4, {"ratio": np.full(4, np.nan), "extra": np.arange(4, dtype=np.float16)})
    written = [make(0, 5), make(9, 2), make(11, 3, width=8), other]
    writer.write_part("a1", "r1", "v0", "t", 0, written)
    read = list(read_signals(writer.dataref("a1", "r1"), "v0", "t"))
    assert len(read) == 4
    for a, b in zip(written, read, strict=True):
        equal(a, b)


def test_nothing_written_nothing_read_and_empty_parts(uri: str) -> None:
    writer = SidecarWriter(uri)
    assert list(read_signals(writer.dataref("a1", "r1"), "v0", "t")) == []
    writer.write_part("a1", "r1", "v0", "t", 0, [])
    writer.write_part("a1", "r1", "v0", "t", 1, [Signals(7, 0, {"x": np.zeros(0)}, ({"a": 1},))])
    (only,) = read_signals(writer.dataref("a1", "r1"), "v0", "t")
    equal(only, Signals(7, 0, {"x": np.zeros(0)}, ({"a": 1},)))


@pytest.mark.parametrize("bad", ["", "..", "a/b", ".hidden", "a b"])
def test_names_cannot_leave_the_folder(bad: str, tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path.as_uri())
    with pytest.raises(ValueError, match="cannot be part"):
        writer.write_part("a1", bad, "v0", "t", 0, [])
    with pytest.raises(ValueError, match="cannot be part"):
        writer.write_part("a1", "r1", "v0", bad, 0, [])


def test_object_stores_get_whole_objects(tmp_path: Path) -> None:
    writer = SidecarWriter(f"memory://{tmp_path.name}/side/")
    uri = writer.write_part("a1", "r1", "a0", "loudness", 3, [make(0, 5)])
    fs, path = fsspec.core.url_to_fs(uri)
    assert fs.size(path) > 0
    assert [Path(p).name for p in fs.ls(path.rpartition("/")[0], detail=False)] == ["00003.parquet"]
