"""Dropouts: sudden gaps among a stream's constant stretches, told from pauses and from rhythms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.sound_holds import BEGIN, Edge
from processors.signals.sound_limits import DefectLimits

Ints = NDArray[np.int64]

CHANNEL, START, FINISH, ZERO, SUDDEN, LOUD = range(6)
"""Columns of a table of stretches. ``SUDDEN`` and ``LOUD``: on how many sides the channel sounds right up to it, and loudly."""

NONE: Ints = np.zeros((0, 6), np.int64)


@dataclass(frozen=True, slots=True)
class Dropout:
    """Gaps that are one event: samples of the stream, half-open; ``lost`` of them are in gaps."""

    start: int
    end: int
    lost: int
    gaps: int
    channels: tuple[int, ...]
    zero: bool


def paired(open_: Ints, edges: Iterable[Edge]) -> tuple[Ints, Ints]:
    """Join the ends of stretches to whole ones: those still open and the table of those that have ended.

    ``open_`` is ``(channels, 4)``: the first sample (−1: none), zero, sudden, loud. An end without a beginning (that
    is lost) gives nothing.
    """
    now = open_.copy()
    rows: list[tuple[int, ...]] = []
    for edge in edges:
        if edge.kind == BEGIN:
            now[edge.channel] = edge.at, edge.zero, edge.sudden, edge.loud
        elif now[edge.channel, 0] >= 0:
            start, zero, sudden, loud = now[edge.channel]
            rows.append((edge.channel, start, edge.at, zero, sudden + edge.sudden, loud + edge.loud))
            now[edge.channel, 0] = -1
    return now, np.array(rows, np.int64).reshape(-1, 6)


@dataclass(frozen=True, slots=True)
class GapJudge:
    """Tells dropouts from what else stands still, in a stream of ``rate``."""

    rate: int
    limits: DefectLimits

    def gap(self, table: Ints) -> NDArray[np.bool_]:
        """Which stretches are sudden gaps by themselves."""
        short = (table[:, FINISH] - table[:, START]) < round(self.limits.gap_seconds * self.rate)
        gap: NDArray[np.bool_] = short & (table[:, SUDDEN] == 2)
        return gap

    def dropouts(self, table: Ints, due: NDArray[np.bool_]) -> Ints:
        """Those of the ``due`` gaps that are dropouts; each answer depends on the stretches within the context alone."""
        gaps = self.gap(table)
        looked_at = np.flatnonzero(due & gaps).tolist()
        kept = [k for k in looked_at if not (self._pause(table, gaps, k) or self._rhythm(table[gaps], table[k]))]
        return table[np.array(kept, np.int64)]

    def _pause(self, rows: Ints, gaps: NDArray[np.bool_], k: int) -> bool:
        """Whether a gap is as long as a pause, among other pauses."""
        length, reach = rows[:, FINISH] - rows[:, START], round(self.limits.context_seconds * self.rate)
        as_long = length >= round(self.limits.pause_seconds * self.rate)
        if not as_long[k] or not rows[k, ZERO]:
            return False
        around = (rows[:, FINISH] >= rows[k, START] - reach) & (rows[:, FINISH] <= rows[k, FINISH] + reach)
        others = as_long & around & (rows[:, ZERO] > 0) & (rows[:, CHANNEL] == rows[k, CHANNEL])
        others[k] = False
        pauses = others & (rows[:, SUDDEN] < 2) & ((rows[:, SUDDEN] == 1) | (rows[k, LOUD] < 2))
        return int(pauses.sum()) >= self.limits.pauses or int((others & gaps).sum()) >= self.limits.gaps

    def _rhythm(self, gaps: Ints, row: Ints) -> bool:
        """Whether gaps follow each other at the same distance."""
        reach = round(self.limits.context_seconds * self.rate)
        near = (gaps[:, FINISH] >= row[FINISH] - reach) & (gaps[:, FINISH] <= row[FINISH] + reach)
        starts = gaps[near & (gaps[:, CHANNEL] == row[CHANNEL]), START]
        steps = np.unique(np.abs(starts - row[START]))
        for step in steps[(steps > 0) & (steps <= self.limits.rhythm_seconds * self.rate)].tolist():
            slack = max(self.limits.hold_seconds * self.rate, self.limits.rhythm_share * step)
            if 1 + sum(_chain(starts, int(row[START]), way * step, slack) for way in (1, -1)) >= self.limits.rhythm_gaps:
                return True
        return False

    def joined(self, found: Ints) -> list[Dropout]:
        """Dropouts put together: over channels, and where they follow each other closely."""
        gap = round(self.limits.join_seconds * self.rate)
        rows = found[np.lexsort((found[:, CHANNEL], found[:, START]))]
        if not len(rows):
            return []
        reach = np.maximum.accumulate(rows[:, FINISH])
        apart = np.flatnonzero(rows[1:, START] > reach[:-1] + gap) + 1
        return [_dropout(part) for part in np.split(rows, apart)]


def _chain(starts: Ints, at: int, step: float, slack: float) -> int:
    """How many of ``starts`` follow ``at`` by one step each."""
    count = 0
    while True:
        beside = starts[np.abs(starts - (at + step)) <= slack]
        if not len(beside):
            return count
        at, count = int(beside[np.argmin(np.abs(beside - (at + step)))]), count + 1


def _dropout(rows: Ints) -> Dropout:
    spans = _union(rows[:, START : FINISH + 1].tolist())
    return Dropout(
        start=spans[0][0],
        end=spans[-1][1],
        lost=sum(end - start for start, end in spans),
        gaps=len(spans),
        channels=tuple(int(c) for c in np.unique(rows[:, CHANNEL])),
        zero=bool((rows[:, ZERO] > 0).all()),
    )


def _union(spans: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Spans in order of their starts, with those that touch put together."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def follow(judge: GapJudge, kept: dict[str, Any], ended: Ints, now: int | None) -> tuple[dict[str, Any], list[Dropout]]:
    """Take in stretches that have ended by sample ``now`` (None: there will be no more) and give the dropouts now certain.

    ``kept`` has the tables ``recent`` (stretches that those not yet judged may need) and ``waiting`` (dropouts that may still
    be joined), and ``judged``, up to where stretches have been judged by their ends.
    """
    context, longest = (round(s * judge.rate) for s in (judge.limits.context_seconds, judge.limits.gap_seconds))
    table = np.concatenate([kept["recent"], ended])
    horizon = np.iinfo(np.int64).max if now is None else now - context
    due = (table[:, FINISH] > kept["judged"]) & (table[:, FINISH] <= horizon)
    waiting = np.concatenate([kept["waiting"], judge.dropouts(table, due)])
    settled = horizon if now is None else horizon - longest - round(judge.limits.join_seconds * judge.rate)
    events = [(d, d.end < settled) for d in judge.joined(waiting)]
    last = max((d.end for d, sure in events if sure), default=-1)
    recent = table[table[:, FINISH] > horizon - context - longest] if now is not None else NONE
    new = {"recent": recent, "waiting": waiting[waiting[:, START] >= last], "judged": max(kept["judged"], horizon)}
    return new, [d for d, sure in events if sure]
