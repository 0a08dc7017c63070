"""Renditions: what the decoder makes of a stream for the agents. One table names them all."""

from __future__ import annotations

from processors.renditions.audio import AudioBuilder
from processors.renditions.base import RenditionSpec
from processors.renditions.proxy import ProxyBuilder
from processors.renditions.stills import StillsBuilder
from processors.renditions.thumbs import ThumbsBuilder

RENDITIONS: dict[str, RenditionSpec] = {
    spec.name: spec
    for spec in (
        RenditionSpec(
            name="proxy",
            kind="video",
            row="frame",
            parts=("y", "u", "v"),
            chunks="about 1 MiB",
            summary="every frame as 4:2:0 in native codes, longer side 320, area average",
            frames=ProxyBuilder,
        ),
        RenditionSpec(
            name="thumbs",
            kind="video",
            row="frame",
            parts=("rgb",),
            chunks="at most 200 frames, cut at multiples of 50 of the stream's frames",
            summary="every frame as 48x27 RGB",
            frames=ThumbsBuilder,
        ),
        RenditionSpec(
            name="stills",
            kind="video",
            row="second",
            parts=("rgb", "block_y", "block_u", "block_v"),
            chunks="about 1 MiB, at least one still",
            summary="a frame a second as RGB up to 1280 wide, and its centred native 512x512 block",
            frames=StillsBuilder,
        ),
        RenditionSpec(
            name="audio",
            kind="audio",
            row="hop",
            parts=("samples",),
            chunks="about 1 MiB, at least 2 s",
            summary="every sample, native rate and channels, interleaved",
            samples=AudioBuilder,
        ),
    )
}
"""Every rendition by name; its topic is ``media.chunks.<name>``."""
