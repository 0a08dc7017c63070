"""From scores of stills to findings: runs of consecutive stills over the limit, and the share of stills that are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent, MeasurementDraft
from processors.signals.intervals import Heard, Interval, IntervalRule, Rows
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd
from schemas.cell import Signals
from schemas.clock import Clock

LIMIT = 0.5
"""Scores are made so that this is where a finding begins, whatever they are made from."""
FIELDS_MEANT = "the stream is declared interlaced: pictures of two fields are meant"
NOT_JUDGED = "no still is large enough to judge"
NO_STILL = "no still was seen"


@dataclass(frozen=True, slots=True)
class Artefact:
    """A class: how it is called in signals and codes, how it reads, and how many stills in a row make a finding.

    ``method`` says what its score is made from.
    """

    name: str
    text: str
    stills: int
    method: str

    @property
    def code(self) -> str:
        """The finding's code."""
        return f"video.artefact.{self.name}"


@dataclass(frozen=True, slots=True)
class ArtefactFold:
    """Folds scores into findings, each class by itself.

    A still stands for the time from its frame to the end of its second, and on to the next still where that follows. Where a
    second has no still of its own (it was lost, or one frame lasts longer than a second) an interval ends.
    """

    artefacts: tuple[Artefact, ...]

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """The state before the first still."""
        names = [a.name for a in self.artefacts]
        return {"next": 0, "open": {}, "over": dict.fromkeys(names, 0), "judged": dict.fromkeys(names, 0)}

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Fold the next stills in."""
        if not signals.rows:
            return Step(state)
        opened = {name: Interval(**body) for name, body in state["open"].items()}
        events: list[FoldEvent] = []
        if signals.first_row != state["next"]:
            events += self._close(opened)
            opened = {}
        rows = _rows(stream.clock, signals)
        over, judged = dict(state["over"]), dict(state["judged"])
        left: dict[str, Any] = {}
        for artefact in self._looked_for(stream):
            name = artefact.name
            scores = signals.arrays[name].astype(np.float64)
            known = ~np.isnan(scores)
            level = np.where(known, scores, 0.0)
            holds = level > LIMIT
            over[name] += int(holds.sum())
            judged[name] += int(known.sum())
            still, heard = _rule(artefact).step(opened.get(name), rows, holds, level)
            events += _events(artefact, heard)
            if still is not None:
                left[name] = still.to_json()
        return Step({"next": signals.end_row, "open": left, "over": over, "judged": judged}, tuple(events))

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """End what is open, at the stream's end at the latest, and give the shares."""
        opened = {name: Interval(**body) for name, body in state["open"].items()}
        opened = {name: replace(o, end=max(o.start + 1, min(o.end, end.end))) for name, o in opened.items()}
        return Outcome(tuple(self._close(opened)), measurements=tuple(self._shares(stream, state)))

    def _looked_for(self, stream: StreamContext) -> tuple[Artefact, ...]:
        return tuple(a for a in self.artefacts if not (a.name == "combing" and _fields(stream)))

    def _close(self, opened: Mapping[str, Interval]) -> list[FoldEvent]:
        by_name = {a.name: a for a in self.artefacts}
        return [e for name, o in opened.items() for e in _events(by_name[name], _rule(by_name[name]).close(o))]

    def _shares(self, stream: StreamContext, state: dict[str, Any]) -> Iterator[MeasurementDraft]:
        for artefact in self.artefacts:
            judged = state["judged"][artefact.name]
            reason = None
            if artefact not in self._looked_for(stream):
                reason = FIELDS_MEANT
            elif not judged:
                reason = NOT_JUDGED if state["next"] else NO_STILL
            yield MeasurementDraft(
                id=f"{artefact.code}_share",
                value=None if reason else state["over"][artefact.name] / judged,
                unit="ratio",
                method=f"share of stills, one a second, {artefact.method}",
                reason=reason,
            )


def _fields(stream: StreamContext) -> bool:
    return stream.field_order not in (None, "progressive")


def _rule(artefact: Artefact) -> IntervalRule:
    return IntervalRule(rows=artefact.stills)


def _events(artefact: Artefact, heard: Heard) -> list[FoldEvent]:
    return [
        FoldEvent(
            phase,
            FindingDraft(
                code=artefact.code, start=found.start, end=found.end, value=found.peak, unit="score", text=artefact.text
            ),
        )
        for phase, found in heard
    ]


def _rows(clock: Clock, signals: Signals) -> Rows:
    """The stills with the ends of their seconds, in raw ticks."""
    pts = signals.arrays["pts"].astype(np.int64)
    seconds = np.arange(signals.first_row + 1, signals.end_row + 1, dtype=np.int64)
    ends = clock.origin_pts - (-seconds * clock.tick[1] // clock.tick[0])
    return Rows(signals.first_row, pts, np.maximum(ends, pts + 1))
