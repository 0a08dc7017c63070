"""Pictures for tests of the task detail: something like a photograph, and stills chunks of native blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.tasks import agent_task
from processors.tasks.base import FoldRun, Outcome, StreamContext, StreamEnd
from schemas.cell import Signals
from schemas.chunk import Chunk, ChunkHeader, Part
from schemas.clock import Clock
from schemas.ids import digest
from tests.flashes import restored

CLOCK = Clock(tick=(1, 1000), frame_rate=(25, 1), vfr=False, origin_pts=-500)
FRAME, SECOND = 40, 1000

Planes = Sequence[NDArray[Any]]


def photograph(seed: int, size: int = 512) -> NDArray[np.float32]:
    """Luma 16…235 (8-bit codes, not rounded): objects with edges one pixel wide, and soft shades between them."""
    rng = np.random.default_rng(seed)
    picture = np.full((size, size), 110, np.float32)
    for _ in range(size // 3):
        x, y = rng.integers(0, size, 2)
        wide, high = rng.integers(8, max(9, size // 3), 2)
        picture[y : y + high, x : x + wide] += rng.normal(0, 25)
    for scale in (8, 32):
        shade = cv2.GaussianBlur(rng.normal(0, 1, (size, size)).astype(np.float32), (0, 0), scale)
        picture += shade * scale * 4
    return np.asarray(np.clip(cv2.GaussianBlur(picture, (0, 0), 0.6), 16, 235), np.float32)


def stills(blocks: Sequence[Planes], cuts: Sequence[int] = (), *, names: str = "yuv", **header: Any) -> Iterator[Chunk]:
    """One still a second with these native blocks, in chunks cut before some of them."""
    kinds = header.pop("kinds", None) or [p.dtype.newbyteorder("<").str for p in blocks[0]]
    described = [Part("rgb", "|u1", (72, 128, 3))]
    described += [Part(f"block_{n}", kind, p.shape) for n, kind, p in zip(names, kinds, blocks[0], strict=False)]
    for n, (low, high) in enumerate(pairwise([0, *sorted(set(cuts) - {0}), len(blocks)])):
        unit = np.zeros(high - low, np.dtype([(p.name, p.dtype, p.shape) for p in described]))
        for k, planes in enumerate(blocks[low:high]):
            for part, plane in zip(described[1:], planes, strict=True):
                unit[part.name][k] = plane
        data = unit.tobytes()
        about = {
            "asset": "a",
            "run": "r",
            "stream": "v0",
            "segment": 0,
            "rendition": "stills",
            "n": n,
            "first_row": low,
            "rows": (high - low, 0),
            "first_unit": low,
            "units": (high - low, 0),
            "fresh": low == 0,
            "clock": CLOCK.model_dump(),
            "pts": tuple(SECOND * k + CLOCK.origin_pts for k in range(low, high)),
            "parts": tuple(described),
            "colour_range": "limited",
            "matrix": "bt709",
            "bit_depth": 8,
            "digest": digest(data),
        }
        yield Chunk(ChunkHeader(**(about | header)), data)


def signals(blocks: Sequence[Planes], cuts: Sequence[int] = (), **more: Any) -> list[Signals]:
    """What the task says of the stills, chunk by chunk, as it travels."""
    runner = agent_task("detail").load("cpu")
    return [Signals.from_bytes(runner(chunk).to_bytes()) for chunk in stills(blocks, cuts, **more)]


def folded(task: str, parts: Sequence[Signals], end: int, clock: Clock = CLOCK) -> tuple[list[Any], Outcome]:
    """The findings, and what the fold gives at the stream's end. Its state travels as a checkpoint does after every step."""
    run = FoldRun.begin(agent_task(task).fold, StreamContext("v0", "video", clock))
    for part in parts:
        run.step(part)
        run.state = restored(run.state)[0]
    outcome = run.finish(StreamEnd(parts[-1].end_row, end))
    return [event.finding for event in run.final_findings()], outcome
