"""What a run uploads: a set of small assets, and a seeded schedule of upload events, some of them twice and out of order."""

from __future__ import annotations

import os
import random
import wave
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import orjson
from av.video.frame import PictureType

from schemas import cloudevents
from schemas.types import EventType

RATE = 48_000
FRAME_RATE = 25
SIZE = (320, 180)
"""A proxy chunk of about 1 MiB holds 12 such frames: a few seconds give several chunks."""

PICTURE = ("native-picture", "flashing-iris")
SOUND = ("loudness", "audio-qc")
BOTH = (*PICTURE, *SOUND)
SPREAD_SECONDS = 4.0
"""Over how long the uploads of a run are spread."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One object: its file name, the tasks that are asked for, and how to make it (None: it does not exist)."""

    name: str
    tasks: tuple[str, ...]
    make: Callable[[Path, np.random.Generator], None] | None

    @property
    def time(self) -> str:
        """The ``ce_time`` of its upload events: the same in every run."""
        return f"2026-01-02T03:04:{sum(self.name.encode()) % 60:02d}Z"


@dataclass(frozen=True, slots=True)
class Sending:
    """One upload event at its moment, in seconds from the run's start."""

    at: float
    id: str
    asset: Asset


def _picture(rng: np.random.Generator, number: int, total: int) -> np.ndarray:
    """A drifting texture with a black head and a stretch that flashes: something to find for every task."""
    if number < 15:
        return np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    wave_ = 96 + 60 * np.sin((x + 7 * number) / 23) + 40 * np.cos((y - 3 * number) / 17)
    if total // 2 < number < total // 2 + 30 and number % 5 < 2:
        wave_ = np.full_like(wave_, 235)
    noise = rng.integers(0, 6, wave_.shape)
    return np.repeat((wave_ + noise).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _tone(seconds: float, hertz: float, channels: int) -> np.ndarray:
    """Interleaved samples: a tone, with a silence from 1 s to 1.6 s."""
    t = np.arange(round(seconds * RATE)) / RATE
    level = np.where((t >= 1.0) & (t < 1.6), 0.0, 9000.0)
    return np.repeat((level * np.sin(2 * np.pi * hertz * t)).astype(np.int16)[:, None], channels, axis=1)


def clip(
    seconds: float, *, gop: int = 50, sounds: int = 1, picture: bool = True
) -> Callable[[Path, np.random.Generator], None]:
    """Makes a file with pictures, or not, and so many stereo sound streams."""

    def make(path: Path, rng: np.random.Generator) -> None:
        with av.open(str(path), "w") as container:
            video = None
            if picture:
                options = {"preset": "ultrafast", "x264-params": f"keyint={gop}:scenecut=0:bframes=0:threads=1:log-level=none"}
                video = container.add_stream("libx264", rate=FRAME_RATE, options=options)
                video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
            tracks = [container.add_stream("pcm_s16le", rate=RATE, layout="stereo") for _ in range(sounds)]
            total = round(seconds * FRAME_RATE)
            for number in range(total if video is not None else 0):
                frame = av.VideoFrame.from_ndarray(_picture(rng, number, total), format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
                if number % gop == 0:
                    frame.pict_type = PictureType.I
                container.mux(video.encode(frame))
            for number, track in enumerate(tracks):
                samples = _tone(seconds, 440.0 * (number + 1), 2)
                for at in range(0, len(samples), 4800):
                    part = np.ascontiguousarray(samples[at : at + 4800]).reshape(1, -1)
                    sound = av.AudioFrame.from_ndarray(part, format="s16", layout="stereo")
                    sound.sample_rate, sound.pts, sound.time_base = RATE, at, Fraction(1, RATE)
                    container.mux(track.encode(sound))
            for track in tracks:
                container.mux(track.encode(None))
            if video is not None:
                container.mux(video.encode(None))

    return make


def _sound(path: Path, rng: np.random.Generator) -> None:
    samples = _tone(7.0, 997.0, 2)
    with wave.open(str(path), "wb") as out:
        out.setparams((2, 2, RATE, len(samples), "NONE", ""))
        out.writeframes(samples.tobytes())


def _damaged(path: Path, rng: np.random.Generator) -> None:
    """A clip in which a stretch of bytes is noise."""
    clip(3.0)(path, rng)
    body = bytearray(path.read_bytes())
    middle = len(body) // 3
    body[middle : middle + 3000] = rng.bytes(3000)
    path.write_bytes(body)


def _rubbish(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(rng.bytes(50_000))


ASSETS = (
    Asset("both.mov", BOTH, clip(3.0)),
    Asset("cut.mkv", BOTH, clip(9.0, gop=25)),
    Asset("sound.wav", SOUND, _sound),
    Asset("silent.mp4", PICTURE, clip(2.0, sounds=0)),
    Asset("two-sounds.mkv", BOTH, clip(2.0, sounds=2)),
    Asset("sounds-only.mka", SOUND, clip(4.0, sounds=2, picture=False)),
    Asset("damaged.mov", BOTH, _damaged),
    Asset("rubbish.mp4", BOTH, _rubbish),
    Asset("absent.mov", BOTH, None),
)

SMALL = tuple(asset for asset in ASSETS if asset.name in ("both.mov", "sound.wav", "two-sounds.mkv", "rubbish.mp4"))
"""For the short form."""


def make_assets(folder: Path, seed: int, assets: tuple[Asset, ...] = ASSETS) -> None:
    """Make every asset's file, all with one modification time, so that a copy elsewhere is the same version."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, asset in enumerate(assets):
        if asset.make is not None:
            asset.make(folder / asset.name, np.random.default_rng([seed, number]))
            os.utime(folder / asset.name, (1_700_000_000, 1_700_000_000))


def link_assets(source: Path, target: Path) -> None:
    """The same files at other URIs: other assets to Dailies, with the same content and version."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        (target / path.name).hardlink_to(path)


def schedule(seed: int, prefix: str, assets: tuple[Asset, ...] = ASSETS, spread: float = SPREAD_SECONDS) -> list[Sending]:
    """When each upload event is sent, in order. Some come twice under one id, one asset also under a second id.

    Their ``ce_time`` has nothing to do with their order: they are out of order from the start.
    """
    rng = random.Random(f"{seed}/uploads")
    first = [Sending(rng.uniform(0, spread), f"{prefix}-{asset.name}", asset) for asset in assets]
    again = [Sending(s.at + rng.uniform(0.05, spread), s.id, s.asset) for s in rng.sample(first, max(1, len(first) // 3))]
    planned = [s for s in first if s.asset.make is not None and s.asset.make is not _rubbish]
    other = rng.choice(planned)
    second = Sending(other.at + rng.uniform(0.5, spread), f"{other.id}-again", other.asset)
    return sorted([*first, *again, second], key=lambda sending: sending.at)


def event_of(sending: Sending, folder: Path) -> tuple[bytes, bytes, cloudevents.Headers]:
    """Key, value and headers of an upload event."""
    uri = (folder / sending.asset.name).as_uri()
    head = cloudevents.headers(id=sending.id, type=EventType.UPLOAD, source="chaos", subject=uri, time=sending.asset.time)
    body = {"uri": uri, "tasks": list(sending.asset.tasks), "correlation": {"delivery_id": f"D-{sending.asset.name}"}}
    return uri.encode(), orjson.dumps(body), head
