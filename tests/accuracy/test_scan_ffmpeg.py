"""Encoded field material: what the scan task finds against what is known of it, and each frame's scan against FFmpeg's idet."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from processors.analyse import analyse
from tests.fields import (
    BOTTOM_264,
    FIELDS_MPEG2,
    MPEG2,
    TOP_264,
    X264,
    Luma,
    Scene,
    World,
    encode,
    interlaced,
    progressive,
    pulled_down,
    repeating,
)
from tests.tools import require_tool

PAL, NTSC, FRAMES = Fraction(25), Fraction(30000, 1001), 90
Make = Callable[[Scene], Iterator[Luma]]


@dataclass(frozen=True)
class Clip:
    """``found`` is the code and the beginning of the text of its findings, ``idet`` the kind that most frames are to idet."""

    name: str
    make: Make
    options: tuple[str, ...]
    found: tuple[tuple[str, str], ...]
    idet: str
    rate: Fraction = PAL
    field: str = "prog"


def _fields(scene: Scene, *, top_first: bool) -> Iterator[Luma]:
    return interlaced(scene, PAL, FRAMES, top_first=top_first)


def _top(scene: Scene) -> Iterator[Luma]:
    return _fields(scene, top_first=True)


def _bottom(scene: Scene) -> Iterator[Luma]:
    return _fields(scene, top_first=False)


def _film(scene: Scene) -> Iterator[Luma]:
    return pulled_down(scene, Fraction(24), (2, 3), FRAMES)


def _whole(scene: Scene) -> Iterator[Luma]:
    return progressive(scene, PAL, FRAMES)


def _split(scene: Scene) -> Iterator[Luma]:
    return pulled_down(scene, PAL, (1, *[2] * FRAMES), FRAMES)


def _fifth(scene: Scene) -> Iterator[Luma]:
    return repeating(scene, Fraction(24), FRAMES, "NNNND")


TOP, BOTTOM = ("video.interlaced", "Interlaced, top"), ("video.interlaced", "Interlaced, bottom")
PULLDOWN, TWO = ("video.telecine", "2:3 pulldown, top"), ("video.telecine", "2:2 pulldown")
CLIPS = (
    Clip("progressive", _whole, X264, (), "Progressive"),
    Clip("progressive, MPEG-2", _whole, MPEG2, (), "Progressive"),
    Clip("top first", _top, TOP_264, (TOP,), "TFF", field="tff"),
    Clip("bottom first", _bottom, BOTTOM_264, (BOTTOM,), "BFF", field="bff"),
    Clip("top first, MPEG-2", _top, FIELDS_MPEG2, (TOP,), "TFF", field="tff"),
    Clip("top first, not declared", _top, X264, (TOP, ("video.field_order", "Declared progressive")), "TFF"),
    Clip(
        "bottom first, declared top",
        _bottom,
        FIELDS_MPEG2,
        (BOTTOM, ("video.field_order", "Declared top field first")),
        "BFF",
        field="tff",
    ),
    Clip("2:3", _film, TOP_264, (PULLDOWN,), "TFF", NTSC, "tff"),
    Clip("2:3, not declared", _film, X264, (PULLDOWN,), "TFF", NTSC),
    Clip("2:3, MPEG-2", _film, FIELDS_MPEG2, (PULLDOWN,), "TFF", NTSC, "tff"),
    Clip("2:2 in frames", _whole, FIELDS_MPEG2, (TWO,), "Progressive", field="tff"),
    Clip("2:2 split", _split, FIELDS_MPEG2, (TWO,), "TFF", field="tff"),
    Clip("every 5th", _fifth, X264, (("video.duplicate_frames", "Frames repeat, every 5th"),), "Progressive", Fraction(30)),
)
SHORT = ("progressive", "top first, not declared", "2:3, MPEG-2")


def idet(path: Path) -> dict[str, int]:
    """How many frames are of each kind to idet, by its count over several frames."""
    command = [require_tool("ffmpeg"), "-hide_banner", "-nostats", "-threads", "1", "-i", str(path), "-vf", "idet", "-an"]
    text = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True).stderr
    line = re.findall(r"Multi frame detection: (.*)", text)[-1]
    return {name: int(count) for name, count in re.findall(r"(\w+):\s*(\d+)", line)}


def check(clip: Clip, size: tuple[int, int], folder: Path) -> None:
    """Encode a clip, print ours, idet's and the difference, and hold ours against what is known."""
    path = encode(folder / "clip.mkv", clip.make(World(*size).scene()), clip.rate, clip.options, clip.field)
    event = analyse(str(path), code="test", tasks_wanted=["scan"], profiles=[])
    found = [f for f in event.findings if f.by != "p0"]
    theirs = idet(path)
    ratio = next(m.value for m in event.measurements if m.id == "video.interlaced_ratio")
    reference = (theirs["TFF"] + theirs["BFF"]) / max(1, sum(theirs.values()) - theirs["Undetermined"])
    apart = "-" if ratio is None else f"{ratio - reference:+.3f}"
    told = "; ".join(f"{f.text} [{f.start_frame}, {f.end_frame})" for f in found) or "nothing found"
    figures = f"interlaced frames ours {ratio}, idet {reference:.3f}, difference {apart}"
    sys.stdout.write(f"{size[0]}x{size[1]} {clip.name}: {figures}; {told}\n")
    assert max(theirs, key=lambda kind: theirs[kind]) == clip.idet
    assert len(found) == len(clip.found)
    for code, text in clip.found:
        [one] = [f for f in found if f.code == code]
        assert one.text.startswith(text)
        assert one.start_frame is not None
        assert one.end_frame is not None
        assert one.start_frame <= 20
        assert one.end_frame >= FRAMES - 5


@pytest.mark.parametrize("clip", [c for c in CLIPS if c.name in SHORT], ids=lambda clip: clip.name)
def test_field_material_is_told(clip: Clip, tmp_path: Path) -> None:
    check(clip, (320, 180), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("size", [(720, 576), (1280, 720)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_field_material_of_several_sizes_is_told(clip: Clip, size: tuple[int, int], tmp_path: Path) -> None:
    check(clip, size, tmp_path)
