"""What FFmpeg's filters say of a file at native resolution: intervals, and frame by frame area, levels and scene score."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.tools import require_tool

Seconds = tuple[float, float | None]
"""Start and end; an interval that lasts to the end of the file may have none."""
Box = tuple[int, int, int, int]
"""Active rows ``[top, bottom)`` and columns ``[left, right)``; all −1 where nothing is active."""

NOTHING: Box = (-1, -1, -1, -1)


@dataclass(frozen=True, slots=True)
class FrameFigures:
    """One frame, as printed: ``area`` of cropdetect, ``score`` of scdet in words, and of luma and the two chroma planes the
    mean of 1 where a sample is out of the legal range and 0 elsewhere, times the greatest code, in words.
    """

    area: Box
    score: str
    illegal: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Reference:
    """Everything that one run of ffmpeg said."""

    black: tuple[Seconds, ...]
    freeze: tuple[Seconds, ...]
    silence: tuple[Seconds, ...]
    frames: tuple[FrameFigures, ...]


def measure(path: Path, depth: int) -> Reference:
    """Decode a file of 8 or 10 bits once, through all filters. Raises ``CalledProcessError`` where ffmpeg fails."""
    command = [require_tool("ffmpeg"), "-nostdin", "-hide_banner", "-nostats", "-threads", "1", "-filter_threads", "1"]
    command += ["-noautorotate", "-i", str(path), "-vf", _graph(depth), "-af", "silencedetect=n=-60dB:d=2", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = done.stderr
    return Reference(
        black=tuple((float(a), float(b)) for a, b in re.findall(r"black_start:(\S+) black_end:(\S+)", said)),
        freeze=_paired(said, "freeze"),
        silence=_paired(said, "silence"),
        frames=tuple(_frame(part) for part in done.stdout.split("frame:")[1:]),
    )


def _graph(depth: int) -> str:
    unit = 1 << (depth - 8)
    outside = "if(lt(val\\,{low})+gt(val\\,{high})\\,{top}\\,0)"
    luma, chroma = (outside.format(low=16 * unit, high=high * unit, top=(1 << depth) - 1) for high in (235, 240))
    return ",".join(
        (
            "blackdetect=d=2:pic_th=0.98:pix_th=0.10",
            "freezedetect=n=0.001:d=2",
            "scdet=t=10",
            "cropdetect=limit=24/255:round=2:reset=1:skip=0",
            f"lutyuv=y='{luma}':u='{chroma}':v='{chroma}'",
            "signalstats",
            "metadata=print:file=-",
        )
    )


def _paired(said: str, what: str) -> tuple[Seconds, ...]:
    starts = [max(0.0, float(t)) for t in re.findall(rf"{what}_start: (\S+)", said)]
    ends = [float(t) for t in re.findall(rf"{what}_end: (\S+)", said)]
    return tuple((start, ends[k] if k < len(ends) else None) for k, start in enumerate(starts))


def _frame(text: str) -> FrameFigures:
    figures = dict(re.findall(r"lavfi\.(\S+)=(\S+)", text))
    # cropdetect leaves the first line at the far edge where none is active, and the last one where the first is if only one is
    x1, x2, y1, y2 = (int(figures.get(f"cropdetect.{name}", 0)) for name in ("x1", "x2", "y1", "y2"))
    area = (y1, y2 + 1, x1, x2 + 1) if y1 < y2 and x1 < x2 else NOTHING
    illegal = tuple(figures[f"signalstats.{plane}AVG"] for plane in "YUV")
    return FrameFigures(area, figures["scd.score"], (illegal[0], illegal[1], illegal[2]))
