"""Clips that decoder tests render, and decode jobs made of a demux pass alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from processors.decode.job import Output, run_job
from processors.source import SourcePolicy, open_source, to_uri
from schemas.chunk import Chunk
from schemas.clock import Clock
from schemas.manifest import Manifest
from schemas.plan import AssetRef, AudioFormat, Job, Seek, TaskRef, VideoFormat


@dataclass(frozen=True)
class Index:
    """What a demux pass says of one video stream."""

    index: int
    clock: Clock
    width: int
    height: int
    pixel_format: str
    keys: tuple[Seek, ...]
    pts: tuple[int, ...]


def index_of(path: Path, index: int | None = None) -> Index:
    with av.open(str(path)) as container:
        stream = container.streams.best("video") if index is None else container.streams[index]
        assert isinstance(stream, av.VideoStream) and stream.time_base
        keys, pts = [], []
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard and packet.pts is not None:
                pts.append(packet.pts)
                if packet.is_keyframe and packet.dts is not None:
                    keys.append(Seek(pts=packet.pts, dts=packet.dts))
        start = container.start_time or 0
        rate = stream.average_rate
        clock = Clock(
            tick=(stream.time_base.numerator, stream.time_base.denominator),
            frame_rate=(rate.numerator, rate.denominator) if rate else None,
            origin_pts=round(Fraction(start, av.time_base) / stream.time_base),
        )
        context = stream.codec_context
        return Index(stream.index, clock, context.width, context.height, context.pix_fmt or "", tuple(keys), tuple(sorted(pts)))


def video_jobs(
    path: Path,
    *,
    cuts: Sequence[int] = (),
    renditions: Sequence[str] = (),
    after: dict[str, int] | None = None,
    tasks: Sequence[TaskRef] = (),
    index: int | None = None,
) -> list[Job]:
    """One job per segment; ``cuts`` are numbers of key frames (from 1 on) at which the stream is cut."""
    found = index_of(path, index)
    edges = [None, *(found.keys[k] for k in sorted(set(cuts)) if 0 < k < len(found.keys)), None]
    jobs = []
    for segment, (low, high) in enumerate(itertools.pairwise(edges)):
        jobs.append(
            Job(
                run="run",
                asset=AssetRef(id="asset", uri=to_uri(str(path)), version="1"),
                stream="v0",
                index=found.index,
                kind="video",
                segment=segment,
                last=high is None,
                seek=low,
                start=low.pts if low else None,
                end=high.pts if high else None,
                stop_dts=high.pts if high else None,
                first_frame=sum(p < low.pts for p in found.pts) if low else 0,
                clock=found.clock,
                video=VideoFormat(width=found.width, height=found.height, pixel_format=found.pixel_format),
                renditions=tuple(renditions),
                after=after or {},
                tasks=tuple(tasks),
            )
        )
    return jobs


def audio_job(path: Path, *, index: int = 0, after: int = 0, planned: AudioFormat | None = None) -> Job:
    with av.open(str(path)) as container:
        stream = container.streams.audio[index]
        return Job(
            run="run",
            asset=AssetRef(id="asset", uri=to_uri(str(path)), version="1"),
            stream=f"a{index}",
            index=stream.index,
            kind="audio",
            segment=0,
            last=True,
            clock=Clock(tick=(1, stream.rate)),
            audio=planned or AudioFormat(rate=stream.rate, channels=stream.channels, layout=stream.layout.name),
            renditions=("audio",),
            after={"audio": after},
        )


def outputs(job: Job) -> list[Output]:
    with open_source(job.asset.uri, SourcePolicy()) as source:
        return list(run_job(job, source))


def manifest_of(found: Sequence[Output]) -> Manifest:
    """The manifest, which must be the last output and the only one."""
    assert [isinstance(o, Manifest) for o in found] == [False] * (len(found) - 1) + [True]
    last = found[-1]
    assert isinstance(last, Manifest)
    return last


def chunks_of(found: Sequence[Output], rendition: str) -> list[Chunk]:
    """A rendition's chunks, which must come in order and be intact."""
    chunks = [o for o in found if isinstance(o, Chunk) and o.header.rendition == rendition]
    assert [c.header.n for c in chunks] == list(range(len(chunks)))
    assert all(c.intact() for c in chunks)
    return chunks


def picture(number: int, width: int, height: int) -> np.ndarray[Any, Any]:
    """RGB with motion, edges and grain, of which no two frames are alike."""
    rng = np.random.default_rng(number)
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    image = np.stack([(across + 3 * number) % 256, (down * 2 + number) % 256, (across + down) % 256], -1).astype(np.uint8)
    cv2.circle(image, ((7 * number) % width, height // 2), max(2, height // 5), (255, 40, 90), -1)
    grain = rng.integers(-6, 7, image.shape)
    found: np.ndarray[Any, Any] = np.clip(image + grain, 0, 255).astype(np.uint8)
    return found


def render(
    path: Path,
    *,
    frames: int = 90,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: int = 25,
    options: dict[str, str] | None = None,
    steps: Sequence[int] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode a clip. ``steps`` are the pts of its frames in frame periods (a varying frame rate)."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = Fraction(1, rate)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24").reformat(format=pixel_format)
            frame.pts = steps[number] if steps else number
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
