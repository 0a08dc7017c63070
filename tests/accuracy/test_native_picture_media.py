"""Real clips: freezes and black against FFmpeg's filters, the active area against cropdetect, segments against the whole."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from processors.analyse import analyse, run_plan
from processors.equal import differences
from processors.plan import PlanRequest, make_plan
from processors.probe import probe
from processors.source import SourcePolicy, to_uri
from schemas.events import ContentMetadata
from tests.tools import require_tool

pytestmark = pytest.mark.media

LARGER = ("pyscenedetect_testvideo.mp4", "aspect_ratio_sar16_11.mp4")
CLIPS = ("rotated.mp4", "nasa_13013.mp4", *(pytest.param(name, marks=pytest.mark.long) for name in LARGER))


def ffmpeg(path: Path, graph: str) -> str:
    # FFmpeg picks the same best video stream; it must not turn the picture
    command = [require_tool("ffmpeg"), "-hide_banner", "-nostats", "-noautorotate", "-i", str(path), "-vf", graph]
    return subprocess.run([*command, "-an", "-f", "null", "-"], capture_output=True, text=True, check=True).stderr


def whole(path: Path) -> ContentMetadata:
    return analyse(str(path), code="test", tasks_wanted=["native-picture"], profiles=[])


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_equals_ffmpeg_and_itself_in_segments(name: str, media_dir: Path) -> None:
    path = media_dir / "video" / name
    found = whole(path)
    text = ffmpeg(path, "blackdetect=d=2,freezedetect=n=0.001:d=2,cropdetect=limit=24/255:round=2:reset=0:skip=0")
    frame = 1.01 / float(Fraction(*next(iter(found.clocks.values())).frame_rate or (25, 1)))
    black = [(float(a), float(b)) for a, b in re.findall(r"black_start:([\d.]+) black_end:([\d.]+)", text)]
    ours = [(f.start_seconds, f.end_seconds) for f in found.findings if f.code == "video.black"]
    assert len(ours) == len(black)
    for mine, theirs in zip(ours, black, strict=True):
        assert mine == pytest.approx(theirs, abs=frame)
    starts = [float(t) for t in re.findall(r"freeze_start: ([\d.]+)", text)]
    ends = [float(t) for t in re.findall(r"freeze_end: ([\d.]+)", text)]
    freezes = [(f.start_seconds, f.end_seconds) for f in found.findings if f.code == "video.freeze"]
    named = [f for f in found.findings if f.code in ("video.black", "video.bars", "video.slate")]
    theirs = [t for t in starts if not any(f.start_seconds - frame <= t <= f.end_seconds for f in named)]
    assert [start for start, _ in freezes] == pytest.approx(theirs, abs=frame)
    assert all(any(abs(end - t) <= frame for t in ends) or end > max(ends, default=0.0) for _, end in freezes)
    x1, x2, y1, y2 = (int(v) for v in re.findall(r"x1:(\d+) x2:(\d+) y1:(\d+) y2:(\d+)", text)[-1])
    area = next(s.active_area for s in found.technical.streams if s.active_area)
    assert (area.x, area.y, area.w, area.h) == (x1, y1, x2 - x1 + 1, y2 - y1 + 1)

    index = probe(to_uri(str(path)), SourcePolicy())
    request = PlanRequest(caused_by="test", created="2026-01-01T00:00:00Z", code="test", tasks=("native-picture",), profiles=())
    assert differences(run_plan(make_plan(index, request), SourcePolicy()), found) == []
