"""Letterbox, pillarbox and windowbox: stretches of the stream whose active areas together leave bars on opposite sides.

A stretch is as long as the union of its frames' active areas leaves a bar (:func:`~processors.signals.area.smallest_bar`)
on both sides of an axis. Frames without any active area, and black ones, are taken along: they say nothing. A stretch runs
from its first to its last frame with sharp-edged bars on opposite sides, and at the head and the tail of the stream over
dark frames too. It is a finding if it lasts 2 s and at least half of its frames have such edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import Phase
from processors.signals.area import BOTTOM, LEFT, RIGHT, TOP, smallest_bar
from processors.signals.intervals import BoolRows, Rows

EDGED_SHARE = 0.5

Box = tuple[int, int, int, int]
"""Active rows ``[top, bottom)`` and columns ``[left, right)``."""

_EMPTY = (1 << 30, -1, 1 << 30, -1)


def edged(bars: NDArray[np.uint8]) -> BoolRows:
    """Whether bars end in sharp edges on opposite sides."""
    vertical, horizontal = TOP | BOTTOM, LEFT | RIGHT
    return np.asarray(((bars & vertical) == vertical) | ((bars & horizontal) == horizontal))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch that is still open: up to ``end`` and ``end_row`` bars are certain; ``reach`` is how far nothing speaks
    against them. ``frames`` and ``edges`` count the frames that say something, and those with edges, up to ``end``;
    ``since`` those that say something after it.
    """

    start: int
    row: int
    box: Box
    reach: int
    reach_row: int
    end: int = 0
    end_row: int = 0
    certain: Box = _EMPTY
    frames: int = 0
    edges: int = 0
    since: int = 0
    told: bool = False

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Stretch:
        """The inverse of ``dataclasses.asdict``."""
        return cls(**{**body, "box": tuple(body["box"]), "certain": tuple(body["certain"])})

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


BarsHeard = list[tuple[Phase, Stretch]]


@dataclass(frozen=True, slots=True)
class BarsRows:
    """What is known of some rows: bounds of shape (rows, 4), whether they say anything, and whether bars have edges."""

    rows: Rows
    bounds: NDArray[np.int32]
    speaks: BoolRows
    edged: BoolRows


@dataclass(frozen=True, slots=True)
class BarsRule:
    """Finds stretches of at least ``ticks`` in pictures of one size."""

    ticks: int
    width: int
    height: int

    def leaves_bars(self, boxes: NDArray[np.int64]) -> BoolRows:
        """Whether areas of shape (n, 4) leave a bar on both sides of an axis. An empty one does."""
        above_and_below, beside = self.sides(boxes)
        return np.asarray(above_and_below | beside)

    def sides(self, boxes: NDArray[np.int64]) -> tuple[BoolRows, BoolRows]:
        """Whether areas of shape (n, 4) leave bars above and below, and whether left and right."""
        tall, wide = smallest_bar(self.height), smallest_bar(self.width)
        above_and_below = (boxes[:, 0] >= tall) & (self.height - boxes[:, 1] >= tall)
        beside = (boxes[:, 2] >= wide) & (self.width - boxes[:, 3] >= wide)
        return above_and_below, beside

    def step(self, open_: Stretch | None, seen: BarsRows) -> tuple[Stretch | None, BarsHeard]:
        """The stretch that is open after these rows, and what is to be said. Begins at the stream's first row."""
        rows, heard, at = seen.rows, BarsHeard(), 0
        boxes = np.where(seen.speaks[:, None], seen.bounds, np.array(_EMPTY, np.int32)).astype(np.int64)
        if open_ is None and rows.first == 0:
            open_ = _begin(rows, 0)
        while at < len(rows):
            if open_ is None:
                candidates = np.flatnonzero(seen.edged[at:] & seen.speaks[at:])
                if not len(candidates):
                    break
                at += int(candidates[0])
                open_ = _begin(rows, at)
            union = _unions(boxes[at:], open_.box)
            fits = self.leaves_bars(union)
            count = len(fits) if fits.all() else int(np.argmin(fits))
            open_ = _extend(open_, seen, at, at + count, union)
            at += count
            if at < len(rows):
                heard += self.close(open_)
                open_ = None
        return self._tell(open_, rows, heard)

    def close(self, open_: Stretch | None, *, stream_ends: bool = False) -> BarsHeard:
        """What is to be said where a stretch ends. At the stream's end dark frames are taken along."""
        if open_ is None:
            return []
        if stream_ends and open_.edges:
            frames = open_.frames + open_.since
            open_ = replace(open_, end=open_.reach, end_row=open_.reach_row, certain=open_.box, frames=frames)
        if not self._enough(open_):
            return [(Phase.WITHDRAWN, open_)] if open_.told else []
        return [(Phase.END, open_)] if open_.told else [(Phase.NEW, open_), (Phase.END, open_)]

    def _tell(self, open_: Stretch | None, rows: Rows, heard: BarsHeard) -> tuple[Stretch | None, BarsHeard]:
        if open_ is None or not self._enough(open_) or open_.end_row <= rows.first:
            return open_, heard
        phase = Phase.UPDATE if open_.told else Phase.NEW
        return replace(open_, told=True), [*heard, (phase, open_)]

    def _enough(self, open_: Stretch) -> bool:
        return bool(open_.edges) and open_.end - open_.start >= self.ticks and open_.edges >= EDGED_SHARE * open_.frames


def _begin(rows: Rows, at: int) -> Stretch:
    start, row = int(rows.start[at]), rows.first + at
    return Stretch(start, row, _EMPTY, start, row)


def _unions(boxes: NDArray[np.int64], box: Box) -> NDArray[np.int64]:
    """The union of ``box`` and the boxes up to each row."""
    running = np.vstack([np.array([box], np.int64), boxes])
    running[:, [0, 2]] = np.minimum.accumulate(running[:, [0, 2]], axis=0)
    running[:, [1, 3]] = np.maximum.accumulate(running[:, [1, 3]], axis=0)
    return running[1:]


def _extend(open_: Stretch, seen: BarsRows, low: int, high: int, union: NDArray[np.int64]) -> Stretch:
    """Take rows ``[low, high)`` in; ``union`` holds the running unions from ``low`` on."""
    if high == low:
        return open_
    rows, speaks = seen.rows, seen.speaks[low:high]
    edges = np.flatnonzero(seen.edged[low:high] & speaks)
    top, bottom, left, right = union[high - low - 1].tolist()
    open_ = replace(open_, box=(top, bottom, left, right), reach=int(rows.end[high - 1]), reach_row=rows.first + high)
    if not len(edges):
        return replace(open_, since=open_.since + int(speaks.sum()))
    last = int(edges[-1]) + 1
    top, bottom, left, right = union[last - 1].tolist()
    return replace(
        open_,
        end=int(rows.end[low + last - 1]),
        end_row=rows.first + low + last,
        certain=(top, bottom, left, right),
        frames=open_.frames + open_.since + int(speaks[:last].sum()),
        edges=open_.edges + len(edges),
        since=int(speaks[last:].sum()),
    )
