"""Field material with known truth: a moving scene sampled in time as cameras and pulldown do, and encoded with ffmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.decode.frame import NativeFrame
from processors.findings import FindingDraft
from processors.tasks.base import FoldRun, Outcome, StreamContext, StreamEnd
from processors.tasks.scan import TASK
from schemas.cell import Signals
from schemas.clock import Clock
from schemas.plan import FieldOrder
from tests import picture
from tests.tools import require_tool

Luma = NDArray[np.uint8]
Scene = Callable[[float], Luma]
"""The luma at a time in seconds."""

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "5", "-g", "15", "-bf", "2")
FIELDS = ("-flags", "+ildct+ilme")
TOP_264, BOTTOM_264 = (*X264, *FIELDS, "-x264opts", "tff=1"), (*X264, *FIELDS, "-x264opts", "bff=1")
FIELDS_MPEG2 = (*MPEG2, *FIELDS)


@dataclass(frozen=True)
class World:
    """A textured ground that pans, with a textured disc that moves over it; ``speed`` in pixels a second at 360 lines."""

    width: int
    height: int
    seed: int = 1
    speed: float = 90.0
    grain: float = 0.0

    def scene(self) -> Scene:
        """The world as a camera that takes no time sees it."""
        rng = np.random.default_rng(self.seed)
        width, height, scale = self.width, self.height, self.height / 360
        ground, thing = (self._texture(rng, (height + 64, width + 64), height / 180) for _ in range(2))
        angle, phase = rng.random(2) * 6.28
        noise = np.random.default_rng(self.seed + 1)

        def moved(texture: NDArray[np.float32], x: float, y: float) -> NDArray[np.float32]:
            matrix = np.array([[1, 0, x], [0, 1, y]])
            return np.asarray(cv2.warpAffine(texture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT))

        def luma(seconds: float) -> Luma:
            shift = 30 * scale * np.sin(self.speed * seconds / 30 + phase)  # there and back: it never leaves the ground
            x = width * (0.5 + 0.35 * np.sin(self.speed * seconds / 60 + phase))
            y = height * (0.5 + 0.25 * np.cos(self.speed * seconds / 45))
            disc = np.zeros((height, width), np.float32)
            cv2.circle(disc, (round(x * 16), round(y * 16)), round(height / 5 * 16), 1.0, -1, cv2.LINE_AA, 4)
            seen = moved(ground, shift * np.cos(angle) - 32, 0.7 * shift * np.sin(angle) - 32)
            seen = seen * (1 - disc) + moved(thing, x - width / 2, y - height / 2) * disc
            if self.grain:
                seen = seen + noise.normal(0, self.grain, seen.shape)
            return np.clip(np.rint(seen), 16, 235).astype(np.uint8)

        return luma

    @staticmethod
    def _texture(rng: np.random.Generator, size: tuple[int, int], smooth: float) -> NDArray[np.float32]:
        """Band-limited noise, as a lens and an anti-alias filter leave it."""
        coarse = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), smooth * 6)
        fine = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), smooth)
        return np.asarray(125 + 30 * coarse / coarse.std() + 12 * fine / fine.std(), np.float32)


def progressive(scene: Scene, rate: Fraction, frames: int) -> Iterator[Luma]:
    """One picture a frame."""
    return (scene(float(k / rate)) for k in range(frames))


def woven(fields: Iterable[tuple[Luma, Luma]]) -> Iterator[Luma]:
    """Frames of the even lines of the first and the odd lines of the second of each pair."""
    for top, bottom in fields:
        frame = top.copy()
        frame[1::2] = bottom[1::2]
        yield frame


def interlaced(scene: Scene, rate: Fraction, frames: int, *, top_first: bool = True) -> Iterator[Luma]:
    """Two fields a frame, each of its own time."""
    times = ((2 * k, 2 * k + 1) if top_first else (2 * k + 1, 2 * k) for k in range(frames))
    return woven((scene(float(t / rate / 2)), scene(float(b / rate / 2))) for t, b in times)


def pulled_down(scene: Scene, film: Fraction, cadence: Iterable[int], frames: int, *, top_first: bool = True) -> Iterator[Luma]:
    """Film whose pictures last as many fields each as ``cadence`` says, over and over."""
    pattern, fields, number = list(cadence), list[int](), 0
    while len(fields) < 2 * frames:
        fields += [number] * pattern[number % len(pattern)]
        number += 1
    pairs = [(fields[2 * k], fields[2 * k + 1]) for k in range(frames)]
    kept: dict[int, Luma] = {}

    def film_frame(n: int) -> Luma:
        for old in [k for k in kept if k < n - 2]:
            del kept[old]
        if n not in kept:
            kept[n] = scene(float(n / film))
        return kept[n]

    return woven((film_frame(a), film_frame(b)) if top_first else (film_frame(b), film_frame(a)) for a, b in pairs)


def repeating(scene: Scene, rate: Fraction, frames: int, pattern: str) -> Iterator[Luma]:
    """N is a new picture, D the last one again, over and over."""
    new, last = 0, scene(0.0)
    for k in range(frames):
        if pattern[k % len(pattern)] == "N":
            last, new = scene(float(new / rate)), new + 1
        yield last


def encode(path: Path, frames: Iterable[Luma], rate: Fraction, options: Iterable[str], field: str = "prog") -> Path:
    """Write a file; ``field`` is what the frames are called: ``prog``, ``tff`` or ``bff``."""
    pictures = iter(frames)
    first = next(pictures)
    height, width = first.shape
    command = [require_tool("ffmpeg"), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}"]
    command += ["-r", str(rate), "-i", "-", "-vf", f"format=yuv420p,setfield={field}", "-threads", "1", *options, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(first.tobytes())
        for picture_ in pictures:
            process.stdin.write(picture_.tobytes())
        process.stdin.close()
        assert process.wait() == 0
    return path


def natives(frames: Iterable[Luma], *, interlaced: bool = False, first: int = 0) -> list[NativeFrame]:
    """Frames as the decoder gives them, of the test clock."""
    return [picture.native([luma], first + k, interlaced=interlaced) for k, luma in enumerate(frames)]


def analyse(frames: list[NativeFrame], cuts: Iterable[int] = (), chunk: Callable[[], int] = lambda: 1 << 30) -> list[Signals]:
    """:func:`tests.picture.analyse` of the task ``scan``."""
    return picture.analyse(frames, cuts, chunk, task=TASK)


def folded(
    signals: Iterable[Signals], clock: Clock = picture.CLOCK, field_order: FieldOrder | None = None
) -> tuple[list[FindingDraft], Outcome]:
    """The findings and the outcome of signals, with every state turned to JSON and back on the way."""
    run = FoldRun.begin(TASK.fold, StreamContext("v0", "video", clock, field_order=field_order))
    end = 0
    for part in signals:
        run.step(part)
        run.state = picture.roundtrip(run.state)
        end = int((part.arrays["pts"] + part.arrays["duration"])[-1])
    outcome = run.finish(StreamEnd(run.next_row, end))
    assert all(event.phase == "end" for event in run.final_findings())
    return [event.finding for event in run.final_findings()], outcome


def found_in(frames: Iterable[Luma], **more: Any) -> list[FindingDraft]:
    """The findings of frames."""
    return folded(analyse(natives(frames)), **more)[0]
