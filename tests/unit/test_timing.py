"""How packets lie in time: vfrdet on files with fine ticks, first timestamps, edit lists; as measurements of the event."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from processors.analyse import analyse
from processors.probe import IndexedStream, probe
from processors.source import SourcePolicy
from schemas.plan import Timing
from tests import tools
from tests.decoding import render

POLICY = SourcePolicy(("file",), ())
OPTIONS = {"g": "25", "bf": "2", "preset": "ultrafast"}


def pictures(path: Path) -> IndexedStream:
    (found,) = [s for s in probe(str(path), POLICY).streams if s.kind == "video"]
    return found


def timing(path: Path) -> Timing:
    found = pictures(path).timing
    assert found is not None
    return found


def vfrdet(path: Path) -> float:
    ffmpeg = tools.require_tool("ffmpeg")
    command = [ffmpeg, "-hide_banner", "-i", str(path), "-fps_mode", "passthrough", "-vf", "vfrdet", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = re.search(r"VFR:([\d.]+)", said)
    assert found is not None, said
    return float(found[1])


@pytest.mark.parametrize(
    "steps",
    [
        list(range(50)),
        [n + n // 5 for n in range(50)],
        [n + (n % 3 == 1) for n in range(0, 150, 3)],
        [n * (n + 1) // 2 for n in range(50)],
    ],
    ids=["steady", "every fifth late", "steady again", "ever slower"],
)
def test_it_is_vfrdets_ratio(tmp_path: Path, steps: list[int]) -> None:
    path = render(tmp_path / "clip.mp4", frames=50, steps=steps, options=OPTIONS)
    assert timing(path).irregular == pytest.approx(vfrdet(path), abs=1e-5)


def test_one_tick_of_rounding_is_no_variation(tmp_path: Path) -> None:
    """23.976 frames a second in milliseconds are 41 or 42 apart; vfrdet takes that for a varying rate."""
    ffmpeg, path = tools.require_tool("ffmpeg"), tmp_path / "film.mkv"
    picture = "testsrc=size=64x64:rate=24000/1001:duration=3"
    subprocess.run([ffmpeg, "-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "libx264", str(path)], check=True)
    assert timing(path).irregular == 0
    assert vfrdet(path) > 0.3


def test_a_transport_stream_begins_later(tmp_path: Path) -> None:
    ffmpeg, path = tools.require_tool("ffmpeg"), tmp_path / "late.ts"
    clip = render(tmp_path / "clip.mp4", frames=50, options=OPTIONS)
    subprocess.run([ffmpeg, "-v", "error", "-i", str(clip), "-c", "copy", "-output_ts_offset", "7", str(path)], check=True)
    with_delay = timing(path).first
    assert with_delay == pytest.approx(7 + 1.4 + 0.08, abs=0.09)  # FFmpeg's muxer adds its own delay, and that of B pictures
    assert timing(clip).first == 0


def test_pictures_that_an_edit_list_takes_out_are_counted(tmp_path: Path) -> None:
    """A copy from between two key frames begins at the earlier one, and its edit list hides what lies before."""
    ffmpeg, path = tools.require_tool("ffmpeg"), tmp_path / "trimmed.mp4"
    clip = render(tmp_path / "clip.mp4", frames=75, options=OPTIONS)
    subprocess.run([ffmpeg, "-v", "error", "-ss", "1.4", "-i", str(clip), "-c", "copy", str(path)], check=True)
    event = analyse(str(path), code="t", tasks_wanted=["native-picture"])
    found = {m.id: (m.value, m.unit) for m in event.measurements if m.by == "p0"}
    assert found == {"video.first_pts": (0, "s"), "video.vfr_ratio": (0, "ratio"), "video.edited_out": (10, "frames")}
    assert event.coverage.streams["v0"].analysed == 40
