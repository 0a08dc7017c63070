"""What a rendition is: its declaration, and the builders that make its chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from processors.decode.block import Block
from processors.renditions.pyramid import Pyramid
from schemas.chunk import Chunk
from schemas.plan import Job


class FrameBuilder(Protocol):
    """Makes a rendition of one video job. Frames come in presentation order, the job's own first."""

    def feed(self, pyramid: Pyramid, *, owned: bool) -> Sequence[Chunk]:
        """See the frame that the pyramid was loaded with; returns the chunks that are complete."""

    def hungry(self) -> bool:
        """After the last owned frame: whether a halo lacks frames."""

    def close(self) -> Sequence[Chunk]:
        """There are no more frames; returns what is left, with what halo there is."""


class SampleBuilder(Protocol):
    """Makes a rendition of one audio job."""

    def feed(self, block: Block) -> Sequence[Chunk]:
        """See the next samples; returns the chunks that are complete."""

    def close(self) -> Sequence[Chunk]:
        """There are no more samples; returns what is left."""


@dataclass(frozen=True, slots=True)
class RenditionSpec:
    """What a rendition declares.

    Its topic is ``media.chunks.<name>``. ``row`` is what its rows count: frames of the stream, whole seconds of presentation
    time, or 10 ms hops. ``parts`` names the arrays of a unit. One of ``frames`` and ``samples`` begins a job.
    """

    name: str
    kind: Literal["video", "audio"]
    row: Literal["frame", "second", "hop"]
    parts: tuple[str, ...]
    chunks: str
    summary: str
    frames: Callable[[Job], FrameBuilder] | None = None
    samples: Callable[[Job], SampleBuilder] | None = None
