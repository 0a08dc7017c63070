"""What every flash model's fold has in common: unbroken stretches of frames, and intervals in which a limit is crossed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent, MeasurementDraft
from processors.signals.intervals import BoolRows, Heard, Interval, IntervalRule, Rows, least_ticks
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd
from schemas.cell import Signals
from schemas.chunk import Chunk
from schemas.clock import Clock

LUMINANCE, RED = "video.flash.luminance", "video.flash.red"
CODES = (LUMINANCE, RED)
PAUSE_SECONDS = 1.0
"""Frames over a limit that lie no further apart are one finding."""

Judged = Mapping[str, tuple[BoolRows, NDArray[np.float64]]]
"""By finding code: whether the limit is crossed with each row, and the rate (in the finding's unit) in the second up to it."""


class FlashModel(Protocol):
    """A definition of harmful flashes. Its state is a dict, as a fold's is; the key ``fold`` is not its own."""

    units: ClassVar[Mapping[str, str]]
    """Of a finding's value, by code."""

    def start(self) -> dict[str, Any]:
        """The state before the first row."""

    def restart(self, state: dict[str, Any]) -> dict[str, Any]:
        """Nothing that was seen leads up to the next row; what was measured stays."""

    def step(
        self, clock: Clock, state: dict[str, Any], rows: Rows, arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, Any], Judged]:
        """See consecutive rows, at least one."""

    def text(self, code: str, peak: float) -> str:
        """What a finding says."""

    def measurements(self, clock: Clock, state: dict[str, Any], reason: str | None) -> tuple[MeasurementDraft, ...]:
        """The figures of the stream; with a reason there are none."""


def frame_times(chunk: Chunk, low: int, high: int) -> dict[str, NDArray[Any]]:
    """Signals of rows ``[low, high)`` that the fold needs: ``pts``, ``linked`` (whether the next frame is in the chunk, so that
    it can be compared) and ``end``, the next frame's pts, or the own where it is not linked.
    """
    pts = np.asarray(chunk.header.pts, np.int64)[low - chunk.header.first_row :]
    ends = np.append(pts[1:], pts[-1:])[: high - low]
    return {"pts": pts[: high - low], "end": ends, "linked": np.arange(high - low) < len(pts) - 1}


@dataclass(frozen=True, slots=True)
class FlashFold:
    """Folds a flash model's signals. A finding begins with the first frame at which a limit is crossed: the flashes that
    were counted lie in the second up to it.

    Where rows are lost, or the picture's geometry changes, all counting starts again.
    """

    model: FlashModel

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """The state before the first row."""
        return {"fold": {"next": 0, "linked": False, "duration": 0, "open": {}}, **self.model.start()}

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Fold the next rows in."""
        if not signals.rows:
            return Step(state)
        state = dict(state)
        before = state.pop("fold")
        opened = {code: Interval(**body) for code, body in before["open"].items()}
        events: list[FoldEvent] = []
        if signals.first_row != before["next"] or not before["linked"]:
            events += self._close(stream.clock, opened)
            opened, state = {}, self.model.restart(state)
        rows, duration = _rows(signals, before["duration"])
        state, judged = self.model.step(stream.clock, state, rows, signals.arrays)
        rule = _rule(stream.clock)
        left: dict[str, Any] = {}
        for code, (crossed, level) in judged.items():
            still, heard = rule.step(opened.get(code), rows, crossed, level)
            events += self._events(code, heard)
            if still is not None:
                left[code] = still.to_json()
        linked = bool(signals.arrays["linked"][-1])
        fold = {"next": signals.end_row, "linked": linked, "duration": duration, "open": left}
        return Step({"fold": fold, **state}, tuple(events))

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """End what is open, and give the figures of the stream."""
        opened = {code: Interval(**body) for code, body in state["fold"]["open"].items()}
        opened = {code: replace(o, end=end.end) if o.end_row == end.rows else o for code, o in opened.items()}
        reason = None if state["fold"]["next"] else "no frame was seen"
        events = tuple(self._close(stream.clock, opened))
        return Outcome(events, measurements=self.model.measurements(stream.clock, state, reason))

    def _close(self, clock: Clock, opened: Mapping[str, Interval]) -> list[FoldEvent]:
        rule = _rule(clock)
        return [event for code, interval in opened.items() for event in self._events(code, rule.close(interval))]

    def _events(self, code: str, heard: Heard) -> list[FoldEvent]:
        return [FoldEvent(phase, self._draft(code, interval)) for phase, interval in heard]

    def _draft(self, code: str, found: Interval) -> FindingDraft:
        text = self.model.text(code, found.peak)
        return FindingDraft.of_rows(code, found, found.peak, self.model.units[code], text)


def _rule(clock: Clock) -> IntervalRule:
    return IntervalRule(bridge=least_ticks(clock, PAUSE_SECONDS))


def _rows(signals: Signals, duration: int) -> tuple[Rows, int]:
    """The rows with their ends, and the last duration that is known: a row with no next one lasts as long as the last did."""
    pts, ends = signals.arrays["pts"].astype(np.int64), signals.arrays["end"].astype(np.int64)
    linked = signals.arrays["linked"]
    known = (ends - pts)[linked]
    duration = int(known[-1]) if len(known) else duration
    return Rows(signals.first_row, pts, np.where(linked, ends, pts + duration)), duration
