"""Media for the memory benchmark: a short programme, and one that goes on for hours, made by repeating its packets."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from processors.sample import sound
from processors.sample.programme import RATE, Programme

WIDTH, HEIGHT = 320, 180
GOP = 10 * RATE


def render(path: Path, *, first: int, frames: int, repeats: int = 1, console: Console | None = None) -> Path:
    """The sample programme's frames ``first`` … in 320x180 H.264 with stereo PCM, ``repeats`` times over, as Matroska."""
    once = path.with_suffix(".once.mkv")
    _encode(once, first, frames)
    with av.open(str(once)) as source, av.open(str(path), "w", format="matroska") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        numbers = range(repeats)
        for number in track(numbers, description=f"Making {path.name}", console=console) if console else numbers:
            source.seek(0)
            for packet in source.demux():
                if packet.dts is None or packet.pts is None:
                    continue
                shift = int(number * Fraction(frames, RATE) / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    once.unlink()
    return path


def _encode(path: Path, first: int, frames: int) -> None:
    programme, heard = Programme(), sound.synthesise()
    with av.open(str(path), "w", format="matroska") as container:
        options = {"preset": "ultrafast", "crf": "28", "g": str(GOP), "bf": "0"}
        video = container.add_stream("libx264", rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=sound.RATE, layout="stereo")
        step = sound.RATE // RATE
        for number in range(frames):
            y, u, v = programme.draw(first + number).planes
            luma = cv2.resize(y, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            chroma = [cv2.resize(p, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA) for p in (u, v)]
            flat = np.concatenate([luma.ravel(), *(c.ravel() for c in chroma)])
            frame = av.VideoFrame.from_ndarray(flat.reshape(HEIGHT * 3 // 2, WIDTH), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
            part = heard.samples[(first + number) * step : (first + number + 1) * step]
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(part).reshape(1, -1), format="s16", layout="stereo")
            block.sample_rate, block.pts, block.time_base = sound.RATE, number * step, Fraction(1, sound.RATE)
            container.mux(audio.encode(block))
        for stream in (video, audio):
            container.mux(stream.encode(None))
