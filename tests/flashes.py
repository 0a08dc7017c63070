"""Proxies for tests of the flashing tasks: pictures of plain fields that change, as chunks the decoder would make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent
from processors.tasks import agent_task
from processors.tasks.base import FoldRun, Outcome, StreamContext, StreamEnd
from schemas.cell import Signals, pack, unpack
from schemas.chunk import Chunk, ChunkHeader, Part
from schemas.clock import Clock
from schemas.ids import digest

BT1702, IRIS = "flashing-bt1702", "flashing-iris"
CLOCK = Clock(tick=(1, 90000), frame_rate=(25, 1), vfr=False, origin_pts=-900)
TICKS = 3600
"""Of a frame at 25 a second."""
SIZE = (180, 320)
RED = (81, 90, 240)
"""Pure red of BT.601 in 8 bits, limited range."""

Planes = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Y, U and V of all frames: ``(n, height, width)``."""


def white_codes(nits: float) -> int:
    """The 8-bit code, limited range, of a grey of so many cd/m² on an SDR display with a white of 200."""
    return round(16 + 219 * (nits / 200) ** (1 / 2.4))


def fields(values: Sequence[tuple[int, int, int]], size: tuple[int, int] = SIZE, dtype: Any = np.uint8) -> Planes:
    """Plain frames of these Y, U and V codes."""
    height, width = size
    half = (height // 2, width // 2)
    shapes = [size, half, half]
    y, u, v = (np.stack([np.full(shape, value[k], dtype) for value in values]) for k, shape in enumerate(shapes))
    return y, u, v


def greys(codes: Sequence[int], size: tuple[int, int] = SIZE) -> Planes:
    """Plain grey frames."""
    return fields([(code, 128, 128) for code in codes], size)


def square_wave(frames: int, hertz: float, low: Any, high: Any, rate: float = 25.0) -> list[Any]:
    """``low`` and ``high`` in turn, ``hertz`` times a second, beginning with a second's eighth of ``low``."""
    turns = (np.arange(frames) / rate - 0.125) * 2 * hertz
    return [high if t >= 0 and int(t + 1e-9) % 2 == 0 else low for t in turns]


def within(planes: Planes, still: Planes, rows: slice, columns: slice) -> Planes:
    """The first planes inside a rectangle of luma pixels (even numbers), the others outside."""
    found = tuple(plane.copy() for plane in still)
    for k, (plane, moving) in enumerate(zip(found, planes, strict=True)):
        step = 2 if k else 1
        place = (
            slice(None),
            slice((rows.start or 0) // step, None if rows.stop is None else rows.stop // step),
            slice((columns.start or 0) // step, None if columns.stop is None else columns.stop // step),
        )
        plane[place] = moving[place]
    return found[0], found[1], found[2]


def chunks(
    planes: Planes,
    cuts: Sequence[int] = (),
    *,
    first: int = 0,
    pts: Sequence[int] | None = None,
    last_linked: bool = False,
    **header: Any,
) -> Iterator[Chunk]:
    """The frames, the stream's from ``first`` on, in chunks cut at some numbers of them; each with a frame after it."""
    count = len(planes[0])
    times = [TICKS * (first + k) for k in range(count)] if pts is None else list(pts)
    owned_in_all = count - 1 if last_linked else count
    for n, (low, high) in enumerate(pairwise([0, *sorted(set(cuts) - {0}), owned_in_all])):
        after = min(1, count - high)
        parts = [np.ascontiguousarray(plane[low : high + after]) for plane in planes]
        described = tuple(Part(name, p.dtype.newbyteorder("<").str, p.shape[1:]) for name, p in zip("yuv", parts, strict=True))
        unit = np.zeros(high - low + after, np.dtype([(p.name, p.dtype, p.shape) for p in described]))
        for name, part in zip("yuv", parts, strict=True):
            unit[name] = part
        data = unit.tobytes()
        about = {
            "asset": "a",
            "run": "r",
            "stream": "v0",
            "segment": 0,
            "rendition": "proxy",
            "n": n,
            "first_row": first + low,
            "rows": (high - low, after),
            "first_unit": first + low,
            "units": (high - low, after),
            "fresh": low == 0,
            "clock": CLOCK.model_dump(),
            "pts": tuple(times[low : high + after]),
            "parts": described,
            "colour_range": "limited",
            "matrix": "smpte170m",
            "bit_depth": 8,
            "digest": digest(data),
        }
        yield Chunk(ChunkHeader(**(about | header)), data)


def signals(task: str, planes: Planes, cuts: Sequence[int] = (), **more: Any) -> list[Signals]:
    """What the task says of the frames, chunk by chunk, as it travels."""
    runner = agent_task(task).load("cpu")
    return [Signals.from_bytes(runner(chunk).to_bytes()) for chunk in chunks(planes, cuts, **more)]


def folded(
    task: str, parts: Sequence[Signals], clock: Clock = CLOCK, heard: Callable[[FoldEvent], None] | None = None
) -> tuple[list[FindingDraft], Outcome]:
    """The findings, and what the fold gives at the stream's end. Its state travels as a checkpoint does after every step."""
    run = FoldRun.begin(agent_task(task).fold, StreamContext("v0", "video", clock))
    for part in parts:
        for event in run.step(part).events:
            if heard:
                heard(event)
        run.state = restored(run.state)[0]
    last = parts[-1]
    ends = last.arrays["end"][-1] if last.arrays["linked"][-1] else last.arrays["pts"][-1] + TICKS
    outcome = run.finish(StreamEnd(last.end_row, int(ends)))
    return [event.finding for event in run.final_findings()], outcome


def restored(state: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """A fold's state as a checkpoint gives it back, and how many bytes it takes."""
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    data = pack(arrays, {name: value for name, value in state.items() if name not in arrays})
    arrays, rest = unpack(data)
    return rest | arrays, len(data)


def found(task: str, planes: Planes, **more: Any) -> list[FindingDraft]:
    """The findings of a whole clip in one chunk."""
    return folded(task, signals(task, planes, **more))[0]


def figure(outcome: Outcome, id: str) -> float | None:
    """One measurement's value."""
    return next(m.value for m in outcome.measurements if m.id == id)
