"""Slates: cards that follow colour bars, or another slate, within two seconds. Any other card is a title of the programme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from processors.signals.intervals import BoolRows, Rows, stretches


@dataclass(frozen=True, slots=True)
class Leader:
    """Where the last bars or slate ended, in raw ticks (None: there were none), and whether the last row was a slate."""

    end: int | None = None
    slate: bool = False


def slates(leader: Leader, rows: Rows, bars: BoolRows, card: BoolRows, reach: int) -> tuple[Leader, BoolRows]:
    """Which cards are slates, and the leader after these rows. ``reach`` is how long a pause may be, in ticks."""
    found = np.zeros(len(rows), bool)
    end, slate = leader.end, leader.slate
    for low, high, is_card in stretches(card):
        if not is_card:
            shown = np.flatnonzero(bars[low:high])
            end, slate = int(rows.end[low + shown[-1]]) if len(shown) else end, False
            continue
        goes_on = slate and low == 0
        slate = goes_on or (end is not None and int(rows.start[low]) - end <= reach)
        if slate:
            found[low:high] = True
            end = int(rows.end[high - 1])
    return Leader(end, slate), found
