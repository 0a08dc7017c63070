"""Whole little files of many containers and codecs, encoded here, and the beginnings of the shared clips where these are."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from tests.chaos.mutate import Excerpt

FRAMES, RATE = 25, 25
WIDTH, HEIGHT = 64, 48
CLIP_BYTES = 300_000


class Recipe(NamedTuple):
    """A file's name, and the encoders of its streams with their pixel and sample formats."""

    name: str
    video: tuple[str, str] | None = None
    audio: tuple[str, str] | None = None
    rate: int = 48_000
    options: tuple[tuple[str, str], ...] = ()
    size: tuple[int, int] = (WIDTH, HEIGHT)


RECIPES = (
    Recipe("h264.mp4", ("libx264", "yuv420p"), ("aac", "fltp"), options=(("movflags", "faststart"),)),
    Recipe("fragments.mp4", ("libx264", "yuv420p"), ("aac", "fltp"), options=(("movflags", "frag_keyframe+empty_moov"),)),
    Recipe("hevc.mp4", ("libx265", "yuv420p10le"), None),
    Recipe("prores.mov", ("prores_ks", "yuv422p10le"), ("pcm_s24le", "s32"), 16_000),
    Recipe("mjpeg.mov", ("mjpeg", "yuvj420p"), ("pcm_s16le", "s16"), 16_000),
    Recipe("vp9.mkv", ("libvpx-vp9", "yuv420p"), ("libopus", "s16")),
    Recipe("ffv1.mkv", ("ffv1", "yuv420p"), ("flac", "s16"), 16_000),
    Recipe("av1.webm", ("libsvtav1", "yuv420p"), ("libopus", "s16")),
    Recipe("vp8.webm", ("libvpx", "yuv420p"), ("libopus", "s16")),
    Recipe("mpeg2.ts", ("mpeg2video", "yuv420p"), ("mp2", "s16")),
    Recipe("h264.ts", ("libx264", "yuv420p"), ("ac3", "fltp")),
    Recipe("mpeg2.mpg", ("mpeg2video", "yuv420p"), ("mp2", "s16")),
    Recipe("mpeg2.mxf", ("mpeg2video", "yuv422p"), ("pcm_s16le", "s16"), size=(128, 96)),
    Recipe("mpeg4.avi", ("mpeg4", "yuv420p"), ("libmp3lame", "fltp")),
    Recipe("raw.avi", ("rawvideo", "yuv420p"), None, size=(32, 24)),
    Recipe("flv1.flv", ("flv", "yuv420p"), ("libmp3lame", "fltp"), 44_100),
    Recipe("wmv2.asf", ("wmv2", "yuv420p"), ("wmav2", "fltp"), 44_100),
    Recipe("h264.h264", ("libx264", "yuv420p"), None),
    Recipe("raw.y4m", ("rawvideo", "yuv420p"), None, size=(32, 24)),
    Recipe("opus.ogg", None, ("libopus", "s16")),
    Recipe("flac.ogg", None, ("flac", "s16"), 16_000),
    Recipe("pcm.wav", None, ("pcm_s16le", "s16"), 16_000),
    Recipe("pcm.aiff", None, ("pcm_s16be", "s16"), 16_000),
    Recipe("pcm.caf", None, ("pcm_s16le", "s16"), 16_000),
    Recipe("alac.m4a", None, ("alac", "s16p"), 16_000),
    Recipe("aac.aac", None, ("aac", "fltp")),
    Recipe("flac.flac", None, ("flac", "s16"), 16_000),
    Recipe("mp3.mp3", None, ("libmp3lame", "fltp")),
)


def generated() -> Iterator[Excerpt]:
    """One second of each recipe whose encoders are here."""
    for recipe in RECIPES:
        wanted = [codec[0] for codec in (recipe.video, recipe.audio) if codec is not None]
        if av.codec.codecs_available.issuperset(wanted):
            yield Excerpt(recipe.name, encode(recipe))


def clips(folder: Path) -> Iterator[Excerpt]:
    """The beginning of each shared clip."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".mp4", ".mkv", ".wav", ".flac", ".eac3"):
            with path.open("rb") as file:
                yield Excerpt(path.name, file.read(CLIP_BYTES))


def encode(recipe: Recipe) -> bytes:
    """The file of a recipe; the same each time."""
    os.environ.setdefault("SVT_LOG", "0")  # that encoder tells of itself on stderr
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / recipe.name
        _write(recipe, path)
        return path.read_bytes()


def _write(recipe: Recipe, path: Path) -> None:
    options = {"fflags": "+bitexact", **dict(recipe.options)}
    with av.open(str(path), "w", format=_format(recipe.name), options=options) as container:
        video = container.add_stream(recipe.video[0], rate=RATE) if recipe.video is not None else None
        audio = container.add_stream(recipe.audio[0], rate=recipe.rate) if recipe.audio is not None else None
        if video is not None and recipe.video is not None:
            video.options = {"x265-params": "log-level=none"} if recipe.video[0] == "libx265" else {}
            video.width, video.height = recipe.size
            video.pix_fmt = recipe.video[1]
            video.codec_context.gop_size = 8
            video.codec_context.thread_count = 1
        if audio is not None and recipe.audio is not None:
            audio.codec_context.layout = "stereo"
            audio.codec_context.format = recipe.audio[1]
            audio.codec_context.bit_rate = 96_000
        for n in range(FRAMES):
            if video is not None:
                container.mux(video.encode(_picture(n, *recipe.size)))
            if audio is not None:
                container.mux(audio.encode(_sound(n, recipe.rate)))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))


def _format(name: str) -> str:
    suffix = name.rpartition(".")[2]
    names = {"mkv": "matroska", "ts": "mpegts", "mpg": "mpeg", "y4m": "yuv4mpegpipe", "m4a": "ipod", "aac": "adts"}
    return names.get(suffix, suffix)


def _picture(n: int, width: int, height: int) -> av.VideoFrame:
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([(columns * 4 + n * 9) % 256, (rows * 5) % 256, np.full_like(rows, n * 10 % 256)], axis=-1)
    frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), format="rgb24")
    frame.pts = n
    return frame


def _sound(n: int, rate: int) -> Any:
    count = rate // RATE
    tone = np.sin(2 * np.pi * 440 * (np.arange(count) + n * count) / rate) * 8000
    frame = av.AudioFrame.from_ndarray(np.repeat(tone.astype(np.int16), 2)[None, :], format="s16", layout="stereo")
    frame.sample_rate, frame.pts = rate, n * count
    return frame
