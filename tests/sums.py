"""A task that adds up values, and a run of it: enough to notice any loss, doubling or reordering in the aggregator."""

from __future__ import annotations

from typing import Any

import numpy as np

from processors.findings import FindingDraft, FoldEvent, MeasurementDraft, Phase
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd, TaskSpec
from schemas.cell import CellKey, CellResult, CellStatus, Signals
from schemas.clock import Clock
from schemas.ids import digest
from schemas.manifest import ChunkRecord, Manifest
from schemas.plan import AssetRef, Job, Plan, StreamPlan, VideoFormat
from schemas.types import EventType

SPEC = TaskSpec("sum", "1", "video", "decode", "native", "adds up values; finds runs of ones")
SEGMENTS, CHUNKS, ROWS = 3, 4, 5


class SumFold:
    """Sums values, and finds runs of ones: enough to notice any loss, doubling or reordering."""

    def start(self, stream: StreamContext) -> dict[str, Any]:
        return {"total": 0.0, "since": None}

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        state, events = dict(state), []
        for row, value in enumerate(signals.arrays["x"], start=signals.first_row):
            state["total"] = state["total"] * 0.5 + float(value)
            if value == 1 and state["since"] is None:
                state["since"] = row
            elif value != 1 and state["since"] is not None:
                events.append(FoldEvent(Phase.END, black(state["since"], row)))
                state["since"] = None
        if state["since"] is not None:
            events.append(FoldEvent(Phase.NEW, black(state["since"], signals.end_row)))
        return Step(state, tuple(events), {"x": signals.arrays["x"]})

    def finish(self, stream: StreamContext, state: dict[str, Any], journal: Any, end: StreamEnd) -> Outcome:
        events = () if state["since"] is None else (FoldEvent(Phase.END, black(state["since"], end.end)),)
        rows = float(len(journal.get("x", ())))
        return Outcome(
            events,
            (MeasurementDraft("video.luma_mean", state["total"], "", "sum"), MeasurementDraft("video.frames", rows, "", "n")),
        )


def black(start: int, end: int) -> FindingDraft:
    return FindingDraft("video.black", start, end, float(end - start), "s", "black", start_row=start, end_row=end)


class SumTask:
    spec = SPEC
    fold = SumFold()


def plan() -> Plan:
    asset = AssetRef(id="a" * 32, uri="file:///x.mp4", version="1")
    clock = Clock(tick=(1, 25), frame_rate=(25, 1))
    jobs = tuple(
        Job(run="r", asset=asset, stream="v0", index=0, kind="video", segment=s, last=s == SEGMENTS - 1, clock=clock)
        for s in range(SEGMENTS)
    )
    stream = StreamPlan(
        id="v0",
        index=0,
        kind="video",
        decision="analysed",
        clock=clock,
        video=VideoFormat(width=8, height=8),
        frames=SEGMENTS * CHUNKS * ROWS,
        tasks=("sum",),
    )
    return Plan(
        run="r",
        asset=asset,
        caused_by="u",
        created="2026-01-01T00:00:00Z",
        code="1",
        container="mp4",
        streams=(stream,),
        tasks=(SPEC.ref(),),
        jobs=jobs,
    )


PLANNED = ({"ce_type": EventType.PLANNED.encode()}, plan().model_dump_json().encode())


def cell(segment: int, n: int, values: np.ndarray, status: CellStatus = CellStatus.OK) -> CellResult:
    first = (segment * CHUNKS + n) * ROWS
    value = Signals(first, ROWS, {"x": values[first : first + ROWS], "pts": np.arange(first, first + ROWS)}).to_bytes()
    key = CellKey("a" * 32, "r", "v0", segment, "native", n, "sum", "1")
    return CellResult(key, status, digest(value), value if status is CellStatus.OK else b"it broke", 0.25, "numpy")


def manifest(segment: int, cells: list[CellResult]) -> Manifest:
    records = tuple(
        ChunkRecord(
            rendition="native",
            n=c.key.n,
            first_row=(segment * CHUNKS + c.key.n) * ROWS,
            rows=(ROWS, 0),
            fresh=segment == 0 and c.key.n == 0,
            bytes=len(c.value),
            digests={"sum": c.digest},
        )
        for c in cells
    )
    first = segment * CHUNKS * ROWS
    return Manifest(
        run="r",
        asset="a" * 32,
        stream="v0",
        segment=segment,
        kind="video",
        decoded=CHUNKS * ROWS,
        first_pts=first,
        last_pts=first + CHUNKS * ROWS - 1,
        end_pts=first + CHUNKS * ROWS,
        chunks=records,
    )


def messages_of(values: np.ndarray) -> list[tuple[dict[str, bytes], bytes]]:
    messages = []
    for segment in range(SEGMENTS):
        cells = [cell(segment, n, values) for n in range(CHUNKS)]
        messages += [({"ce_type": EventType.CELL.encode(), **c.headers()}, c.value) for c in cells]
        messages.append(({"ce_type": EventType.MANIFEST.encode()}, manifest(segment, cells).to_bytes()))
    return messages


class Kafka:
    """Remembers what was emitted."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes, dict[str, bytes]]] = []

    async def emit(self, topic: str, key: bytes, value: bytes, headers: dict[str, bytes]) -> tuple[str, int, int]:
        self.sent.append((topic, key, value, headers))
        return topic, 0, len(self.sent) - 1

    def on(self, topic: str) -> list[bytes]:
        return [value for to, _, value, _ in self.sent if to == topic]

    def finals(self) -> list[bytes]:
        return self.on("media.metadata")


def seeded() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 3, SEGMENTS * CHUNKS * ROWS).astype(np.float64)
