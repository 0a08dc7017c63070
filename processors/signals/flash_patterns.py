"""When regular patterns are harmful after ITU-R BT.1702-3: still ones over 40 % of the screen, turning ones over 25 %."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.intervals import BoolRows, Rows, least_ticks
from schemas.clock import Clock

PATTERN = "video.flash.pattern"
STILL_AREA, TURNING_AREA = 0.40, 0.25
"""More than this of the screen: of a pattern that stands still, and of one that flashes or reverses."""
LEAST_SECONDS = 0.5
"""A still pattern is one from this long on."""
TURNS = 3
"""Reversals in a second, coming and going included, that make a pattern turn: it has gone to and fro."""
_STILL, _REVERSED = 0.1, 0.6
"""The share of a pattern that changes between light and dark from one frame to the next: at most, where it stands still, and
at least, where it reverses. What lies between flows, and smooth flow is exempt."""


def nothing_yet() -> dict[str, Any]:
    """The state before the first row. ``still`` is since when there is a still pattern (pts), ``large`` whether the last row
    had one of the lesser area, ``turned`` the last row's share reversed, ``turns`` the pts of turns in the last second.
    """
    return {"still": None, "large": None, "turned": None, "turns": [], "peak": 0.0}


def step(
    clock: Clock, state: Mapping[str, Any], rows: Rows, arrays: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, Any], BoolRows, NDArray[np.float64]]:
    """The state after consecutive rows, in which of them the limits are crossed, and the share of the screen."""
    shares = np.asarray(arrays.get("stripes", np.zeros(len(rows))), np.float64)  # the version before this one had none
    reversed_ = np.asarray(arrays.get("reversed", np.full(len(rows), np.nan)), np.float64)
    long_enough, second = least_ticks(clock, LEAST_SECONDS), least_ticks(clock, 1.0)
    still, large, turned, turns = state["still"], state["large"], state["turned"], list(state["turns"])
    crossed = np.zeros(len(rows), bool)
    columns = zip(rows.start.tolist(), rows.end.tolist(), shares.tolist(), reversed_.tolist(), strict=True)
    for k, (now, end, share, turns_next) in enumerate(columns):
        is_large = share > TURNING_AREA
        if large not in (None, is_large) or (is_large and turned is not None and turned >= _REVERSED):
            turns.append(now)
        turns = [t for t in turns if now - t < second]
        moved = turned is not None and turned > _STILL
        still = None if share <= STILL_AREA else now if still is None or moved else still
        crossed[k] = (still is not None and end - still >= long_enough) or len(turns) >= TURNS
        large, turned = is_large, None if np.isnan(turns_next) else turns_next
    peak = max(state["peak"], float(shares.max(initial=0.0)))
    return {"still": still, "large": large, "turned": turned, "turns": turns, "peak": peak}, crossed, shares
