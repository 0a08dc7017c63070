"""Assets analysed in this process with their signals in a sidecar, as the pipeline leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from processors import assemble, tasks
from processors.aggregate import Aggregate
from processors.analyse import take
from processors.decode.job import run_job
from processors.plan import PlanRequest, make_plan
from processors.probe import probe
from processors.sidecar import SidecarWriter
from processors.source import SourcePolicy, open_source, to_uri
from processors.spans import span_fields
from schemas.events import ContentMetadata, Shot, Tracks
from tests.sound import to_int16, tone

SIGNALS = ("native-picture", "loudness", "audio-qc")
"""The tasks that need no network."""


def analysed(path: Path, sidecar: SidecarWriter, *, wanted: tuple[str, ...] = SIGNALS, single: bool = True) -> ContentMetadata:
    """The final event of a file whose signals lie in ``sidecar``."""
    request = PlanRequest(
        caused_by="test", created="2026-01-01T00:00:00+00:00", code="test", tasks=wanted, single_segment=single
    )
    plan = make_plan(probe(to_uri(str(path)), SourcePolicy()), request)
    aggregate = Aggregate(plan)
    runners = {t.name: tasks.agent_task(t.name).load("cpu") for t in plan.tasks if t.where == "agent"}
    for job in plan.jobs:
        with open_source(plan.asset.uri, SourcePolicy()) as source:
            for output in run_job(job, source):
                take(aggregate, output, job, runners.__getitem__)
    for lane in aggregate.lanes.values():
        sidecar.write_part(plan.asset.id, plan.run, lane.stream, lane.task.name, 0, lane.recent)
    return assemble.metadata(aggregate, dataref=sidecar.dataref(plan.asset.id, plan.run))


RATE, SIZE = 25, (320, 180)
SCENES = ((0, 50, (200, 40, 40)), (50, 100, (40, 180, 60)), (100, 160, (0, 0, 0)), (160, 225, (40, 60, 200)))
"""First frame, end and RGB of each scene of the clip."""
SOUND = ((5.0, -20.0), (3.0, None), (1.0, -26.0))
"""Seconds and level (dBFS; None: silence) of each part of its tone."""


def render_clip(path: Path) -> Path:
    """A clip of 9 s: plain scenes, one of them black, and a tone with a silence in it. Key frames at the scenes' starts."""
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "x264-params": "keyint=250:scenecut=0:bframes=0:log-level=none"}
        video = container.add_stream("libx264", rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        for first, end, colour in SCENES:
            for number in range(first, end):
                image = np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                if number == first:
                    frame.pict_type = PictureType.I
                container.mux(video.encode(frame))
        samples = to_int16(tone(48_000, SOUND))
        for at in range(0, len(samples), 4800):
            sound = av.AudioFrame.from_ndarray(samples[at : at + 4800].reshape(1, -1), format="s16", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = 48_000, at, Fraction(1, 48_000)
            container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return path


def with_shots(event: ContentMetadata, edges: Sequence[int]) -> ContentMetadata:
    """The event with shots between these frames, as a task that finds them would put them in."""
    clock = event.clocks["v0"]
    ticks = Fraction(1, RATE) / Fraction(*clock.tick)
    shots = [
        Shot(
            **span_fields("v0", clock, int(first * ticks), int(end * ticks), first, end),
            transition_in="cut" if first else None,
            transition_out="cut" if end != edges[-1] else None,
            confidence=0.9,
            by=event.producers[0].id,
        )
        for first, end in pairwise(edges)
    ]
    return event.model_copy(update={"tracks": Tracks(shots=tuple(shots))})


def clip_event(folder: Path) -> ContentMetadata:
    """The clip, rendered into ``folder`` and analysed with a sidecar there, and with its four shots."""
    event = analysed(render_clip(folder / "clip.mov"), SidecarWriter((folder / "sidecar").as_uri()))
    return with_shots(event, [first for first, _, _ in SCENES] + [SCENES[-1][1]])
