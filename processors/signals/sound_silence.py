"""Silence and mutes: stretches in which the whole programme stays under a level, followed hop by hop."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import Phase
from processors.signals.sound_quiet import QuietEdges, quiet_runs

Stretch = tuple[int, int]
"""Samples of the stream, half-open."""

Heard = list[tuple[Phase, Stretch]]


@dataclass(frozen=True, slots=True)
class Quiet:
    """The quiet stretch that is open: where it began, and whether it has been said that there is one."""

    since: int = 0
    told: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object; ``Quiet(**body)`` is the inverse."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class QuietFollower:
    """Finds quiet stretches of at least ``least`` samples. A stretch is told as soon as it has lasted that long."""

    rate: int
    least: int

    def step(
        self, open_: Quiet, first_row: int, begin: int, lengths: NDArray[np.int32], quiet: QuietEdges
    ) -> tuple[Quiet, Heard]:
        """Hops from ``first_row`` on, whose first sample is ``begin``."""
        stretches, since = quiet_runs(open_.since, self.rate, first_row, lengths, quiet)
        heard: Heard = []
        for start, end in stretches[stretches[:, 1] - stretches[:, 0] >= self.least].tolist():
            told = open_.told and start == open_.since
            heard += [(Phase.END, (start, end))] if told else [(Phase.NEW, (start, end)), (Phase.END, (start, end))]
        now = begin + int(lengths.sum())
        open_ = open_ if not len(stretches) else Quiet(since)
        if now - open_.since >= self.least:
            heard.append((Phase.UPDATE if open_.told else Phase.NEW, (open_.since, now)))
            open_ = replace(open_, told=True)
        return open_, heard

    def close(self, open_: Quiet, now: int) -> Heard:
        """What is to be said at ``now`` if nothing follows: at the end of the stream, or where hops are lost."""
        if now - open_.since < self.least:
            return []
        ended = (Phase.END, (open_.since, now))
        return [ended] if open_.told else [(Phase.NEW, ended[1]), ended]
