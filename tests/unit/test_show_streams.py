"""What ``dailies show`` says of streams: the facts that were gone by, compactly."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from schemas.events import AssetCoverage, ChunkCoverage, ContentMetadata, Run
from schemas.plan import AssetRef, Correlation
from schemas.technical import Compared, Presentation, PresentationPart, Technical, TechnicalStream
from streams.cli.render import show


def shown(*streams: TechnicalStream, presentations: tuple[Presentation, ...] = ()) -> str:
    event = ContentMetadata(
        asset=AssetRef(id="a", uri="file:///x.mov", version="1"),
        correlation=Correlation(),
        run=Run(id="r", status="complete", plan_version="1", caused_by="u", code="1"),
        coverage=AssetCoverage(video_frames=None, streams={}, chunks=ChunkCoverage(expected=0, ok=0, failed=0, skipped=0)),
        clocks={},
        technical=Technical(container="mov", duration=1.0, streams=streams, presentations=presentations),
    )
    console = Console(width=400, file=io.StringIO())
    with console.capture() as captured:
        show(console, event)
    return captured.get()


def stream(kind: str, **facts: Any) -> TechnicalStream:
    return TechnicalStream(id=f"{kind[0]}0", index=0, kind=kind, decision="analysed", **facts)


def test_a_picture_in_a_line() -> None:
    text = shown(
        stream(
            "video",
            codec="hevc",
            profile="Main 10",
            level="5.1",
            width=3840,
            height=2160,
            pixel_format="yuv420p10le",
            sample_aspect_ratio=(4, 3),
            colour_range="limited",
            field_order="top first",
            language="de",
            frame_rate=Compared(container=[25, 1], bitstream=[50, 1], measured=[30000, 1001], agree=False),
            primaries=Compared(container="bt709", bitstream="bt2020", agree=False),
            transfer=Compared(container="smpte2084"),
            light_levels=Compared(container={"max_cll": 1000, "max_fall": None}),
            start_timecode=Compared(container="01:00:00:00"),
        )
    )
    assert "hevc Main 10 5.1" in text
    assert (
        "3840x2160 yuv420p10le, 29.97 fps, pixels 4:3, bt2020/smpte2084/?, limited range, top first, MaxCLL 1000, "
        "from 01:00:00:00, de"
    ) in text


def test_sound_and_its_presentations() -> None:
    parts = (PresentationPart(stream="a0", channels=tuple(range(16))), PresentationPart(stream="a1", channels=(0, 2)))
    text = shown(
        stream("audio", codec="pcm_s24le", rate=48000, channels=16, layout="16 channels", layout_source="inferred"),
        presentations=(Presentation(id="p0", streams=parts, source="mca", reason="labelled chL", layout="stereo"),),
    )
    assert "48000 Hz, 16 channels (inferred)" in text
    assert "a0:0-15 a1:0,2" in text and "mca: labelled chL" in text
