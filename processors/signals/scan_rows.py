"""What each frame shows by itself: how it was scanned, by idet's comparisons, and what it repeats of the frame before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

INTERLACED, PROGRESSIVE = 1.1, 1.5
"""idet's thresholds, but for the first, which is 1.04 there: sampled lines of a progressive picture differ by some per cent."""
LIKELY, REPEATED = 1.4, 3.0
"""A field is the one before again if the other field changes by so many times more: within a cadence, which has many in their
places and of which a poor encoding leaves less, and by itself, as idet says.
"""
FAR, CLEAR = 2.0, 1.2
"""Lines that fit those of the nearer frame so many times worse than those of their own are no other moment's: what looks like
fields there is a pattern that keeps step with them, unless one alpha is so many times the other.
"""
LEAST_ALPHA = 0.1
"""Of a picture whose lines fit those beside them so well, in 8-bit codes, nothing can be said."""
LEAST_MOTION = 0.3
"""Where frames change by less, in 8-bit codes, nothing can be said of repeats."""
ALIKE, SAME = 0.4, 0.2
"""A frame is the one before again if it differs by at most these shares of what frames around it do: within a cadence, and
by itself.
"""
CUT = 5.0
"""A frame is a cut if it differs by more than so many times what its neighbours do."""
REACH = 6
"""How many frames on either side say how much the picture moves: cadences have at least two new ones among them."""

NOTHING, FRAMES, TOP_FIRST, BOTTOM_FIRST = 0, 1, 2, 3
"""Scans: not to be told, progressive, top field first, bottom field first."""
STILL, NEW, TOP, BOTTOM, BOTH, JUMP = 0, 1, 2, 3, 4, 5
"""What is repeated of the frame before: not to be told, nothing, its top field, its bottom field, the whole frame; a cut."""

Floats = NDArray[np.float64]
_UNKNOWN = -1.0
_COLUMNS = ("start", "end", "scan", "near", "own", "interlaced", "top", "bottom")
Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """One frame: ``start`` and ``end`` in raw ticks; ``scan`` and ``repeat`` as named above; ``own`` idet's delta and ``near``
    its lesser alpha, in 8-bit codes; ``interlaced`` the picture's own word; ``strong`` whether what it
    repeats shows in this frame by itself.
    """

    row: int
    start: int
    end: int
    scan: int
    repeat: int
    near: float
    own: float
    interlaced: bool
    strong: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows around the next one to be told of: ``done`` of them are told and ``columns`` begin with row ``first``.

    ``behind`` are the last row's comparisons with the next (even and odd lines), ``into`` its fields' differences to it; -1
    where they are not known.
    """

    first: int = 0
    done: int = 0
    columns: Mapping[str, list[Any]] | None = None
    behind: tuple[float, float] = (_UNKNOWN, _UNKNOWN)
    into: tuple[float, float] = (_UNKNOWN, _UNKNOWN)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the inverse is :meth:`from_json`."""
        columns = None if self.columns is None else dict(self.columns)
        return {
            "first": self.first,
            "done": self.done,
            "columns": columns,
            "behind": list(self.behind),
            "into": list(self.into),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Waiting:
        """The inverse of :meth:`to_json`."""
        behind, into = body["behind"], body["into"]
        return cls(body["first"], body["done"], body["columns"], (behind[0], behind[1]), (into[0], into[1]))

    @property
    def next_row(self) -> int:
        """The row that must come next."""
        return self.first + (0 if self.columns is None else len(self.columns["start"]))


def step(state: Waiting, first_row: int, signals: Mapping[str, NDArray[Any]]) -> tuple[Waiting, list[Row]]:
    """Take the next rows in; the rows that can be told of. ``first_row`` must be ``state.next_row``, or ``state`` new."""
    fresh = _columns(state, signals)
    columns = fresh if state.columns is None else {name: [*state.columns[name], *fresh[name]] for name in _COLUMNS}
    first = first_row if state.columns is None else state.first
    size = len(columns["start"])
    ready = max(state.done, size - REACH)
    rows = _rows(columns, first, state.done, ready)
    drop = max(0, ready - REACH)
    known = {name: np.where(np.isnan(signals[name][-1]), _UNKNOWN, signals[name][-1]).item() for name in _LAST}
    kept = Waiting(
        first + drop,
        ready - drop,
        {name: values[drop:] for name, values in columns.items()},
        (known["behind_even"], known["behind_odd"]),
        (known["top"], known["bottom"]),
    )
    return kept, rows


_LAST = ("behind_even", "behind_odd", "top", "bottom")


def close(state: Waiting) -> list[Row]:
    """The rows that are left when nothing follows."""
    return [] if state.columns is None else _rows(state.columns, state.first, state.done, len(state.columns["start"]))


def _columns(state: Waiting, signals: Mapping[str, NDArray[Any]]) -> Columns:
    behind = [_shifted(signals[name], last) for name, last in zip(("behind_even", "behind_odd"), state.behind, strict=True)]
    scan, near, own = scans(signals["own"], signals["ahead_even"], signals["ahead_odd"], *behind)
    into = [_shifted(signals[name], last) for name, last in zip(("top", "bottom"), state.into, strict=True)]
    return {
        "start": signals["pts"].tolist(),
        "end": (signals["pts"] + signals["duration"]).tolist(),
        "scan": scan.tolist(),
        "near": near.tolist(),
        "own": own.tolist(),
        "interlaced": signals["interlaced"].tolist(),
        "top": into[0].tolist(),
        "bottom": into[1].tolist(),
    }


def _shifted(values: Floats, last: float) -> Floats:
    """Each row's value of the row before it; -1 for NaN."""
    moved = np.concatenate(([last], values[:-1]))
    return np.where(np.isnan(moved), _UNKNOWN, moved)


def scans(
    own: Floats, ahead_even: Floats, ahead_odd: Floats, behind_even: Floats, behind_odd: Floats
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """How each frame was scanned, with its lesser alpha and its delta (-1 where they are not known).

    ``behind`` are the values of the frame before, -1 where there is none.
    """
    top, bottom = (behind_even + ahead_odd) / 2, (behind_odd + ahead_even) / 2  # idet's alpha[0] and alpha[1]
    known = ~np.isnan(top) & ~np.isnan(bottom) & (behind_even >= 0)
    with np.errstate(invalid="ignore"):
        near = np.minimum(top, bottom)
        most = np.maximum(top, bottom)
        told, doubtful = known & (most >= LEAST_ALPHA), (near > FAR * own) & (most <= CLEAR * near)
        scan = np.where(told & (bottom > PROGRESSIVE * own), FRAMES, NOTHING)
        scan = np.where(told & (bottom > INTERLACED * top), np.where(doubtful, NOTHING, BOTTOM_FIRST), scan)
        scan = np.where(told & (top > INTERLACED * bottom), np.where(doubtful, NOTHING, TOP_FIRST), scan)
    return scan, np.where(known, near, _UNKNOWN), np.where(known, own, _UNKNOWN)


def repeats(top: Floats, bottom: Floats, low: int, high: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What the frames ``[low, high)`` repeat of those before them, and whether that shows in each frame by itself.

    ``top`` and ``bottom`` are the differences of all frames' fields to those before in 8-bit codes, -1 where they are not
    known. How much the picture moves around a frame is the lesser of what it does before and after it: there the second
    largest change of ``REACH`` frames, so that one cut is no motion.
    """
    change = np.maximum(np.maximum(top, bottom), 0.0)
    padded = np.concatenate((np.zeros(REACH), change, np.zeros(REACH)))
    around = np.lib.stride_tricks.sliding_window_view(padded, REACH)
    second = np.partition(around, REACH - 2, axis=1)[:, REACH - 2]
    before, after = second[low:high], second[low + REACH + 1 : high + REACH + 1]
    motion, most = np.minimum(before, after), np.maximum(before, after)
    top, bottom, change = top[low:high], bottom[low:high], change[low:high]
    found = np.full(high - low, NEW)
    found[bottom > LIKELY * top] = TOP
    found[top > LIKELY * bottom] = BOTTOM
    found[change <= ALIKE * motion] = BOTH
    found[change > CUT * np.maximum(most, LEAST_MOTION)] = JUMP
    found[(motion < LEAST_MOTION) | (top < 0)] = STILL
    return found, np.where(found == BOTH, change <= SAME * motion, change > REPEATED * np.minimum(top, bottom))


def _rows(columns: Mapping[str, list[Any]], first: int, low: int, high: int) -> list[Row]:
    if low >= high:
        return []
    repeat, strong = (a.tolist() for a in repeats(np.array(columns["top"]), np.array(columns["bottom"]), low, high))
    return [
        Row(
            row=first + i,
            start=columns["start"][i],
            end=columns["end"][i],
            scan=columns["scan"][i],
            repeat=repeat[i - low],
            near=columns["near"][i],
            own=columns["own"][i],
            interlaced=columns["interlaced"][i],
            strong=strong[i - low],
        )
        for i in range(low, high)
    ]
