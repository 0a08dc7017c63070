"""The rendered sample, read by ffmpeg: what is said of it is in the file, to the frame."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import av
import pytest

from processors.sample import Truth, truth_path
from processors.sample.truth import Stretch
from tests.tools import require_tool


@pytest.fixture(scope="module")
def said(programme: tuple[Path, Truth]) -> str:
    """What ffmpeg's filters print."""
    command = [require_tool("ffmpeg"), "-hide_banner", "-nostats", "-i", str(programme[0])]
    command += [
        "-vf",
        "freezedetect=n=0.001:d=2,blackdetect=d=2",
        "-af",
        "silencedetect=n=-60dB:d=2,ebur128",
        "-f",
        "null",
        "-",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def same(found: list[tuple[str, str]], known: tuple[Stretch, ...], tolerance: float) -> None:
    assert len(found) == len(known), found
    for (start, end), stretch in zip(found, known, strict=True):
        assert float(start) == pytest.approx(stretch.start, abs=tolerance)
        assert float(end) == pytest.approx(stretch.end, abs=tolerance)


def test_freezes(said: str, programme: tuple[Path, Truth]) -> None:
    starts, ends = re.findall(r"freeze_start: (\S+)", said), re.findall(r"freeze_end: (\S+)", said)
    same(list(zip(starts, ends, strict=True)), programme[1].static, 0.041)


def test_black(said: str, programme: tuple[Path, Truth]) -> None:
    same(re.findall(r"black_start:(\S+) black_end:(\S+)", said), programme[1].black, 0.001)


def test_silence(said: str, programme: tuple[Path, Truth]) -> None:
    starts, ends = re.findall(r"silence_start: (\S+)", said), re.findall(r"silence_end: (\S+)", said)
    same(list(zip(starts, ends, strict=True)), programme[1].silence, 0.02)


def test_loudness(said: str, programme: tuple[Path, Truth]) -> None:
    assert float(re.findall(r"I:\s+(-?[\d.]+) LUFS", said)[-1]) == pytest.approx(programme[1].integrated_lufs, abs=0.1)


def test_the_file_is_whole(programme: tuple[Path, Truth]) -> None:
    path, truth = programme
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, video.average_rate, video.frames) == (1280, 720, 25, truth.frames)
        assert (audio.rate, audio.channels, audio.duration) == (48_000, 2, truth.samples)
    assert Truth.read(truth_path(path)) == truth
