"""A run of decoded sound as renditions see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, repr=False)
class Block:
    """Consecutive samples of one stream.

    ``samples`` has shape ``(n, channels)``, int16, int32 (24 bits lie in the upper ones) or float32; it may be a transposed
    view of planar sound. ``first`` counts samples from the stream's first one, at ``rate`` samples a second.
    """

    samples: NDArray[Any]
    first: int
    rate: int

    def __repr__(self) -> str:
        return f"Block(#{self.first} {self.samples.dtype}{list(self.samples.shape)} at {self.rate} Hz)"

    @property
    def end(self) -> int:
        """One past the last sample."""
        return self.first + int(self.samples.shape[0])
