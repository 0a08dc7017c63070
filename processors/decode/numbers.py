"""Frame numbers that a lost frame does not shift: where packets tell, a frame's number is its place among their timestamps."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

Lost = tuple[int, int]
"""Number and pts of a frame that did not come out of the decoder."""


@dataclass(frozen=True, slots=True)
class Place:
    """A frame's number, the frames lost before it, and how many packets after the last frame's its own is."""

    number: int
    lost: tuple[Lost, ...] = ()
    steps: int = 1


class FrameNumbers:
    """Numbers the frames of one job, in presentation order. Packets are announced as they are fed to the decoder.

    With ``counted`` each packet shown is one frame, and one without a frame keeps its number. Else frames are numbered as
    they come. ``start`` is the job's lower bound in raw ticks; without one numbers begin at the first frame that comes out:
    what lies before it no decoder can give.
    """

    def __init__(self, first: int, start: int | None, *, counted: bool) -> None:
        self.next = first
        self._start, self._counted = start, counted
        self._anchored = start is not None
        self._waiting: list[int] = []

    def announce(self, pts: int | None) -> None:
        """A packet with a picture that is shown is about to be decoded."""
        if pts is not None and (self._start is None or pts >= self._start):
            insort(self._waiting, pts)

    def place(self, pts: int) -> Place:
        """Number the frame that came out now."""
        at = bisect_left(self._waiting, pts)
        known = at < len(self._waiting) and self._waiting[at] == pts
        before = self._waiting[: at if known else max(0, at - 1)]  # one with another timestamp stands for the last packet
        del self._waiting[: at + known]
        lost = self._number(before) if self._anchored and self._counted else ()
        self._anchored = True
        number, self.next = self.next, self.next + 1
        return Place(number, lost, len(before) + 1)

    def rest(self, end: int | None) -> tuple[Lost, ...]:
        """There are no more frames: those before ``end`` that did not come out."""
        at = len(self._waiting) if end is None else bisect_left(self._waiting, end)
        left, self._waiting = self._waiting[:at], self._waiting[at:]
        return self._number(left) if self._counted else ()

    def _number(self, pts: list[int]) -> tuple[Lost, ...]:
        first, self.next = self.next, self.next + len(pts)
        return tuple(zip(range(first, self.next), pts, strict=True))
