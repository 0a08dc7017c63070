"""Polarity: stretches in which left and right are each other's negative, found in sliding windows of hop sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import Phase
from processors.signals.sound_hops import FloatArray, window_sum

Heard = list[tuple[Phase, tuple[int, int]]]
"""What is to be said of stretches of hops, half-open."""


@dataclass(frozen=True, slots=True)
class Inverted:
    """The stretch that is open: its first hop, one past its last audible inverted hop, and how far its windows reach."""

    start: int
    last: int
    reach: int
    told: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object; ``Inverted(**body)`` is the inverse."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PhaseFollower:
    """Finds stretches of at least ``window`` hops in which the correlation stays at or below ``limit``.

    The correlation is taken over every window of ``window`` hops whose level (geometric mean of the two channels' sums of
    squares) is at least ``audible`` a hop. A stretch is the union of such windows without the hops at its ends that are
    not themselves inverted and audible.
    """

    window: int
    limit: float
    audible: float

    def step(self, open_: Inverted | None, first: int, old: int, sums: FloatArray) -> tuple[Inverted | None, Heard]:
        """``sums`` are left², right² and left·right, ``(3, hops)``, from hop ``first`` on; ``old`` of them were seen before."""
        skip = max(0, old - self.window + 1)
        base, (left, right, cross) = first + skip, sums[:, skip:]
        level = np.sqrt(window_sum(left, self.window) * window_sum(right, self.window))
        bad = (level >= self.audible * self.window) & (window_sum(cross, self.window) <= self.limit * level)
        # A window that counts holds such a hop: its mean is lower still.
        support = np.flatnonzero(cross <= 0.9 * self.limit * self.audible)
        heard: Heard = []
        for low, high in _stretches(bad):
            inside = support[np.searchsorted(support, low) : np.searchsorted(support, high - 1 + self.window)]
            reach, last = base + high - 1 + self.window, base + int(inside[-1]) + 1
            if open_ is not None and base + low > open_.reach:
                heard += self.close(open_)
                open_ = None
            if open_ is None:
                open_ = Inverted(base + int(inside[0]), last, reach)
            else:
                open_ = replace(open_, last=max(open_.last, last), reach=reach)
        if open_ is not None and base + len(bad) > open_.reach:
            heard += self.close(open_)
            open_ = None
        return self._tell(open_, heard)

    def _tell(self, open_: Inverted | None, heard: Heard) -> tuple[Inverted | None, Heard]:
        if open_ is None or open_.last - open_.start < self.window:
            return open_, heard
        phase = Phase.UPDATE if open_.told else Phase.NEW
        return replace(open_, told=True), [*heard, (phase, (open_.start, open_.last))]

    def close(self, open_: Inverted | None) -> Heard:
        """What is to be said if nothing follows."""
        if open_ is None or open_.last - open_.start < self.window:
            return []
        ended = (Phase.END, (open_.start, open_.last))
        return [ended] if open_.told else [(Phase.NEW, ended[1]), ended]


def _stretches(holds: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The stretches ``[low, high)`` in which it holds."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]])))
    return iter(zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True))
