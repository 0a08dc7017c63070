"""The fold of what stills show at native resolution: medians and percentiles, and colours out of EBU R 103's tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent, MeasurementDraft
from processors.signals.distribution import FINE, FINER, Distribution
from processors.signals.gamut import AREA
from processors.signals.intervals import Heard, Interval, IntervalRule, Rows
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd
from schemas.cell import Signals
from schemas.clock import Clock

GAMUT = "video.gamut"
STILLS = 2
"""A colour is out of range where more than 1 % of the area is in so many stills one after the other, a second apart."""

_BLOCK = "of the centred native block (up to 512x512) of a still a second"
FIGURES = {
    "blockiness": ("ratio", "gradients at 8x8 block edges against all others (1: no blocks)", "the picture is too small"),
    "blur": ("px", "width of the sharpest quarter of edges", "too few edges to tell"),
    "noise": (
        "code",
        "deviation of noise by Immerkær's operator where there is least texture, 8-bit codes",
        "nothing to tell by",
    ),
    "banding": ("ratio", "share of pixels in flat runs parted by contours of up to 2 codes, informative", "not measured"),
    "gamut_ratio": (
        "ratio",
        "share of pixels with R, G, B or Y outside EBU R 103's 5-246 (8-bit scale)",
        "no limited-range picture",
    ),
}
"""Of each signal: unit, method, and why there may be no figure of it."""
SHARES = ("banding", "gamut_ratio")
STATISTICS = {"": ("median", 50), "_p95": ("95th percentile", 95)}


class DetailFold:
    """Folds the signals of the task ``detail``. A row is a second with a still of its own; seconds may be left out.

    A finding spans from its first still to the first one that is within tolerance again; where a second has no still, or is
    lost, nothing is known and it ends with its last still's frame.
    """

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """The state before the first row."""
        state: dict[str, Any] = {"fold": {"next": 0, "rows": 0, "open": None}}
        for name in FIGURES:
            state |= Distribution().to_state(name)
        return state

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Fold the next stills in."""
        if not signals.rows:
            return Step(state)
        before, arrays = state["fold"], signals.arrays
        open_ = before["open"] and Interval(**before["open"])
        rule, heard = IntervalRule(rows=STILLS), Heard()
        if open_ is not None and signals.first_row != before["next"]:
            heard, open_ = rule.close(open_), None
        share = arrays["gamut_ratio"].astype(np.float64)
        open_, more = rule.step(open_, _rows(signals, stream.clock), share > AREA, share)
        fold = {"next": signals.end_row, "rows": before["rows"] + signals.rows, "open": open_ and open_.to_json()}
        after: dict[str, Any] = {"fold": fold}
        for name in FIGURES:
            after |= _distribution(name, state).add(arrays[name]).to_state(name)
        return Step(after, _events(heard + more))

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """End what is open, and give the figures of the stream."""
        fold = state["fold"]
        heard = IntervalRule(rows=STILLS).close(Interval(**fold["open"])) if fold["open"] else []
        found = []
        for name, (unit, what, why) in FIGURES.items():
            values = _distribution(name, state)
            for suffix, (statistic, percent) in STATISTICS.items():
                value = values.percentile(percent)
                reason = None if value is not None else why if fold["rows"] else "there is no still"
                found.append(
                    MeasurementDraft(f"video.{name}{suffix}", value, unit, f"{statistic}: {what}; {_BLOCK}", reason=reason)
                )
        return Outcome(_events(heard), tuple(found))


def _distribution(name: str, state: Mapping[str, Any]) -> Distribution:
    return Distribution.of_state(name, state, FINER if name in SHARES else FINE)


def _rows(signals: Signals, clock: Clock) -> Rows:
    """Stills as rows: each ends where the next one is, the last one of these with its own frame."""
    pts = signals.arrays["pts"].astype(np.int64)
    frame = max(1, clock.ticks(1 / Fraction(*clock.frame_rate))) if clock.frame_rate else 1
    return Rows(signals.first_row, pts, np.append(pts[1:], pts[-1] + frame))


def _events(heard: Heard) -> tuple[FoldEvent, ...]:
    return tuple(FoldEvent(phase, _draft(found)) for phase, found in heard)


def _draft(found: Interval) -> FindingDraft:
    text = f"Up to {found.peak:.2%} of the picture's middle with R, G, B or Y outside 5–246 (EBU R 103), in {found.held} stills"
    return FindingDraft(GAMUT, found.start, found.end, found.peak, "ratio", text)
