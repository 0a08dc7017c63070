"""Pictures for tests of the native picture task: synthetic frames, decoded ones, and segments cut anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import orjson
from numpy.typing import NDArray

from processors.decode.frame import NativeFrame
from processors.findings import FindingDraft
from processors.tasks.base import DecodeTask, FoldRun, Outcome, StreamContext, StreamEnd
from processors.tasks.native_picture import TASK
from schemas.cell import Signals
from schemas.clock import Clock
from schemas.plan import AssetRef, Job

CLOCK = Clock(tick=(1, 1000), frame_rate=(25, 1), vfr=False, origin_pts=0)
FRAME = 40

Planes = Sequence[NDArray[Any]]

HEIGHT, WIDTH = 120, 160
"""Of synthetic pictures."""


def native(
    planes: Planes, number: int, *, depth: int = 8, pts: int | None = None, duration: int = FRAME, **more: Any
) -> NativeFrame:
    """A frame of the test clock: 25 frames a second in milliseconds."""
    height, width = planes[0].shape
    return NativeFrame(
        planes=tuple(planes),
        model=more.pop("model", "gray" if len(planes) == 1 else "yuv"),
        width=width,
        height=height,
        bit_depth=depth,
        pts=number * FRAME if pts is None else pts,
        duration=duration,
        number=number,
        pixel_format=more.pop("pixel_format", "test"),
        full_range=more.pop("full_range", False),
        **more,
    )


def decoded(path: Path) -> tuple[list[NativeFrame], Clock]:
    """Every frame of a file's first video stream (8 bit, or 10 bit little-endian, planar), and its clock."""
    frames: list[NativeFrame] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        tick = stream.time_base
        for picture in container.decode(stream):
            depth = picture.format.components[0].bits
            dtype = np.uint8 if depth == 8 else np.dtype("<u2")
            planes = [
                np.frombuffer(p, np.uint8).reshape(p.height, p.line_size).view(dtype)[:, : p.width] for p in picture.planes
            ]
            full = picture.color_range == 2
            more = {"full_range": full, "pixel_format": picture.format.name}
            frames.append(native(planes, len(frames), depth=depth, pts=picture.pts, duration=picture.duration, **more))
    return frames, Clock(tick=(tick.numerator, tick.denominator), origin_pts=frames[0].pts)


def job(clock: Clock = CLOCK, first_frame: int = 0) -> Job:
    """A job of the test stream."""
    asset = AssetRef(id="asset", uri="file:///clip", version="1")
    ids = {"run": "run", "asset": asset, "stream": "v0", "index": 0, "kind": "video", "segment": 0, "last": False}
    return Job(**ids, clock=clock, first_frame=first_frame)


def analyse(
    frames: Sequence[NativeFrame],
    cuts: Iterable[int] = (),
    chunk: Callable[[], int] = lambda: 1 << 30,
    clock: Clock = CLOCK,
    task: DecodeTask = TASK,
) -> list[Signals]:
    """The task's signals of frames that are decoded in segments beginning at ``cuts``, in chunks of ``chunk()`` rows."""
    edges = [0, *sorted(set(cuts) - {0, len(frames)}), len(frames)]
    found: list[Signals] = []
    for low, high in itertools.pairwise(edges):
        analyser, row = task.open(job(clock, low)), low
        for frame in frames[low:high]:
            analyser.feed(frame, owned=True)
        for frame in frames[high:]:
            if not analyser.hungry():
                break
            analyser.feed(frame, owned=False)
        if analyser.hungry():
            analyser.close()
        while row < high:
            rows = max(1, min(chunk(), analyser.ready()))
            arrays, observations = analyser.take(rows)
            found.append(Signals.from_bytes(Signals(row, rows, arrays, observations).to_bytes()))
            row += rows
    return found


def folded(signals: Iterable[Signals], clock: Clock = CLOCK) -> tuple[list[FindingDraft], Outcome]:
    """The findings and the outcome of signals, with every state turned to JSON and back on the way."""
    run = FoldRun.begin(TASK.fold, StreamContext("v0", "video", clock))
    end = 0
    for part in signals:
        run.step(part)
        run.state = roundtrip(run.state)
        end = int((part.arrays["pts"] + part.arrays["duration"])[-1])
    outcome = run.finish(StreamEnd(run.next_row, end))
    assert all(event.phase == "end" for event in run.final_findings())
    return [event.finding for event in run.final_findings()], outcome


def roundtrip(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it comes back from storage."""
    body: dict[str, Any] = orjson.loads(orjson.dumps(state))
    return body


def column(signals: Sequence[Signals], name: str) -> NDArray[Any]:
    """One signal of all rows."""
    return np.concatenate([part.arrays[name] for part in signals])


def flat(code: int, chroma: int = 128) -> list[NDArray[Any]]:
    """A picture of one colour."""
    half = (HEIGHT // 2, WIDTH // 2)
    return [np.full((HEIGHT, WIDTH), code, np.uint8), np.full(half, chroma, np.uint8), np.full(half, chroma, np.uint8)]


class Shots:
    """Frames one after the other."""

    def __init__(self) -> None:
        self.frames: list[NativeFrame] = []
        self._rng = np.random.default_rng(8)

    def add(self, planes: Planes, **more: Any) -> Shots:
        self.frames.append(native(planes, len(self.frames), **more))
        return self

    def still(self, planes: Planes, frames: int) -> Shots:
        for _ in range(frames):
            self.add(planes)
        return self

    def moving(self, frames: int, change: Callable[[list[NDArray[Any]]], None] = lambda planes: None) -> Shots:
        for _ in range(frames):
            picture = self.picture()
            change(picture)
            self.add(picture)
        return self

    def picture(self) -> list[NDArray[Any]]:
        planes = flat(0)
        planes[0][...] = self._rng.integers(60, 200, planes[0].shape)
        return planes

    def findings(self, code: str) -> list[FindingDraft]:
        return [f for f in folded(analyse(self.frames))[0] if f.code == code]

    def spans(self, code: str) -> list[tuple[int, int]]:
        """Start and end in frames."""
        found = self.findings(code)
        assert all((f.start, f.end) == ((f.start_row or 0) * FRAME, (f.end_row or 0) * FRAME) for f in found)
        return [(f.start // FRAME, f.end // FRAME) for f in found]
