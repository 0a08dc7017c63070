"""Stills for tests of the task artefacts: chunks as the decoder would make them, of pictures that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.renditions.stills import block_span
from processors.sample.programme import RATE, Programme
from processors.sample.scenes import Picture
from processors.tasks.artefacts import TASK, ArtefactsRunner
from processors.tasks.base import FoldRun, StreamContext, StreamEnd
from schemas.cell import Signals
from schemas.chunk import Chunk, ChunkHeader, Part
from schemas.clock import Clock
from schemas.ids import digest

CLOCK = Clock(tick=(1, 12800), frame_rate=(25, 1), vfr=False)
STREAM = StreamContext("v0", "video", CLOCK)
SECOND = 12800


@cache
def runner() -> ArtefactsRunner:
    """The task on the CPU, loaded once."""
    return TASK.load("cpu")


@cache
def programme() -> Programme:
    """The sample's pictures, drawn when asked for."""
    return Programme()


def sample_still(second: int) -> Picture:
    """The sample's picture at a whole second."""
    return programme().draw(RATE * second)


def units(pictures: Sequence[Picture]) -> NDArray[np.void]:
    """Pictures of one size as the units of a chunk."""
    height, width = pictures[0].y.shape
    left, top, across, down = block_span(width, height)
    half = (slice(top // 2, (top + down) // 2), slice(left // 2, (left + across) // 2))
    dtype = [
        ("rgb", "|u1", (height, width, 3)),
        ("block_y", "|u1", (down, across)),
        ("block_u", "|u1", (down // 2, across // 2)),
        ("block_v", "|u1", (down // 2, across // 2)),
    ]
    made = np.zeros(len(pictures), dtype)
    for unit, picture in zip(made, pictures, strict=True):
        grey = np.clip((picture.y.astype(np.float32) - 16) * (255 / 219), 0, 255).astype(np.uint8)
        unit["rgb"] = cv2.merge([grey, grey, grey])
        unit["block_y"] = picture.y[top : top + down, left : left + across]
        unit["block_u"], unit["block_v"] = picture.u[half], picture.v[half]
    return made


def chunk(pictures: Sequence[Picture], first: int = 0, n: int = 0) -> Chunk:
    """One chunk; the first picture is that of second ``first``."""
    made = units(pictures)
    fields = made.dtype.fields or {}
    parts = tuple(Part(name, fields[name][0].base.str, fields[name][0].shape) for name in made.dtype.names or ())
    data = made.tobytes()
    header = ChunkHeader(
        asset="a",
        run="r",
        stream="v0",
        segment=0,
        rendition="stills",
        n=n,
        first_row=first,
        rows=(len(pictures), 0),
        first_unit=first,
        units=(len(pictures), 0),
        fresh=first == 0,
        clock=CLOCK.model_dump(),
        pts=tuple(SECOND * k for k in range(first, first + len(pictures))),
        parts=parts,
        pixel_format="yuv420p",
        colour_range="limited",
        bit_depth=8,
        digest=digest(data),
    )
    return Chunk(header, data)


def chunks(pictures: Sequence[Picture], cuts: Sequence[int] = ()) -> list[Chunk]:
    """The stills cut at some seconds."""
    edges = [0, *sorted(set(cuts)), len(pictures)]
    return [chunk(pictures[a:b], a, n) for n, (a, b) in enumerate(pairwise(edges)) if b > a]


def folded(signals: Sequence[Signals], stream: StreamContext = STREAM) -> FoldRun:
    """The fold after these signals; ``finish`` is the caller's."""
    run = FoldRun.begin(TASK.fold, stream)
    for part in signals:
        run.step(part)
    return run


def end(seconds: float) -> StreamEnd:
    """Of a stream that lasts so long."""
    return StreamEnd(-(-int(seconds * 100) // 100), round(SECOND * seconds))
