"""Letterbox, pillarbox and windowbox: stretches of the stream whose active areas together leave bars on opposite sides.

A stretch is as long as the union of its frames' active areas leaves a bar (:func:`~processors.signals.area.smallest_bar`)
on both sides of an axis. Frames without any active area, and black ones, are taken along: they say nothing. A stretch runs
from its first to its last frame with sharp-edged bars on opposite sides, and at the head and the tail of the stream over
dark frames too. It is a finding if it lasts 2 s and at least half of its frames have such edges.

Where the aspect ratio changes and bars remain (2.39:1 between shots of 1.85:1), a stretch ends and the next one begins: its
bars on an axis are others than those of the stretch's first frame with edges, by a bar's least width on both sides, and as
wide on both sides; and what follows would be a finding by itself. Other bars that last less are part of the stretch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from processors.findings import Phase
from processors.signals.area import BOTTOM, LEFT, RIGHT, TOP, smallest_bar

EDGED_SHARE = 0.5

CENTRED = 2
"""Bars on both sides of an axis differ by at most so many times the least width of a bar where the aspect ratio has changed."""

Box = tuple[int, int, int, int]
"""Active rows ``[top, bottom)`` and columns ``[left, right)``."""

_EMPTY = (1 << 30, -1, 1 << 30, -1)


def edged(bars: int) -> bool:
    """Whether bars end in sharp edges on opposite sides."""
    return any(bars & sides == sides for sides in (TOP | BOTTOM, LEFT | RIGHT))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch that is still open: up to ``end`` and ``end_row`` bars are certain; ``reach`` is how far nothing speaks
    against them. ``frames`` and ``edges`` count the frames that say something, and those with edges, up to ``end``;
    ``since`` those that say something after it. ``key`` is the area of the first frame with edges.
    """

    start: int
    row: int
    box: Box = _EMPTY
    reach: int = 0
    reach_row: int = 0
    end: int = 0
    end_row: int = 0
    certain: Box = _EMPTY
    frames: int = 0
    edges: int = 0
    since: int = 0
    key: Box | None = None
    told: bool = False

    @classmethod
    def begin(cls, row: BarsRow) -> Stretch:
        """Before its first row."""
        return cls(row.start, row.number)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Stretch:
        """The inverse of ``dataclasses.asdict``."""
        key = body["key"]
        boxes = {"box": tuple(body["box"]), "certain": tuple(body["certain"]), "key": None if key is None else tuple(key)}
        return cls(**{**body, **boxes})

    def extended(self, row: BarsRow) -> Stretch:
        """With the next row."""
        grown = replace(
            self, box=_union(self.box, row.bounds) if row.speaks else self.box, reach=row.end, reach_row=row.number + 1
        )
        if not row.is_key:
            return replace(grown, since=self.since + row.speaks)
        return replace(
            grown,
            end=row.end,
            end_row=row.number + 1,
            certain=grown.box,
            frames=self.frames + self.since + 1,
            edges=self.edges + 1,
            since=0,
            key=self.key or row.bounds,
        )

    def joined(self, later: Stretch) -> Stretch:
        """With what followed, as if it had never been apart."""
        box = _union(self.box, later.box)
        grown = replace(self, box=box, reach=later.reach, reach_row=later.reach_row)
        if not later.edges:
            return replace(grown, since=self.since + later.since)
        return replace(
            grown,
            end=later.end,
            end_row=later.end_row,
            certain=_union(self.box, later.certain),
            frames=self.frames + self.since + later.frames,
            edges=self.edges + later.edges,
            since=later.since,
        )

    def to_the_end(self) -> Stretch:
        """With the dark frames behind it, where nothing but they is left of the stream."""
        frames = self.frames + self.since
        return replace(self, end=self.reach, end_row=self.reach_row, certain=self.box, frames=frames) if self.edges else self


@dataclass(frozen=True, slots=True)
class Bars:
    """What is open: a stretch; all since its bars have changed, if they have; and what of that has its bars as they are now."""

    now: Stretch | None = None
    turn: Stretch | None = None
    after: Stretch | None = None

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Bars:
        """The inverse of ``dataclasses.asdict``."""
        return cls(**{name: part and Stretch.from_json(part) for name, part in body.items()})


BarsHeard = list[tuple[Phase, Stretch]]


@dataclass(frozen=True, slots=True)
class BarsRow:
    """One row: times in raw ticks, its active area, whether that says anything, and the sides with sharp-edged bars."""

    number: int
    start: int
    end: int
    bounds: Box
    speaks: bool
    bars: int

    @property
    def is_key(self) -> bool:
        """Whether it has bars with sharp edges on opposite sides."""
        return self.speaks and edged(self.bars)


@dataclass(frozen=True, slots=True)
class BarsRule:
    """Finds stretches of at least ``ticks`` in pictures of one size."""

    ticks: int
    width: int
    height: int

    def sides(self, box: Box) -> tuple[bool, bool]:
        """Whether an area leaves bars above and below, and whether left and right. An empty one does."""
        tall, wide = smallest_bar(self.height), smallest_bar(self.width)
        above_and_below = box[0] >= tall and self.height - box[1] >= tall
        return above_and_below, box[2] >= wide and self.width - box[3] >= wide

    def differs(self, key: Box, row: BarsRow) -> bool:
        """Whether a key row has other bars on an axis, centred, than an area leaves."""
        axes = ((0, self.height, TOP | BOTTOM), (2, self.width, LEFT | RIGHT))
        return any(self._axis_differs(key[at : at + 2], row.bounds[at : at + 2], n, row.bars & s == s) for at, n, s in axes)

    def _axis_differs(self, key: tuple[int, ...], seen: tuple[int, ...], length: int, sharp: bool) -> bool:
        least, (low, high) = smallest_bar(length), (seen[0], length - seen[1])
        if not sharp and max(low, high) >= least:
            return False
        changed = min(abs(seen[0] - key[0]), abs(seen[1] - key[1])) > least
        return changed and abs(low - high) <= CENTRED * least

    def step(self, open_: Bars, rows: Iterable[BarsRow], first: int) -> tuple[Bars, BarsHeard]:
        """What is open after these rows, of which ``first`` is the first one's number, and what is to be said."""
        heard: BarsHeard = []
        for row in rows:
            seen = self._see(open_, row, heard)
            if seen.now is None and open_.now is not None:
                seen = self._see(seen, row, heard)  # what has broken a stretch may begin one
            open_ = seen
        return self._tell(open_, first, heard)

    def close(self, open_: Bars, *, stream_ends: bool = False) -> BarsHeard:
        """What is to be said where everything ends. At the stream's end dark frames are taken along."""
        now = open_.now
        if now is None:
            return []
        if open_.turn is not None:
            if _union(now.certain, open_.turn.box) != now.certain:
                return self._end(now)
            now = now.joined(open_.turn)
        return self._end(now.to_the_end() if stream_ends else now)

    def _see(self, open_: Bars, row: BarsRow, heard: BarsHeard) -> Bars:
        """What is open with one more row: nothing where it leaves no bars."""
        now, turn, after = open_.now, open_.turn, open_.after
        if now is None:
            if row.number and not row.is_key:
                return Bars()
            now = Stretch.begin(row)
        if row.is_key and now.key is not None:
            if not self.differs(now.key, row):
                now, turn, after = (now if turn is None else now.joined(turn)), None, None
            elif turn is None or (after is not None and after.key is not None and self.differs(after.key, row)):
                turn, after = turn or Stretch.begin(row), Stretch.begin(row)
        if turn is None or after is None:
            grown = now.extended(row)
            if any(self.sides(grown.box)):
                return Bars(grown)
            heard += self._end(now)
            return Bars()
        turn, after = turn.extended(row), after.extended(row)
        if not any(self.sides(after.box)):
            heard += self.close(replace(open_, now=now))
            return Bars()
        if self._enough(after):
            heard += self._end(now)
            return Bars(after)
        return Bars(now, turn, after)

    def _end(self, stretch: Stretch) -> BarsHeard:
        if not self._enough(stretch):
            return [(Phase.WITHDRAWN, stretch)] if stretch.told else []
        return [(Phase.END, stretch)] if stretch.told else [(Phase.NEW, stretch), (Phase.END, stretch)]

    def _tell(self, open_: Bars, first: int, heard: BarsHeard) -> tuple[Bars, BarsHeard]:
        now = open_.now
        if now is None or not self._enough(now) or now.end_row <= first:
            return open_, heard
        phase = Phase.UPDATE if now.told else Phase.NEW
        return replace(open_, now=replace(now, told=True)), [*heard, (phase, now)]

    def _enough(self, stretch: Stretch) -> bool:
        long_enough = stretch.end - stretch.start >= self.ticks
        return bool(stretch.edges) and long_enough and stretch.edges >= EDGED_SHARE * stretch.frames


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), max(one[3], other[3])
