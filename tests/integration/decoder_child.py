"""What the decoder's child runs in tests: makes the outputs that the job's URI asks for, and misbehaves when asked to."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from schemas.cell import CellKey, CellResult, CellStatus, Signals
from schemas.chunk import ChunkHeader, Part
from schemas.errors import SourceChanged
from schemas.ids import digest
from schemas.manifest import ChunkRecord, Manifest
from schemas.plan import Job

SCHEME = "test:"
HANDLER = f"{__name__}:handle"


def handle(request: dict[str, Any], send: Any) -> None:
    """``test:{chunks, bytes, crash: {ledger, times}, changed, hold: folder, silent}``."""
    job = Job.model_validate(request["job"])
    wish = json.loads(job.asset.uri.removeprefix(SCHEME))
    if wish.get("changed"):
        raise SourceChanged("another version is at the URI")
    records = []
    for n in range(wish["chunks"]):
        if n == 1:
            _misbehave(wish)
        header, value = make_chunk(job, n, wish["bytes"])
        send({"type": "chunk", "header": header.to_bytes().decode()}, value)
        records.append(_record("audio", header, {"": header.digest}))
        cell = make_cell(job, n)
        send({"type": "cell", "headers": {k: v.decode() for k, v in cell.headers().items()}}, cell.value)
        records.append(_record("native", header, {"test": cell.digest}))
    rows = 10 * wish["chunks"]
    manifest = Manifest(
        run=job.run,
        asset=job.asset.id,
        stream=job.stream,
        segment=job.segment,
        kind="audio",
        decoded=rows,
        chunks=tuple(records),
    )
    if not wish.get("silent"):
        send({"type": "manifest"}, manifest.to_bytes())


def _record(rendition: str, header: ChunkHeader, digests: dict[str, str]) -> ChunkRecord:
    return ChunkRecord(
        rendition=rendition, n=header.n, first_row=header.first_row, rows=(10, 0), fresh=header.fresh, bytes=1, digests=digests
    )


def make_chunk(job: Job, n: int, size: int) -> tuple[ChunkHeader, bytes]:
    """The n-th chunk of a job: noise, but the same each time."""
    value = np.random.default_rng([job.segment, n]).bytes(size)
    header = ChunkHeader(
        asset=job.asset.id,
        run=job.run,
        stream=job.stream,
        segment=job.segment,
        rendition="audio",
        n=n,
        first_row=10 * n,
        rows=(10, 0),
        first_unit=0,
        units=(size, 0),
        fresh=n == 0,
        clock=job.clock.model_dump(),
        pts=(0,),
        parts=(Part("samples", "|u1", ()),),
        rate=48000,
        digest=digest(value),
    )
    return header, value


def make_cell(job: Job, n: int) -> CellResult:
    """The n-th native cell of a job."""
    key = CellKey(job.asset.id, job.run, job.stream, job.segment, "native", n, "test", "1.0.0")
    value = Signals(10 * n, 10, {"x": np.arange(10.0)}).to_bytes()
    return CellResult(key, CellStatus.OK, digest(value), value, runtime="test")


def _misbehave(wish: dict[str, Any]) -> None:
    if "hold" in wish:
        while not Path(wish["hold"]).exists():
            time.sleep(0.01)
    if "crash" in wish:
        # A child leaves nothing behind, so it looks how often its parent has begun.
        begun = sum(len(path.read_text().splitlines()) for path in Path(wish["crash"]["ledger"]).iterdir())
        if begun <= wish["crash"]["times"]:
            os.kill(os.getpid(), signal.SIGKILL)
