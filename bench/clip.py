"""The benchmark's clip: the sample programme at 1080p with grain, H.264 at the rate of a mezzanine proxy, stereo PCM."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from processors.sample import sound
from processors.sample.programme import FRAMES, RATE, Programme

WIDTH, HEIGHT = 1920, 1080
GRAIN = 1.5
"""Standard deviation of the grain in 8-bit code values: without it an upscaled picture decodes faster than a real one."""


def render_clip(folder: Path, cache: Path, *, seconds: int, source: Path | None, console: Console) -> Path:
    """A copy, in ``folder``, of ``source`` or of a rendered clip (kept in ``cache``, since rendering takes a minute)."""
    kept = source or cache / "bench" / f"programme-1080p-{seconds}s.mov"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        scratch = kept.with_suffix(".part")
        _render(scratch, min(FRAMES, seconds * RATE), console)
        scratch.replace(kept)
    return Path(shutil.copy(kept, folder))


def _render(path: Path, frames: int, console: Console) -> None:
    rng = np.random.default_rng(1080)
    # A few fields of grain, shifted about: as costly to code as fresh grain, and much cheaper to make.
    grains = [rng.normal(0, GRAIN, (HEIGHT + 64, WIDTH + 64)).astype(np.int16) for _ in range(4)]
    programme, heard = Programme(), sound.synthesise()
    with av.open(str(path), "w", format="mov") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "21"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=sound.RATE, layout="stereo")
        step = sound.RATE // RATE
        for number in track(range(frames), description="Rendering a 1080p clip", console=console):
            y, u, v = programme.draw(number).planes
            luma = cv2.resize(y, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
            dx, dy = rng.integers(0, 64, 2)
            luma += grains[number % 4][dy : dy + HEIGHT, dx : dx + WIDTH]
            chroma = [cv2.resize(p, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_CUBIC) for p in (u, v)]
            flat = np.concatenate([np.clip(luma, 0, 255).astype(np.uint8).ravel(), *(c.ravel() for c in chroma)])
            frame = av.VideoFrame.from_ndarray(flat.reshape(HEIGHT * 3 // 2, WIDTH), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
            part = heard.samples[number * step : (number + 1) * step]
            block = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout="stereo")
            block.sample_rate, block.pts, block.time_base = sound.RATE, number * step, Fraction(1, sound.RATE)
            container.mux(audio.encode(block))
        for stream in (video, audio):
            container.mux(stream.encode(None))
