"""The presentation times of pictures: where the container leaves some out, where they jump, and where they run backwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import av

from processors.decode.faults import MAX_ENTRIES
from processors.decode.numbers import Place
from schemas.clock import Clock
from schemas.manifest import TimestampGap

GAP_SHARE = Fraction(1, 2)
"""Of a frame: pictures of a steady stream may be so much off their place, since timestamps are rounded and jitter."""
VARYING_SECONDS, VARYING_FRAMES = 1, 10
"""Where the rate varies, a pause is a gap when it is longer than a second and ten frames."""
OUT_OF_PLACE_SECONDS = 1
"""A step back by less is one picture out of place; by more, the clock was set anew (a splice, a counter that wrapped)."""
RESET_SECONDS = 10
"""Where a container's clock may be set anew (MPEG streams), a pause by more is no pause: FFmpeg's own threshold."""


@dataclass(frozen=True, slots=True)
class Course:
    """What distance of consecutive pictures is regular. ``frame`` (a nominal frame) and ``second`` are in ticks.

    ``steady``: each picture lies one frame after the last, give or take half a frame and at least a tick of rounding.
    Otherwise any distance is regular that is more than none and at most a second and ten frames.
    """

    frame: Fraction
    second: Fraction
    steady: bool

    @classmethod
    def of(cls, clock: Clock) -> Course:
        """The course of a stream with this clock; of an unknown rate as of a varying one."""
        second = 1 / Fraction(*clock.tick)
        frame = second / Fraction(*clock.frame_rate) if clock.frame_rate else Fraction(0)
        return cls(frame, second, steady=clock.vfr is False and frame > 0)

    @property
    def ticks(self) -> int:
        """A nominal frame, at least one tick."""
        return max(1, round(self.frame))

    def regular(self, frames: int) -> tuple[int, int]:
        """The least and the greatest regular distance, in ticks, of a picture that comes ``frames`` frames after another."""
        if self.steady:
            rounding = Fraction(0 if self.frame.denominator == 1 else 1)
            most = max(GAP_SHARE * self.frame, rounding)
            return math.ceil(frames * self.frame - most), math.floor(frames * self.frame + most)
        return 1, math.floor(VARYING_SECONDS * self.second + max(VARYING_FRAMES, frames) * self.frame)

    def jump(self, distance: int, frames: int) -> int | None:
        """By how many ticks a picture is off its place that comes ``frames`` frames after another; ``None`` if it is not."""
        low, high = self.regular(frames)
        return None if low <= distance <= high else round(distance - frames * self.frame)


class PictureClock:
    """Times of one job's pictures in presentation order: strictly increasing, whatever the container says.

    A missing timestamp is the decoder's dts, else one frame after the last. One that is not after the last is noted in
    ``gaps`` and moved: a picture out of place to one tick after the last, and where the clock was set anew, what follows is
    shifted so that it goes on without a break. ``resets`` says that the clock may be set forward, too.
    """

    def __init__(self, clock: Clock, *, resets: bool) -> None:
        self.course = Course.of(clock)
        self._regular = self.course.regular(1)
        self._resets = resets
        self.gaps: list[TimestampGap] = []
        self.gap_count = 0
        self._shift = 0
        self._raw: int | None = None
        self._placed: int | None = None
        self._length = 0

    @property
    def expected(self) -> int:
        """Where the next picture should lie, in raw ticks as the container would give them."""
        return 0 if self._raw is None else self._raw + self._length

    def about(self, raw: int | None) -> int:
        """Where a timestamp (none: the next picture's) lies in the time that pictures are given."""
        return self._shift + (self.expected if raw is None else raw)

    def raw(self, picture: av.VideoFrame) -> int:
        """The picture's timestamp in raw ticks."""
        if picture.pts is not None:
            return picture.pts
        dts = picture.dts
        return dts if dts is not None and (self._raw is None or dts > self._raw) else self.expected

    def is_late(self, raw: int) -> bool:
        """Whether a timestamp is not after the last picture's."""
        return self._raw is not None and raw <= self._raw

    def place(self, raw: int, length: int | None, place: Place, *, noted: bool) -> tuple[int, int]:
        """The time and duration of the next picture; with ``noted`` a jump from the last one to it goes to ``gaps``."""
        length = length or self.course.ticks
        at, moved = self._monotonic(raw + self._shift)
        if self._raw is not None and self._placed is not None and noted:
            found = self._jump(raw - self._raw, place)
            if found is not None:
                frames, jump = found
                due = self._placed + max(1, round(frames * self.course.frame))
                start, end = (due, at) if at > due else (at, at + 1)
                self._note(TimestampGap(first=place.number, jump=jump, pts=raw, start=start, end=end))
            elif moved and self.gaps:  # not yet past the time where the clock waits
                self.gaps[-1] = self.gaps[-1].model_copy(update={"end": at + 1})
        self._raw, self._placed, self._length = raw, at, length
        return at, length

    def _jump(self, distance: int, place: Place) -> tuple[int, int] | None:
        """How many frames a picture comes after the last, and by how many ticks it is off its place; ``None`` if it is not.

        Packets in between are lost frames, or fields of this one: if either makes the distance regular it is no jump.
        """
        if self._regular[0] <= distance <= self._regular[1]:
            return None
        found = [(frames, self.course.jump(distance, frames)) for frames in {place.steps, 1}]
        off = [(frames, jump) for frames, jump in found if jump is not None]
        return min(off, key=lambda f: (abs(f[1]), f[0])) if len(off) == len(found) else None

    def _monotonic(self, at: int) -> tuple[int, bool]:
        if self._placed is None:
            return at, False
        step = at - self._placed
        if step > 0 and not (self._resets and step > RESET_SECONDS * self.course.second):
            return at, False
        if 0 <= -step < OUT_OF_PLACE_SECONDS * self.course.second:
            return self._placed + 1, True
        due = self._placed + self._length
        self._shift += due - at
        return due, True

    def _note(self, gap: TimestampGap) -> None:
        self.gap_count += 1
        if len(self.gaps) < MAX_ENTRIES:
            self.gaps.append(gap)
