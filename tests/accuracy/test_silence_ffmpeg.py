"""Silence against FFmpeg's silencedetect on generated sound."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.tasks.audio_qc import TASK
from schemas.chunk import hops
from tests.sound import LAYOUTS, analyse, random_cuts, to_int16
from tests.tools import require_tool

TOLERANCE = 0.05


def silencedetect(samples: NDArray[Any], rate: int) -> list[tuple[float, float]]:
    form = {"int16": "s16le", "int32": "s32le", "float32": "f32le"}[samples.dtype.name]
    command = [require_tool("ffmpeg"), "-hide_banner", "-nostdin", "-f", form, "-ar", str(rate), "-ac", str(samples.shape[1])]
    command += ["-i", "pipe:0", "-af", "silencedetect=n=-60dB:d=2", "-f", "null", "-"]
    done = subprocess.run(command, input=samples.tobytes(), capture_output=True, check=True)
    log = done.stderr.decode()
    starts = [max(0.0, float(t)) for t in re.findall(r"silence_start: (\S+)", log)]
    ends = [float(t) for t in re.findall(r"silence_end: (\S+)", log)]
    ends += [len(samples) / rate] * (len(starts) - len(ends))
    return list(zip(starts, ends, strict=True))


def with_silences(rate: int, channels: int, seed: int) -> NDArray[np.float64]:
    """Noise with quiet stretches of 1.9 to 4 s, some of them digital zero, some just under or over −60 dBFS."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(8):
        parts.append(0.1 * rng.standard_normal((int(rate * rng.uniform(0.2, 1.5)), channels)))
        height = rng.choice([0.0, 0.00099, 0.00101, 0.0005])
        length = int(rate * rng.choice([1.9, 1.995, 2.0, 2.005, 3.123, 4.0]))
        quiet = height * rng.uniform(-1, 1, (length, channels))
        quiet[-1] = height
        parts.append(quiet)
    return np.concatenate(parts)


@pytest.mark.parametrize("form", ["int16", "int32", "float32"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (22050, 2), (44100, 2), (16000, 6)])
@pytest.mark.parametrize("seed", range(2))
def test_silences_are_silencedetects(form: str, rate: int, channels: int, seed: int) -> None:
    sound = with_silences(rate, channels, seed)
    samples: NDArray[Any] = to_int16(sound) if form == "int16" else sound.astype(np.float32)
    if form == "int32":
        samples = np.clip(np.round(sound * 2**31), -(2**31), 2**31 - 1).astype(np.int32)
    theirs = silencedetect(samples, rate)
    cuts = random_cuts(hops(rate, len(samples)), np.random.default_rng(seed), 9)
    ours = analyse(TASK, samples, rate, cuts=cuts, names=LAYOUTS[channels]).found("audio.silence")
    assert len(ours) == len(theirs)
    for finding, (start, end) in zip(ours, theirs, strict=True):
        assert finding.start / rate == pytest.approx(start, abs=TOLERANCE)
        assert finding.end / rate == pytest.approx(end, abs=TOLERANCE)
