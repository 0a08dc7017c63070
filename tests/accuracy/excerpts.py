"""Excerpts of real clips and recordings, decoded once, for defects to be spliced into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from processors.decode.frame import NativeFrame
from processors.decode.picture import view_plane
from tests.picture import analyse as measure
from tests.picture import folded, native

Planes = list[NDArray[Any]]

FRAMES = 100
"""Of an excerpt: 4 s of the 25 frames a second that its frames are given, whatever the clip had."""

VIDEOS = (
    "video/nasa_13013.mp4",
    "hdr/nasa_13013_hdr.mp4",
    "video/fate_nellymoser-discont.mp4",
    "video/aspect_ratio_sar16_11.mp4",
    "video/rotated.mp4",
    "video/fate_wwwq_cut.mp4",
)
RECORDINGS = (
    *("audio/fate_luckynight_2ch_44kHz_s16.wav", "audio/fate_hdcd.flac", "audio/whisper_jfk.flac"),
    *("audio/pyannote_dev00.wav", "audio/pyannote_trn01.wav", "video/aspect_ratio_sar16_11.mp4"),
)


@dataclass(frozen=True, slots=True, repr=False)
class Excerpt:
    """Successive frames of one clip, in code values, of limited range."""

    name: str
    frames: tuple[tuple[NDArray[Any], ...], ...]
    depth: int
    codes: frozenset[str]
    """What is found in it as it is."""

    def picture(self, number: int) -> Planes:
        """A frame to draw into."""
        return [plane.copy() for plane in self.frames[number]]

    @property
    def unit(self) -> int:
        return 1 << (self.depth - 8)


@dataclass(frozen=True, slots=True, repr=False)
class Recording:
    """Some seconds of sound: float32 in full scales, ``(samples, channels)``."""

    name: str
    samples: NDArray[np.float32]
    rate: int


def frames(pictures: list[Planes], depth: int) -> list[NativeFrame]:
    """The pictures as the decoder hands them over."""
    return [native(planes, number, depth=depth) for number, planes in enumerate(pictures)]


def excerpts(folder: Path, name: str, most: int) -> Iterator[Excerpt]:
    """Up to ``most`` excerpts of a clip, from its beginning, without a freeze or black of their own."""
    kept: list[tuple[NDArray[Any], ...]] = []
    with av.open(str(folder / name)) as container:
        stream: Any = container.streams.best("video")
        stream.thread_type = "NONE"
        for picture in container.decode(stream):
            depth = picture.format.components[0].bits
            dtype = np.dtype(np.uint8 if depth == 8 else "<u2")
            kept.append(tuple(view_plane(plane, dtype).copy() for plane in picture.planes[:3]))
            if len(kept) < FRAMES:
                continue
            natural = folded(measure(frames([list(p) for p in kept], depth)))[0]
            codes = frozenset(f.code for f in natural)
            if not codes & {"video.freeze", "video.black"}:
                yield Excerpt(name, tuple(kept), depth, codes)
                most -= 1
            kept = []
            if not most:
                return


def recordings(folder: Path, seconds: float = 7.0, most: int = 4) -> Iterator[Recording]:
    """Stretches of every recording that sound throughout, at their own rates and with their own channels."""
    for name in RECORDINGS:
        samples, rate = _decode(folder / name)
        length, found = int(seconds * rate), 0
        for first in range(0, len(samples) - length, length):
            part = samples[first : first + length]
            steps = [np.abs(part[k : k + rate // 2]).max() for k in range(0, length - rate // 2, rate // 2)]
            if min(steps) > 0.004 and found < most:
                found += 1
                yield Recording(name, part, rate)


def _decode(path: Path) -> tuple[NDArray[np.float32], int]:
    blocks: list[NDArray[np.float32]] = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("fltp", stream.layout, stream.rate)
        for block in container.decode(stream):
            blocks += [b.to_ndarray() for b in resampler.resample(block)]
        return np.concatenate(blocks, axis=1).T.copy(), stream.rate
