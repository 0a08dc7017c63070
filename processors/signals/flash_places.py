"""Counts the opposing changes of a picture within a second: in every cell, and of the picture as a whole.

A cell changes when it leaves an extreme by enough: from then on only the opposite direction counts, from the new extreme. So a
change may take one frame or many, and what wavers by less is no change. A flash is a pair of opposing changes. What moves
changes cells too, but here and there, now up and now down: only changes that occur together over the area make a flash.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.display_light import Plane
from processors.signals.flash_cells import LEAST, WHOLE, counts
from processors.signals.intervals import least_ticks
from schemas.clock import Clock

AREA = 0.25
"""Of the screen: more than this must change together."""
TOGETHER_SECONDS = 0.1
"""The picture as a whole changes one way if within this time so much more of it does than changes the other way."""
PARTLY = 0.9 * LEAST / WHOLE
"""By so much the mean of a cell must change for each 1/255 of it that does, to be the edge of a flash. What moves through a
cell brightens one part of it and darkens another."""
RED_CHANGE = 64.0
"""In 1/255: the share of a cell that must become or cease to be saturated red. What changes counts by its size."""

Shares = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Windows:
    """Lengths of time in a stream's ticks: the least number that lasts as long."""

    second: int
    together: int

    @classmethod
    def of(cls, clock: Clock) -> Windows:
        """The windows on a clock."""
        return cls(least_ticks(clock, 1.0), least_ticks(clock, TOGETHER_SECONDS))


@dataclass(slots=True)
class Picture:
    """The picture as a whole: ``latest`` are (pts, share that rose less share that fell) of frames that made no change of it
    yet, ``times`` the pts of its opposing changes in the last second, ``way`` is the last one's direction.
    """

    latest: list[tuple[int, float]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    way: int = 0

    def see(self, now: int, rising: float, windows: Windows) -> None:
        """The next frame with changes; less than 0 is falling. What has made a change of the picture makes no other one."""
        self.latest = [*(c for c in self.latest if now - c[0] < windows.together), (now, rising)]
        net = math.fsum(c[1] for c in self.latest)
        if abs(net) > AREA:
            way, self.latest = 1 if net > 0 else -1, []
            if way != self.way:
                self.way, self.times = way, [*self.times, now]

    def most(self, now: int, windows: Windows) -> int:
        """The changes in the second up to ``now``."""
        self.times = [t for t in self.times if now - t < windows.second]
        return len(self.times)


@dataclass(slots=True)
class Places:
    """The cells of one kind of flash (luminance, or red), flattened.

    ``high`` and ``low`` are the extremes since each cell's last change, ``last`` the frame before's value, ``way`` the last
    change's direction (1, -1, or 0 before the first). ``changes`` are the frames of the last second in which more than a
    quarter of the screen changed one way: for each the share of every cell that did, in 1/255, and its pts in ``times``.
    ``changed`` counts them for each cell, ``shares`` sums them, and ``in_place`` is what :meth:`most` makes of both.
    """

    high: Plane
    low: Plane
    last: Plane
    way: NDArray[np.int8]
    changes: Shares
    changed: NDArray[np.int32]
    shares: NDArray[np.int32]
    times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    picture: Picture = field(default_factory=Picture)
    in_place: int = 0

    @classmethod
    def begin(cls, value: Plane) -> Places:
        """The first frame's cells: nothing has changed yet."""
        none, way = np.zeros(value.size, np.int32), np.zeros(value.size, np.int8)
        return cls(value, value, value, way, np.zeros((0, value.size), np.uint8), none, none)

    def to_state(self, prefix: str) -> dict[str, Any]:
        """Entries of a fold's state; the inverse is :meth:`of_state`."""
        return {prefix + name: getattr(self, name) for name in self.__slots__} | {f"{prefix}picture": asdict(self.picture)}

    @classmethod
    def of_state(cls, prefix: str, state: Mapping[str, Any]) -> Places:
        """The inverse of :meth:`to_state`."""
        body = {name: state[prefix + name] for name in cls.__slots__}
        return cls(**{**body, "picture": Picture(**body["picture"])})

    def see_luminance(self, now: int, nits: Plane, rise: Shares, fall: Shares, windows: Windows, *, hdr: bool) -> None:
        """The next frame at ``now``: means in cd/m², and what of each cell rose or fell enough since the last frame.

        A sudden change covers the pixels that changed; one that took several frames is taken to cover its cells whole.
        """
        self._reach(nits)
        up = counts(nits - self.low, self.low, hdr=hdr) & (self.way <= 0)
        down = counts(self.high - nits, nits, hdr=hdr) & (self.way >= 0) & ~up
        step, still = nits - self.last, ~(up | down)
        part = _partly(step, rise, still) - _partly(-step, fall, still)
        if part or not still.all():
            risen = np.where(counts(step, self.last, hdr=hdr), rise, WHOLE)
            fallen = np.where(counts(-step, nits, hdr=hdr), fall, WHOLE)
            self._change(now, nits, up, down, np.where(up, risen, fallen), windows, part)
        self.last = nits

    def see_red(self, now: int, share: Plane, windows: Windows) -> None:
        """The next frame at ``now``: the share of each cell that is saturated red, in 1/255."""
        self._reach(share)
        up = (share - self.low >= RED_CHANGE) & (self.way <= 0)
        down = (self.high - share >= RED_CHANGE) & (self.way >= 0) & ~up
        if up.any() or down.any():
            self._change(now, share, up, down, np.where(up, share - self.low, self.high - share), windows)
        self.last = share

    def most(self, now: int, windows: Windows) -> int:
        """The most opposing changes in the second up to ``now`` that more than a quarter of the screen has had.

        Either place by place, or of the picture as a whole (which counts flashes that alternate between places).
        """
        past = int(np.count_nonzero(now - self.times >= windows.second))
        if past:
            self.changed = self.changed - (self.changes[:past] > 0).sum(axis=0, dtype=np.int32)
            self.shares = self.shares - self.changes[:past].sum(axis=0, dtype=np.int32)
            self.changes, self.times = self.changes[past:], self.times[past:]
        if past or (len(self.times) and self.times[-1] == now):
            self.in_place = self._most_in_place()
        return max(self.in_place, self.picture.most(now, windows))

    def _most_in_place(self) -> int:
        share = self.shares / np.maximum(self.changed, 1)
        at_least = np.bincount(self.changed, share)[::-1].cumsum()[::-1] / (WHOLE * share.size)
        reached = np.flatnonzero(at_least > AREA)
        return int(reached[-1]) if len(reached) else 0

    def _reach(self, value: Plane) -> None:
        self.high, self.low = np.maximum(self.high, value), np.minimum(self.low, value)

    def _change(
        self, now: int, value: Plane, up: Mask, down: Mask, amount: NDArray[Any], windows: Windows, part: float = 0.0
    ) -> None:
        """Note which cells rose or fell, and how much of each, in 1/255. What changed has no extreme but this value now.

        ``part`` is the share of the screen by which more rose than fell in cells that did not change.
        """
        share = amount.astype(np.uint8)
        rising, falling = (float(share[cells].sum()) / (WHOLE * share.size) for cells in (up, down))
        self.picture.see(now, rising - falling + part, windows)
        if max(rising, falling) > AREA:
            share = share * ((up & (rising > AREA)) | (down & (falling > AREA)))
            self.changes, self.times = np.concatenate([self.changes, share[None]]), np.append(self.times, np.int64(now))
            self.changed, self.shares = self.changed + (share > 0), self.shares + share
        changed = up | down
        self.way = np.where(changed, np.where(up, 1, -1), self.way).astype(np.int8)
        self.high, self.low = np.where(changed, value, self.high), np.where(changed, value, self.low)


def _partly(change: Plane, share: Shares, cells: Mask) -> float:
    """The share of the screen that changed enough in those of the cells that a flash covers in part."""
    if not share.any():
        return 0.0
    return float(share[cells & (change >= PARTLY * share)].sum()) / (WHOLE * share.size)
