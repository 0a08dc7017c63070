"""How values are distributed over a stream, kept so that medians and percentiles do not depend on how the stream was cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FINE, FINER = 256, 4096
"""Values are rounded to 1/256 of their unit, shares to 1/4096: counts of whole numbers add up in any order."""


def _nothing() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counts of rounded values: ``levels`` are the values times ``fine``, ascending, ``counts`` how often each was seen.

    There are as many levels as different values, and for what is bounded that is bounded.
    """

    levels: NDArray[np.int64] = field(default_factory=_nothing)
    counts: NDArray[np.int64] = field(default_factory=_nothing)
    fine: int = FINE

    def add(self, values: NDArray[Any]) -> Distribution:
        """With further values; NaN, which stands for what could not be measured, counts for nothing."""
        known = np.asarray(values, np.float64)
        levels, counts = np.unique(np.rint(known[~np.isnan(known)] * self.fine).astype(np.int64), return_counts=True)
        joined, places = np.unique(np.concatenate([self.levels, levels]), return_inverse=True)
        total = np.zeros(len(joined), np.int64)
        np.add.at(total, places, np.concatenate([self.counts, counts]))
        return Distribution(joined, total, self.fine)

    def percentile(self, percent: int) -> float | None:
        """The least value that at least ``percent`` % of all do not exceed; None without any."""
        if not len(self.levels):
            return None
        reached = np.cumsum(self.counts) * 100
        return float(self.levels[int(np.searchsorted(reached, percent * reached[-1] / 100))]) / self.fine

    def to_state(self, name: str) -> dict[str, Any]:
        """Entries of a fold's state; the inverse is :meth:`of_state`."""
        return {f"{name}_levels": self.levels, f"{name}_counts": self.counts}

    @classmethod
    def of_state(cls, name: str, state: Mapping[str, Any], fine: int = FINE) -> Distribution:
        """The inverse of :meth:`to_state`."""
        return cls(state[f"{name}_levels"], state[f"{name}_counts"], fine)
