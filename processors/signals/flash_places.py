"""Counts the opposing changes of every cell of the picture within a second, and those of the picture as a whole.

A cell changes when it leaves an extreme by enough: from then on only the opposite direction counts, from the new extreme. So a
change may take one frame or many, and what wavers by less is no change. A flash is a pair of opposing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.display_light import Plane
from processors.signals.flash_cells import WHOLE, counts

AREA = 0.25
"""Of the screen: more than this must change."""
RED_CHANGE = 64.0
"""In 1/255: the share of a cell that must become or cease to be saturated red. What changes counts by its size."""

Shares = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Places:
    """The cells of one kind of flash (luminance, or red), flattened.

    ``high`` and ``low`` are the extremes since each cell's last change, ``last`` the frame before's value, ``way`` the last
    change's direction (1, −1, or 0 before the first). ``changes`` are the frames of the last second with a change: for each
    the share of every cell that changed, in 1/255, and its pts in ``times``; ``changed`` counts them for each cell, ``shares``
    sums them, and ``in_place`` is what :meth:`most` makes of both. ``screen`` holds the pts at which more than a quarter of the
    screen changed one way, the last of them ``screen_way``.
    """

    high: Plane
    low: Plane
    last: Plane
    way: NDArray[np.int8]
    changes: Shares
    changed: NDArray[np.int32]
    shares: NDArray[np.int32]
    times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    screen: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    screen_way: int = 0
    in_place: int = 0

    @classmethod
    def begin(cls, value: Plane) -> Places:
        """The first frame's cells: nothing has changed yet."""
        none, way = np.zeros(value.size, np.int32), np.zeros(value.size, np.int8)
        return cls(value, value, value, way, np.zeros((0, value.size), np.uint8), none, none)

    def to_state(self, prefix: str) -> dict[str, Any]:
        """Entries of a fold's state; the inverse is :meth:`of_state`."""
        return {prefix + name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_state(cls, prefix: str, state: Mapping[str, Any]) -> Places:
        """The inverse of :meth:`to_state`."""
        return cls(**{name: state[prefix + name] for name in cls.__slots__})

    def see_luminance(self, now: int, nits: Plane, rise: Shares, fall: Shares, *, hdr: bool) -> None:
        """The next frame at ``now``: means in cd/m², and what of each cell rose or fell enough since the last frame.

        A sudden change covers the pixels that changed; one that took several frames is taken to cover its cells whole.
        """
        self._reach(nits)
        up = counts(nits - self.low, self.low, hdr=hdr) & (self.way <= 0)
        down = counts(self.high - nits, nits, hdr=hdr) & (self.way >= 0) & ~up
        if not (up.any() or down.any()):
            self.last = nits
            return
        risen = np.where(counts(nits - self.last, self.last, hdr=hdr), rise, WHOLE)
        fallen = np.where(counts(self.last - nits, nits, hdr=hdr), fall, WHOLE)
        self._change(now, nits, up, down, np.where(up, risen, fallen))

    def see_red(self, now: int, share: Plane) -> None:
        """The next frame at ``now``: the share of each cell that is saturated red, in 1/255."""
        self._reach(share)
        up = (share - self.low >= RED_CHANGE) & (self.way <= 0)
        down = (self.high - share >= RED_CHANGE) & (self.way >= 0) & ~up
        if not (up.any() or down.any()):
            self.last = share
            return
        self._change(now, share, up, down, np.where(up, share - self.low, self.high - share))

    def most(self, now: int, second: int) -> int:
        """The most opposing changes in the second up to ``now`` that more than a quarter of the screen has had.

        Either place by place, or of the picture as a whole (which counts flashes that alternate between places).
        """
        past = int(np.count_nonzero(now - self.times >= second))
        if past:
            self.changed = self.changed - (self.changes[:past] > 0).sum(axis=0, dtype=np.int32)
            self.shares = self.shares - self.changes[:past].sum(axis=0, dtype=np.int32)
            self.changes, self.times = self.changes[past:], self.times[past:]
        if past or (len(self.times) and self.times[-1] == now):
            self.in_place = self._most_in_place()
        self.screen = self.screen[now - self.screen < second]
        return max(self.in_place, len(self.screen))

    def _most_in_place(self) -> int:
        share = self.shares / np.maximum(self.changed, 1)
        at_least = np.bincount(self.changed, share)[::-1].cumsum()[::-1] / (WHOLE * share.size)
        reached = np.flatnonzero(at_least > AREA)
        return int(reached[-1]) if len(reached) else 0

    def _reach(self, value: Plane) -> None:
        self.high, self.low = np.maximum(self.high, value), np.minimum(self.low, value)

    def _change(self, now: int, value: Plane, up: Mask, down: Mask, amount: NDArray[Any]) -> None:
        """Note which cells rose or fell, and how much of each, in 1/255. What changed has no extreme but this value now."""
        changed = up | down
        share = (amount * changed).astype(np.uint8)
        rising, falling = (float(share[cells].sum()) / (WHOLE * share.size) for cells in (up, down))
        self._screen_change(now, rising, falling)
        self.changes, self.times = np.concatenate([self.changes, share[None]]), np.append(self.times, np.int64(now))
        self.changed, self.shares = self.changed + (share > 0), self.shares + share
        self.way = np.where(changed, np.where(up, 1, -1), self.way).astype(np.int8)
        self.high, self.low = np.where(changed, value, self.high), np.where(changed, value, self.low)
        self.last = value

    def _screen_change(self, now: int, rising: float, falling: float) -> None:
        way = 1 if rising >= falling else -1
        if max(rising, falling) > AREA and way != self.screen_way:
            self.screen, self.screen_way = np.append(self.screen, np.int64(now)), way
