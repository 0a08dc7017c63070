"""The yardsticks: ffmpeg decoding only, and PyAV decoding only with one process per core."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import av

from processors.plan import PlanRequest, make_plan
from processors.probe import probe
from processors.source import SourcePolicy, to_uri
from schemas.plan import Job


def ffmpeg_decode(clip: Path) -> int:
    """Decode the video with ffmpeg's own choice of threads; the number of frames. ``FileNotFoundError`` without ffmpeg."""
    binary = shutil.which("ffmpeg")
    if binary is None:
        raise FileNotFoundError("ffmpeg")
    command = [
        binary,
        "-nostdin",
        "-hide_banner",
        "-i",
        str(clip),
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-f",
        "null",
        "-",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return int(re.findall(r"frame=\s*(\d+)", said)[-1])


def video_jobs(clip: Path, cores: int) -> list[Job]:
    """The clip's video segments, as many as the pipeline would decode at once."""
    request = PlanRequest(caused_by="bench", created="2026-01-01T00:00:00Z", code="bench", cores=cores)
    plan = make_plan(probe(to_uri(str(clip)), SourcePolicy()), request)
    return [job for job in plan.jobs if job.kind == "video"]


def count_frames(clip: str, job: Job) -> int:
    """Decode one segment with PyAV and nothing else; the number of its frames."""
    count = 0
    with av.open(clip) as container:
        stream: Any = container.streams[job.index]
        stream.thread_type = "NONE"
        if job.seek is not None:
            container.seek(job.seek.dts, stream=stream, backward=True)
        for packet in container.demux(stream):
            count += sum(_owned(frame, job) for frame in packet.decode())
            if job.stop_dts is not None and packet.dts is not None and packet.dts >= job.stop_dts:
                break
        else:
            return count
        return count + sum(_owned(frame, job) for frame in stream.codec_context.decode(None))


def _owned(frame: Any, job: Job) -> bool:
    return (job.start is None or frame.pts >= job.start) and (job.end is None or frame.pts < job.end)


class PyavPool:
    """PyAV decoding only, one process per core, started before the clock runs."""

    def __init__(self, clip: Path, cores: int) -> None:
        self._clip = str(clip)
        self._jobs = video_jobs(clip, cores)
        self._pool = ProcessPoolExecutor(cores)
        list(self._pool.map(abs, range(cores * 4)))

    def __call__(self) -> int:
        """Decode everything; the number of frames."""
        return sum(self._pool.map(count_frames, [self._clip] * len(self._jobs), self._jobs))

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()
