"""Segments cut at any key frames, put together, are the whole decode: no frame lost, doubled or changed."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.decode.faults import FaultLog
from processors.decode.video import frames
from schemas.plan import Job
from tests.decoding import index_of, render, video_jobs
from tests.tools import MEDIA

Frame = tuple[int, int, str]
"""Number, pts, MD5 of the planes."""


@dataclass(frozen=True)
class Clip:
    name: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    pixel_format: str = "yuv420p"


X264_OPEN = {"preset": "ultrafast", "g": "12", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-adapt=0:bframes=3"}
X264_CLOSED = {"preset": "ultrafast", "g": "12", "bf": "3", "x264-params": "scenecut=0:b-adapt=0:bframes=3:b-pyramid=normal"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop={}"}
MPEG2 = {"g": "12", "bf": "2"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "12", "auto-alt-ref": "1", "lag-in-frames": "8"}


def _x265(open_gop: int) -> dict[str, str]:
    return {**X265, "x265-params": X265["x265-params"].format(open_gop)}


CLIPS = [
    *(Clip(f"h264-open.{c}", "libx264", X264_OPEN) for c in ("mp4", "mkv", "ts")),
    *(Clip(f"h264-closed.{c}", "libx264", X264_CLOSED) for c in ("mp4", "mkv", "ts")),
    *(Clip(f"hevc-open.{c}", "libx265", _x265(1)) for c in ("mp4", "mkv", "ts")),
    Clip("hevc-closed-10bit.mkv", "libx265", _x265(0), "yuv420p10le"),
    *(Clip(f"mpeg2.{c}", "mpeg2video", MPEG2) for c in ("mp4", "mkv", "ts")),
    Clip("vp9.mkv", "libvpx-vp9", VP9),
    Clip("vp9.mp4", "libvpx-vp9", VP9),
    Clip("mjpeg.mkv", "mjpeg", {}, "yuvj422p"),
]


def decoded(path: Path, jobs: list[Job]) -> tuple[list[Frame], FaultLog]:
    found, faults = [], FaultLog()
    for job in jobs:
        with av.open(str(path)) as container:
            for frame, owned in frames(container, job, faults=faults):
                if owned:
                    pixels = hashlib.md5(b"".join(plane.tobytes() for plane in frame.planes)).hexdigest()
                    found.append((frame.number, frame.pts, pixels))
    return found, faults


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[Frame]]]:
    folder = tmp_path_factory.mktemp("clips")
    made = {}
    for clip in CLIPS:
        path = render(
            folder / clip.name, codec=clip.codec, options=clip.options, pixel_format=clip.pixel_format, frames=75, size=(64, 48)
        )
        made[clip.name] = (path, decoded(path, video_jobs(path))[0])
    return made


def _md5(picture: av.VideoFrame) -> str:
    """Of the planes' pixels, read by other means than the decoder's."""
    planes = []
    for plane in picture.planes:
        width = plane.width * (2 if "10le" in picture.format.name else 1)
        lines = bytes(plane)
        planes += [lines[at : at + width] for at in range(0, plane.line_size * plane.height, plane.line_size)]
    return hashlib.md5(b"".join(planes)).hexdigest()


@pytest.mark.parametrize("name", [c.name for c in CLIPS])
def test_the_whole_is_what_the_demuxer_promises(name: str, clips: dict[str, tuple[Path, list[Frame]]]) -> None:
    path, whole = clips[name]
    assert [f[1] for f in whole] == list(index_of(path).pts)
    assert [f[0] for f in whole] == list(range(75))
    with av.open(str(path)) as container:
        plain = [(f.pts, _md5(f)) for f in container.decode(container.streams.video[0])]
    assert [f[1:] for f in whole] == plain


@pytest.mark.parametrize("name", [c.name for c in CLIPS])
def test_every_key_frame_is_a_place_to_cut(name: str, clips: dict[str, tuple[Path, list[Frame]]]) -> None:
    path, whole = clips[name]
    keys = len(index_of(path).keys)
    assert keys >= 5
    parts, faults = decoded(path, video_jobs(path, cuts=range(1, keys)))
    assert parts == whole
    assert faults.entries() == ()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_set_of_cuts_gives_the_whole(seed: int, clips: dict[str, tuple[Path, list[Frame]]]) -> None:
    rng = random.Random(seed)
    path, whole = clips[rng.choice(CLIPS).name]
    keys = range(1, len(index_of(path).keys))
    cuts = rng.sample(keys, rng.randint(1, min(4, len(keys))))
    assert decoded(path, video_jobs(path, cuts=cuts))[0] == whole


def test_after_the_end_come_the_next_frames_without_a_hole(clips: dict[str, tuple[Path, list[Frame]]]) -> None:
    path, whole = clips["hevc-open.ts"]
    jobs = video_jobs(path, cuts=range(1, len(index_of(path).keys)))
    seen: list[tuple[int, int, bool]] = []
    with av.open(str(path)) as container:
        wanted = frames(container, jobs[1], wants=lambda: sum(not owned for *_, owned in seen) < 20)
        for frame, owned in wanted:
            seen.append((frame.number, frame.pts, owned))
    first = jobs[1].first_frame
    assert [s[:2] for s in seen] == [f[:2] for f in whole[first : first + len(seen)]]
    assert sum(not owned for *_, owned in seen) >= 20
    assert [owned for *_, owned in seen] == sorted((owned for *_, owned in seen), reverse=True)


@pytest.mark.media
@pytest.mark.parametrize("name", ["nasa_13013.mp4", "testsrc2_h265.mp4", "rotated.mp4"])
def test_shared_clips_cut_anywhere(name: str) -> None:
    path = MEDIA / "video" / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    whole, _ = decoded(path, video_jobs(path))
    keys = len(index_of(path).keys)
    assert decoded(path, video_jobs(path, cuts=range(1, keys)))[0] == whole
