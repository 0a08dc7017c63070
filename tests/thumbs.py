"""Thumbs for tests of the shot task: small clips with known cuts, and chunks of them as the decoder would make."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.sample.scenes import Look, Picture, Scene, fractal
from processors.tasks.base import FoldRun, Runner, StreamContext, StreamEnd
from processors.tasks.shots import TASK
from schemas.cell import Signals
from schemas.chunk import Chunk, ChunkHeader, Part
from schemas.clock import Clock
from schemas.ids import digest

Frames = NDArray[np.uint8]

PTS_STEP = 512
CLOCK = Clock(tick=(1, 12800), frame_rate=(25, 1), vfr=False)
STREAM = StreamContext("v0", "video", CLOCK)
PARTS = (Part("rgb", "|u1", (27, 48, 3)),)


@cache
def runner() -> Runner:
    """The task on the CPU, loaded once."""
    return TASK.load("cpu")


def chunk(frames: Frames, first: int, owned: int, n: int, *, fresh: bool | None = None) -> Chunk:
    """The frames ``[first, first + owned)`` with their halo."""
    after = min(TASK.spec.halo, len(frames) - first - owned)
    part = np.ascontiguousarray(frames[first : first + owned + after])
    header = ChunkHeader(
        asset="a",
        run="r",
        stream="v0",
        segment=0,
        rendition="thumbs",
        n=n,
        first_row=first,
        rows=(owned, after),
        first_unit=first,
        units=(owned, after),
        fresh=first == 0 if fresh is None else fresh,
        clock=CLOCK.model_dump(),
        pts=tuple(PTS_STEP * k for k in range(first, first + owned + after)),
        parts=PARTS,
        digest=digest(part.tobytes()),
    )
    return Chunk(header, part.tobytes())


def chunks(frames: Frames, cuts: Sequence[int] = ()) -> list[Chunk]:
    """The clip cut at some frames."""
    edges = [0, *sorted(cuts), len(frames)]
    return [chunk(frames, a, b - a, n) for n, (a, b) in enumerate(pairwise(edges))]


def folded(signals: Sequence[Signals]) -> FoldRun:
    """The fold after these signals; ``finish`` is the caller's."""
    run = FoldRun.begin(TASK.fold, STREAM)
    for part in signals:
        run.step(part)
    return run


def end(rows: int) -> StreamEnd:
    return StreamEnd(rows, PTS_STEP * rows)


def pans(lengths: Sequence[int], seed: int = 0) -> Frames:
    """Shots of pans over coloured textures, drawn at thumb size: cheap, and cut hard."""
    rng = np.random.default_rng(seed)
    shots = []
    for number, length in enumerate(lengths):
        texture = np.stack([fractal(rng, 96, 54, 6, 4, 0.7) for _ in range(3)], axis=2)
        texture = (texture * rng.uniform(90, 230, 3) + rng.uniform(0, 25, 3)).astype(np.uint8)
        step = 20 / length * (1 if number % 2 else -1)
        for k in range(length):
            move = np.array([[1, 0, -24 + step * k], [0, 1, -13]])
            shots.append(cv2.warpAffine(texture, move, (48, 27)))
    return np.stack(shots)


def thumb(picture: Picture) -> Frames:
    """48x27 RGB of a picture of the sample, by area averages and BT.709."""
    y, u, v = (cv2.resize(p, (48, 27), interpolation=cv2.INTER_AREA).astype(np.float32) for p in picture.planes)
    luma, cb, cr = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    rgb = np.stack([luma + 1.5748 * cr, luma - 0.1873 * cb - 0.4681 * cr, luma + 1.8556 * cb], axis=2)
    return np.rint(rgb * 255).clip(0, 255).astype(np.uint8)


def look(rng: np.random.Generator) -> Look:
    """A look by chance."""
    low, high = int(rng.integers(20, 90)), int(rng.integers(110, 225))
    tint = rng.integers(104, 152, 4)
    return Look(
        dark=(low, int(tint[0]), int(tint[1])),
        light=(high, int(tint[2]), int(tint[3])),
        speed=(float(rng.uniform(-3, 3)), float(rng.uniform(-1.5, 1.5))),
        zoom=float(rng.uniform(0.998, 1.004)),
        scale=int(rng.integers(3, 12)),
        detail=float(rng.uniform(0.55, 0.75)),
        horizon=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.4 else None,
        columns=bool(rng.random() < 0.3),
        lights=int(rng.integers(0, 10)) if rng.random() < 0.3 else 0,
        figures=int(rng.integers(0, 6)),
    )


def scene(seed: int) -> Scene:
    """A moving scene by chance."""
    return Scene(seed, look(np.random.default_rng(seed)))
