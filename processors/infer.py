"""One agent task on one chunk: from a chunk to a cell. The inference agents and ``analyse`` share it."""

from __future__ import annotations

import time

import orjson

from processors.tasks.base import Runner
from schemas.cell import CellKey, CellResult, CellStatus
from schemas.chunk import Chunk, ChunkHeader
from schemas.plan import TaskRef
from schemas.versions import TASK_VERSION


def cell_key(task: TaskRef, h: ChunkHeader) -> CellKey:
    """Which cell a task's result on a chunk is."""
    return CellKey(h.asset, h.run, h.stream, h.segment, h.rendition, h.n, task.name, task.version)


def infer(task: TaskRef, runner: Runner, chunk: Chunk) -> CellResult:
    """Run a task on a chunk. Whatever the runner raises goes through."""
    begun = time.process_time()
    value = runner(chunk).to_bytes()
    seconds = time.process_time() - begun
    return CellResult(cell_key(task, chunk.header), CellStatus.OK, chunk.header.digest, value, seconds, runner.runtime)


def other_version_cell(task: str, version: str, header: ChunkHeader, reason: str) -> CellResult:
    """The answer of a worker that has ``version`` of a task where another major one is planned: it has computed nothing."""
    h = header
    key = CellKey(h.asset, h.run, h.stream, h.segment, h.rendition, h.n, task, version)
    return CellResult(key, CellStatus.SKIPPED, h.digest, orjson.dumps({"reason": TASK_VERSION, "message": reason}))


def failed_cell(task: TaskRef, header: ChunkHeader, error: BaseException) -> CellResult:
    """The result of a task that failed on a chunk for good: completeness holds, the gap gets a name."""
    value = orjson.dumps({"error": type(error).__name__, "message": str(error)[:1000]})
    return CellResult(cell_key(task, header), CellStatus.FAILED, header.digest, value)
