"""The fold of scan signals: interlaced stretches and their field order, cadences, repeated frames, and their shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent, MeasurementDraft, Phase
from processors.signals import scan_rows, scan_words
from processors.signals.intervals import least_ticks
from processors.signals.scan_cadence import Cadence, Cadences
from processors.signals.scan_rows import BOTH, BOTTOM_FIRST, FRAMES, NOTHING, STILL, TOP_FIRST, Row, Waiting
from processors.signals.scan_runs import Run, follow
from processors.signals.scan_stutter import JOIN_SECONDS, Stutter
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd
from schemas.cell import Signals

ENOUGH = {TOP_FIRST: 20, BOTTOM_FIRST: 20, FRAMES: 25}
"""So many frames make a run a finding."""
_END_OF_ROWS = 1 << 62
_UNMOVED = "no picture moves enough to tell"


@dataclass(frozen=True, slots=True)
class _Counts:
    """Frames by what they show: ``told`` those of which the scan can be told, ``combed`` the interlaced among them; ``moving``
    those in moving pictures, ``same`` the repeats among them; ``breaks`` of cadences.
    """

    told: int = 0
    combed: int = 0
    moving: int = 0
    same: int = 0
    breaks: int = 0

    def add(self, row: Row) -> _Counts:
        return _Counts(
            told=self.told + (row.scan != NOTHING),
            combed=self.combed + (row.scan in (TOP_FIRST, BOTTOM_FIRST)),
            moving=self.moving + (row.repeat != STILL),
            same=self.same + (row.repeat == BOTH and row.strong),
            breaks=self.breaks,
        )

    def measurements(self) -> tuple[MeasurementDraft, ...]:
        idet = "frames with an alpha over 1.04 times the other (idet) among those that can be told"
        same = "frames that differ from the one before by at most a fifth of what frames around them do, among moving ones"
        return (
            _share("video.interlaced_ratio", self.combed, self.told, idet),
            _share("video.duplicate_ratio", self.same, self.moving, same),
            MeasurementDraft("video.cadence_breaks", float(self.breaks), "count", "changes of phase within a pulldown cadence"),
        )


def _share(name: str, part: int, whole: int, method: str) -> MeasurementDraft:
    if not whole:
        return MeasurementDraft(name, None, "ratio", method, reliable=False, reason=_UNMOVED)
    return MeasurementDraft(name, part / whole, "ratio", method)


class ScanFold:
    """Folds the signals of :class:`~processors.signals.scan_analyser.ScanAnalyser`, in presentation order."""

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """The state before the first row."""
        return _Work(stream).to_json()

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Fold the next rows in. Lost rows end everything: nothing is known of them."""
        if signals.rows == 0:
            return Step(state)
        work = _Work(stream, state)
        if signals.first_row > work.waiting.next_row:
            work.end_all()
        work.take(signals.first_row, signals.arrays)
        return Step(work.to_json(), tuple(work.events))

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """End what is open, and give the shares."""
        work = _Work(stream, state)
        work.end_all()
        return Outcome(tuple(work.events), measurements=work.counts.measurements())


class _Work:
    """One step: the state, taken apart, and what is to be said."""

    def __init__(self, stream: StreamContext, state: Mapping[str, Any] | None = None) -> None:
        self.stream = stream
        self.events: list[FoldEvent] = []
        self.join = least_ticks(stream.clock, JOIN_SECONDS)
        self.waiting = Waiting() if state is None else Waiting.from_json(state["waiting"])
        self.cadences = Cadences(None if state is None else state["cadences"])
        runs: Mapping[str, Any] = {} if state is None else state["runs"]
        self.runs: dict[int, Run | None] = {kind: Run.from_json(runs.get(str(kind))) for kind in ENOUGH}
        self.stutter = Stutter() if state is None else Stutter.from_json(state["stutter"])
        self.counts = _Counts() if state is None else _Counts(**state["counts"])
        self.order: int = 0 if state is None else state["order"]  # of the last interlaced run that has ended

    def to_json(self) -> dict[str, Any]:
        return {
            "waiting": self.waiting.to_json(),
            "cadences": self.cadences.to_json(),
            "runs": {str(kind): run and run.to_json() for kind, run in self.runs.items()},
            "stutter": self.stutter.to_json(),
            "counts": asdict(self.counts),
            "order": self.order,
        }

    def take(self, first_row: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """The next rows."""
        self.waiting, rows = scan_rows.step(self.waiting, first_row, arrays)
        if not rows:
            return
        for row in rows:
            self._see(row)
        for kind, run in self.runs.items():
            if run is not None and run.held >= ENOUGH[kind] and run.end_row > rows[0].row:
                self.runs[kind] = self._say_run(kind, run, Phase.UPDATE)
        cadence = self.cadences.open
        if cadence is not None and (cadence.end_row > rows[0].row or not cadence.told):
            self.cadences.open = self._say_cadence(cadence, Phase.UPDATE)

    def end_all(self) -> None:
        """Nothing follows, or rows are lost."""
        for row in scan_rows.close(self.waiting):
            self._see(row)
        for kind, run in self.runs.items():
            self._end_run(kind, run)
        self._end_cadence(self.cadences.close())
        self._release(_END_OF_ROWS)
        self.cadences, self.stutter, self.runs = Cadences(), Stutter(), dict.fromkeys(ENOUGH)
        self.waiting = Waiting()

    def _see(self, row: Row) -> None:
        self.counts = self.counts.add(row)
        before = self.cadences.open
        self._end_cadence(self.cadences.see(row))
        now = self.cadences.open
        if now is not None and now.what.fields:
            if before is None or before.row != now.row:
                self._drop_runs(now)
            if not self.cadences.active:
                self._follow(row)
        else:
            self._follow(row)
        self.stutter = self.stutter.see(row)
        self._release(row.row)

    def _follow(self, row: Row) -> None:
        if row.scan == NOTHING:
            return
        for kind in ENOUGH:
            speaks = row.scan == kind and (kind != FRAMES or row.interlaced)
            self.runs[kind], ended = follow(self.runs[kind], row, speaks=1 if speaks else -1)
            self._end_run(kind, ended)

    def _drop_runs(self, cadence: Cadence) -> None:
        """A cadence of fields has become certain: what lies within it was part of it, and not a scan of its own."""
        for kind, run in self.runs.items():
            if run is None:
                continue
            if cadence.row - run.row < ENOUGH[kind]:
                self._say(self._run_drafts(kind, run), run.told, Phase.WITHDRAWN)
            else:
                end, end_row = min(run.end, cadence.start), min(run.end_row, cadence.row)
                self._end_run(kind, replace(run, end=end, end_row=end_row))
            self.runs[kind] = None

    def _run_drafts(self, kind: int, run: Run) -> list[FindingDraft]:
        if kind == FRAMES:
            return scan_words.as_fields(self.stream, run)
        return scan_words.scanned(self.stream, kind, run, self.order)

    def _say_run(self, kind: int, run: Run, phase: Phase) -> Run:
        return replace(run, told=self._say(self._run_drafts(kind, run), run.told, phase))

    def _end_run(self, kind: int, run: Run | None) -> None:
        if run is None or run.held < ENOUGH[kind]:
            return
        self._say_run(kind, run, Phase.END)
        if kind != FRAMES:
            self.order = kind

    def _say_cadence(self, found: Cadence, phase: Phase) -> Cadence:
        return replace(found, told=self._say(scan_words.repeating(self.stream, found), found.told, phase))

    def _end_cadence(self, found: Cadence | None) -> None:
        if found is None:
            return
        self._say_cadence(found, Phase.END)
        self.stutter = self.stutter.explained(found)
        self.counts = replace(self.counts, breaks=self.counts.breaks + found.breaks)

    def _say(self, drafts: list[FindingDraft], told: tuple[str, ...], phase: Phase) -> tuple[str, ...]:
        """Say it under the codes that it has now, and take back those under which it was known; the codes."""
        now = tuple(draft.code for draft in drafts)
        gone = told if phase is Phase.WITHDRAWN else tuple(code for code in told if code not in now)
        self.events += [FoldEvent(Phase.WITHDRAWN, replace(drafts[0], code=code)) for code in gone]
        if phase is Phase.WITHDRAWN:
            return ()
        for draft in drafts:
            if draft.code not in told:
                self.events.append(FoldEvent(Phase.NEW, draft))
            if draft.code in told or phase is Phase.END:
                self.events.append(FoldEvent(phase, draft))
        return now

    def _release(self, row: int) -> None:
        self.stutter, found = self.stutter.release(row, self.cadences.open, self.join)
        self.events += [FoldEvent(phase, scan_words.repeated(r)) for r in found for phase in (Phase.NEW, Phase.END)]
