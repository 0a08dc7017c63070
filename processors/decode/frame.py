"""A decoded frame as decode tasks and renditions see it: native planes, no copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, repr=False)
class NativeFrame:
    """One picture at native resolution and depth.

    ``planes`` are views of the decoder's memory, in code values (uint8, or uint16 where ``bit_depth`` > 8, low-aligned):
    ``[Y]`` or ``[Y, U, V]`` of shape ``(height, width)`` each, chroma at its own size; or ``[R, G, B]`` where ``model`` is
    ``rgb``. Only valid until the next frame is decoded. ``number`` counts in the stream from 0; ``pts`` and ``duration`` are
    raw ticks. ``corrupt`` is the decoder's own mark.
    """

    planes: tuple[NDArray[Any], ...]
    model: Literal["gray", "yuv", "rgb"]
    width: int
    height: int
    bit_depth: int
    pts: int
    duration: int
    number: int
    pixel_format: str
    full_range: bool
    matrix: str | None = None
    transfer: str | None = None
    primaries: str | None = None
    corrupt: bool = False
    interlaced: bool = False

    def __repr__(self) -> str:
        return f"NativeFrame(#{self.number} pts={self.pts} {self.width}x{self.height} {self.pixel_format})"

    @property
    def geometry(self) -> tuple[object, ...]:
        """What must be equal for two frames to be comparable pixel by pixel."""
        return self.width, self.height, self.pixel_format, self.full_range, self.matrix, self.transfer
