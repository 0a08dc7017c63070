"""The transitions that the tool ``iris`` counts, and its limits (electronicarts/IRIS, after WCAG 2, general and red flash).

The frame's mean changes only where at least a quarter of the pixels do. Changes of one sign add up, over no more than a second;
when they reach the threshold while the darker frame is dark enough, that is a transition. More than six transitions in a
second fail; so do four to six in every second for four of five seconds.

The tool counts windows in frames of the rounded frame rate; here they are presentation time, which is the same for a constant
rate that is near a whole number, and right for any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from processors.findings import MeasurementDraft
from processors.signals.flash_fold import LUMINANCE, RED, Judged
from processors.signals.intervals import Rows, least_ticks
from schemas.clock import Clock

AREA = 0.25
MOST, WARNING = 6, 4
"""Transitions in a second: over the first fails, from the second on counts towards an extended failure."""
EXTENDED_SECONDS, EXTENDED_WINDOW = 4.0, 5.0
METHOD = "iris (electronicarts/IRIS): relative luminance and saturated red of 8-bit sRGB, on the proxy"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a mean must change for a transition, and below which value of the darker frame."""

    change: float
    dark: float


LIMITS = {LUMINANCE: Limits(0.1, 0.8), RED: Limits(20.0, math.inf)}
_SIGNALS = {LUMINANCE: "luminance", RED: "red"}


@dataclass(frozen=True, slots=True)
class Windows:
    """The lengths of the windows in a stream's ticks: the least number that lasts as long."""

    second: int
    extended: int
    held: int

    @classmethod
    def of(cls, clock: Clock) -> Windows:
        """The windows on a clock."""
        return cls(least_ticks(clock, 1.0), least_ticks(clock, EXTENDED_WINDOW), least_ticks(clock, EXTENDED_SECONDS))


@dataclass(slots=True)
class Trace:
    """What leads up to the next frame, for luminance or red.

    ``changes`` are (pts, change) of the last second since the sign turned, ``sum`` what they came to at the last frame,
    ``transitions`` the pts of those in the last second, ``held`` the stretches (pts, end) with four to six of them; ``peak``
    and ``longest`` (ticks) are the highest values so far.
    """

    mean: float | None = None
    area: float = 0.0
    changes: list[tuple[int, float]] = field(default_factory=list)
    sum: float = 0.0
    transitions: list[int] = field(default_factory=list)
    held: list[tuple[int, int]] = field(default_factory=list)
    peak: int = 0
    longest: int = 0

    def see(self, now: int, end: int, mean: float, area: float, limits: Limits, windows: Windows) -> tuple[int, bool]:
        """The next frame ``[now, end)``; gives the transitions in the second up to it, and whether that is a failure.

        ``area`` is the share of its pixels that change towards the frame after it.
        """
        if self.mean is not None and self._turns(now, mean, limits, windows.second):
            self.transitions.append(now)
        self.mean, self.area = mean, area
        self.transitions = [t for t in self.transitions if now - t < windows.second]
        count = len(self.transitions)
        held = self._hold(now, end, WARNING <= count <= MOST, windows.extended)
        self.peak, self.longest = max(self.peak, count), max(self.longest, held)
        return count, count > MOST or (count >= WARNING and held >= windows.held)

    def _turns(self, now: int, mean: float, limits: Limits, second: int) -> bool:
        """Whether the change from the last frame to this one completes a transition."""
        assert self.mean is not None
        change = mean - self.mean if self.area >= AREA else 0.0
        before = self.sum
        recent = [c for c in self.changes if now - c[0] < second] if _same_sign(before, change) else []
        self.changes = [*recent, (now, change)] if change else recent
        self.sum = math.fsum(c for _, c in self.changes)
        if _same_sign(before, self.sum) and abs(before) >= limits.change:
            return False
        return abs(self.sum) >= limits.change and min(mean, self.mean) < limits.dark

    def _hold(self, now: int, end: int, holds: bool, window: int) -> int:
        """How long of the window that ends with this frame there were four to six transitions in the second, in ticks."""
        if holds:
            joined = self.held and self.held[-1][1] == now
            self.held = [*self.held[:-1], (self.held[-1][0], end)] if joined else [*self.held, (now, end)]
        self.held = [h for h in self.held if h[1] > end - window]
        return sum(h[1] - max(h[0], end - window) for h in self.held)


class IrisModel:
    """The tool's model for :class:`~processors.signals.flash_fold.FlashFold`."""

    units: ClassVar[Mapping[str, str]] = {LUMINANCE: "transitions/s", RED: "transitions/s"}

    def start(self) -> dict[str, Any]:
        """Nothing seen yet."""
        return {code: asdict(Trace()) for code in LIMITS}

    def restart(self, state: dict[str, Any]) -> dict[str, Any]:
        """Keep the highest values alone."""
        return {code: asdict(Trace(peak=state[code]["peak"], longest=state[code]["longest"])) for code in LIMITS}

    def step(
        self, clock: Clock, state: dict[str, Any], rows: Rows, arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, Any], Judged]:
        """See consecutive rows."""
        windows, times = Windows.of(clock), list(zip(rows.start.tolist(), rows.end.tolist(), strict=True))
        after, judged = {}, {}
        for code, limits in LIMITS.items():
            trace, name = Trace(**state[code]), _SIGNALS[code]
            figures = zip(times, arrays[name].tolist(), arrays[f"{name}_area"].tolist(), strict=True)
            seen = [trace.see(now, end, mean, area, limits, windows) for (now, end), mean, area in figures]
            judged[code] = np.array([failed for _, failed in seen]), np.array([float(count) for count, _ in seen])
            after[code] = asdict(trace)
        return after, judged

    def text(self, code: str, peak: float) -> str:
        """What a finding says."""
        kind = "Red flashing" if code == RED else "Flashing"
        limit = (
            f"{peak:.0f} transitions within a second (limit {MOST})"
            if peak > MOST
            else f"{WARNING} to {MOST} transitions in every second for {EXTENDED_SECONDS:g} of {EXTENDED_WINDOW:g} s"
        )
        return f"{kind} over at least a quarter of the screen: {limit}. Screening as iris does it, no certificate"

    def measurements(self, clock: Clock, state: dict[str, Any], reason: str | None) -> tuple[MeasurementDraft, ...]:
        """The most transitions in a second (from 4 on the tool warns), and how long of 5 s there were 4 to 6."""
        found = []
        for code in LIMITS:
            peak, longest = float(state[code]["peak"]), clock.seconds(state[code]["longest"])
            for name, value, unit in (("transitions", peak, self.units[code]), ("extended", longest, "s")):
                shown = None if reason else value
                found.append(MeasurementDraft(f"{code}_{name}", shown, unit, METHOD, reliable=reason is None, reason=reason))
        return tuple(found)


def _same_sign(a: float, b: float) -> bool:
    """Whether two changes go the same way; none goes either way."""
    return (a <= 0 and b <= 0) or (a >= 0 and b >= 0)
