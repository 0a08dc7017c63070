"""Lines of a picture as fields: how well each fits those beside it, in its own frame and in the next, as idet compares them.

idet (FFmpeg's) sums ``|a + c - 2 b|`` over all samples, with ``b`` a line of one frame and ``a`` and ``c`` the lines above and
below it in the same frame or in a neighbour. Here the sums are exact, over pairs of an even and an odd line spread over the
picture: one pair in each of strata of equal height, four strata with the pair at another place each, so that no pattern of the
picture keeps step with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.decode.frame import NativeFrame

STRATA = 64
"""So many of a picture of 262 lines and more; of a lower one as many as have room for their pair and the lines beside it."""
LEAST_LINES = 48
"""Pictures of fewer lines are not judged."""
_PLACES = (0.0, 0.62, 0.24, 0.85)
"""Where in a stratum the pair lies, from its first possible place to its last."""


@dataclass(frozen=True, slots=True)
class Strata:
    """``count`` times four strata, from line 1 on. ``places`` are where in four strata their four groups of lines begin."""

    count: int
    lines: int
    places: tuple[int, ...]

    @classmethod
    def of(cls, height: int) -> Strata:
        """The strata of a picture of so many lines. A group is an even line and the odd one below it, with one beside each."""
        lines = max(4, (height - 6) // STRATA // 2 * 2)
        room = (lines - 4) // 2 + 1
        return cls((height - 2) // (4 * lines), 4 * lines, tuple(lines * r + 2 * int(p * room) for r, p in enumerate(_PLACES)))


@dataclass(frozen=True, slots=True, repr=False)
class FieldLines:
    """Sampled lines of one frame.

    ``twice`` holds each chosen line (first the even ones: the top field, then the odd ones) times two, ``beside`` the sums of
    the lines above and below them; both of shape ``(2, samples)``. ``scale`` divides a sum over one of their rows to a mean of
    8-bit codes.
    """

    twice: NDArray[Any]
    beside: NDArray[Any]
    geometry: tuple[object, ...]
    number: int
    scale: float

    def own(self) -> float:
        """How far lines are from those beside them in the same frame (idet's delta), mean in 8-bit codes."""
        return float(cv2.norm(self.beside, self.twice, cv2.NORM_L1)) / self.scale / 2

    def step(self, after: FieldLines) -> Step:
        """What changes to the next frame, which must be of the same geometry."""
        return Step(
            ahead_even=_apart(self.beside, after.twice, 0, self.scale),
            ahead_odd=_apart(self.beside, after.twice, 1, self.scale),
            behind_even=_apart(after.beside, self.twice, 0, self.scale),
            behind_odd=_apart(after.beside, self.twice, 1, self.scale),
            top=_apart(self.twice, after.twice, 0, self.scale) / 2,
            bottom=_apart(self.twice, after.twice, 1, self.scale) / 2,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """From a frame to the next, as means in 8-bit codes; NaN where there is none, or none of the same geometry.

    ``ahead``: the next frame's even (odd) lines against those beside them in this one; ``behind``: this frame's lines against
    those beside them in the next. ``top`` and ``bottom``: the mean absolute difference of each field.
    """

    ahead_even: float = float("nan")
    ahead_odd: float = float("nan")
    behind_even: float = float("nan")
    behind_odd: float = float("nan")
    top: float = float("nan")
    bottom: float = float("nan")


def _apart(a: NDArray[Any], b: NDArray[Any], row: int, scale: float) -> float:
    return float(cv2.norm(a[row], b[row], cv2.NORM_L1)) / scale


class LineReader:
    """Takes the lines of frames into buffers that are used again: what it gave last is kept, what it gave before that is not.

    Memory that is asked for anew for each frame costs several times what the comparisons do.
    """

    def __init__(self) -> None:
        self._fits: tuple[object, ...] = ()
        self._strata = Strata.of(LEAST_LINES)
        self._lines: NDArray[Any] = np.empty(0)
        self._slots: list[tuple[NDArray[Any], NDArray[Any]]] = []

    def read(self, frame: NativeFrame) -> FieldLines | None:
        """The lines of a frame's luma (green of an RGB picture); ``None`` if it has too few."""
        plane = frame.planes[1] if frame.model == "rgb" else frame.planes[0]
        height, width = plane.shape
        if height < LEAST_LINES:
            return None
        self._fit(frame.bit_depth, height, width)
        strata = self._strata
        fours = plane[1 : 1 + strata.count * strata.lines].reshape(strata.count, strata.lines, width)
        for r, place in enumerate(strata.places):
            np.copyto(self._lines[:, :, r], fours[:, place : place + 4].transpose(1, 0, 2))
        lines, (beside, twice) = self._lines.reshape(4, -1), self._slots[0]
        cv2.add(lines[:2], lines[2:], dst=beside)
        cv2.add(lines[1:3], lines[1:3], dst=twice)
        self._slots.reverse()
        return FieldLines(twice, beside, frame.geometry, frame.number, float(beside.shape[1] << (frame.bit_depth - 8)))

    def _fit(self, bit_depth: int, height: int, width: int) -> None:
        if (bit_depth, height, width) == self._fits:
            return
        wide = np.uint16 if bit_depth < 16 else np.int32  # twice a sample must fit
        self._fits, self._strata = (bit_depth, height, width), Strata.of(height)
        self._lines = np.empty((4, self._strata.count, 4, width), wide)
        size = 2, self._strata.count * 4 * width
        self._slots = [(np.empty(size, wide), np.empty(size, wide)) for _ in range(2)]
