"""The fold of native picture signals: black, flash frames, freezes, bars, illegal levels, and the stream's figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent, Phase, shortly
from processors.signals import flash_frame
from processors.signals.bars import Bars, BarsRow, BarsRule, Stretch
from processors.signals.flash_frame import Flash, FlashState
from processors.signals.freeze import FrozenRows
from processors.signals.freeze_runs import FreezeRule, FreezeState
from processors.signals.intervals import Interval, IntervalRule, Rows, least_ticks
from processors.signals.leader import Leader, slates
from processors.signals.native_analyser import BARS, BLACK_PICTURE, CARD, EXTENSION, FREEZE
from processors.signals.native_figures import Figures
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd
from schemas.cell import Signals
from schemas.clock import Clock

LEAST_SECONDS = 2.0
"""Black, freezes and letterboxed stretches last at least so long."""

TEMPLATE_SECONDS = 1.0
"""Colour bars and slates last at least so long."""

ILLEGAL_SHARE, ILLEGAL_ROWS, ILLEGAL_BRIDGE = 0.01, 5, 1.0
"""Levels are out of range where more than 1 % of the samples are (EBU R103), in at least five frames with pauses of up to
1 s between them."""

_draft = FindingDraft.of_rows


@dataclass(frozen=True, slots=True)
class _State:
    """Everything between two steps. ``size`` is the picture's width and height."""

    next_row: int = 0
    size: tuple[int, int] = (0, 0)
    black: Interval | None = None
    illegal: Interval | None = None
    freeze: FreezeState = field(default_factory=FreezeState)
    bars: Bars = field(default_factory=Bars)
    flash: FlashState = field(default_factory=FlashState)
    colour_bars: Interval | None = None
    slate: Interval | None = None
    leader: Leader = field(default_factory=Leader)
    figures: Figures = field(default_factory=Figures)

    def to_json(self) -> dict[str, Any]:
        return {
            "next_row": self.next_row,
            "size": list(self.size),
            "black": self.black and self.black.to_json(),
            "illegal": self.illegal and self.illegal.to_json(),
            "freeze": self.freeze.to_json(),
            "bars": asdict(self.bars),
            "flash": self.flash.to_json(),
            "colour_bars": self.colour_bars and self.colour_bars.to_json(),
            "slate": self.slate and self.slate.to_json(),
            "leader": asdict(self.leader),
            "figures": self.figures.to_json(),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> _State:
        return cls(
            next_row=body["next_row"],
            size=(body["size"][0], body["size"][1]),
            black=body["black"] and Interval(**body["black"]),
            illegal=body["illegal"] and Interval(**body["illegal"]),
            freeze=FreezeState.from_json(body["freeze"]),
            bars=Bars.from_json(body["bars"]),
            flash=FlashState.from_json(body["flash"]),
            colour_bars=body["colour_bars"] and Interval(**body["colour_bars"]),
            slate=body["slate"] and Interval(**body["slate"]),
            leader=Leader(**body["leader"]),
            figures=Figures.from_json(body["figures"]),
        )


class NativeFold:
    """Folds the signals of :class:`~processors.signals.native_analyser.NativeAnalyser`, in presentation order."""

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """The state before the first row."""
        return _State().to_json()

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Fold the next rows in. Lost rows end every interval: nothing is known of them."""
        if signals.rows == 0:
            return Step(state)
        work = _Work(_Rules.of(stream.clock), _State.from_json(state), stream.clock)
        if signals.first_row > work.state.next_row:
            work.end_all(hole=True)
        for low, high in _same_size(signals):
            work.step(signals, low, high)
        return Step(work.state.to_json(), tuple(work.events))

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """End what is open, and give the figures of the stream."""
        work = _Work(_Rules.of(stream.clock), _State.from_json(state), stream.clock)
        work.end_all(hole=False)
        figures = work.state.figures
        return Outcome(tuple(work.events), measurements=figures.measurements(), facts=figures.facts())


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules in ticks of one clock."""

    black: IntervalRule
    illegal: IntervalRule
    template: IntervalRule
    freeze: FreezeRule
    ticks: int

    @classmethod
    def of(cls, clock: Clock) -> _Rules:
        ticks = least_ticks(clock, LEAST_SECONDS)
        illegal = IntervalRule(rows=ILLEGAL_ROWS, bridge=least_ticks(clock, ILLEGAL_BRIDGE))
        template = IntervalRule(ticks=least_ticks(clock, TEMPLATE_SECONDS))
        return cls(IntervalRule(ticks=ticks), illegal, template, FreezeRule(ticks), ticks)


@dataclass(slots=True)
class _Work:
    """One step at work: the state as it changes and what has been said."""

    rules: _Rules
    state: _State
    clock: Clock
    events: list[FoldEvent] = field(default_factory=list)

    def step(self, signals: Signals, low: int, high: int) -> None:
        """Fold rows ``[low, high)`` in, which have one picture size."""
        arrays = {name: array[low:high] for name, array in signals.arrays.items()}
        rows = Rows(signals.first_row + low, arrays["pts"], arrays["pts"] + arrays["duration"])
        size = int(arrays["width"][0]), int(arrays["height"][0])
        if size != self.state.size:
            self._end_bars(stream_ends=False)
            self.state = replace(self.state, size=size)
        black = arrays["black_ratio"] >= BLACK_PICTURE
        self._intervals(rows, arrays, black)
        self._templates(rows, arrays["template"])
        self._freeze(rows, black | (arrays["template"] > 0), signals.observations)
        self._bars(rows, arrays, black)
        flash, flashes = flash_frame.step(self.state.flash, rows, arrays["flat"], arrays["diff"])
        self.events += [_event(Phase.NEW, _flash(f)) for f in flashes] + [_event(Phase.END, _flash(f)) for f in flashes]
        figures = self.state.figures.add(arrays, black, size)
        self.state = replace(self.state, flash=flash, figures=figures, next_row=rows.first + len(rows))

    def end_all(self, *, hole: bool) -> None:
        """End what is open: at the stream's end, or before lost rows."""
        state = self.state
        self.events += [_event(phase, self._black(found)) for phase, found in self.rules.black.close(state.black)]
        self.events += [_event(phase, _illegal(found)) for phase, found in self.rules.illegal.close(state.illegal)]
        template = self.rules.template
        self.events += [_event(phase, self._bars_shown(found)) for phase, found in template.close(state.colour_bars)]
        self.events += [_event(phase, self._slate(found)) for phase, found in template.close(state.slate)]
        freeze, heard = self.rules.freeze.close(state.freeze, state.next_row)
        self.events += [_event(phase, self._frozen(found)) for phase, found in heard]
        self._end_bars(stream_ends=not hole)
        self.state = _State(next_row=state.next_row, size=state.size, freeze=freeze, figures=state.figures)

    def _intervals(self, rows: Rows, arrays: Mapping[str, NDArray[Any]], black: NDArray[np.bool_]) -> None:
        dark, heard = self.rules.black.step(self.state.black, rows, black, arrays["black_ratio"])
        self.events += [_event(phase, self._black(found)) for phase, found in heard]
        ratio = arrays["out_of_range"]
        illegal, heard = self.rules.illegal.step(self.state.illegal, rows, ratio > ILLEGAL_SHARE, ratio)
        self.events += [_event(phase, _illegal(found)) for phase, found in heard]
        self.state = replace(self.state, black=dark, illegal=illegal)

    def _templates(self, rows: Rows, template: NDArray[np.uint8]) -> None:
        bars, nothing = template == BARS, np.zeros(len(rows))
        leader, slate = slates(self.state.leader, rows, bars, template == CARD, self.rules.ticks)
        open_bars, heard = self.rules.template.step(self.state.colour_bars, rows, bars, nothing)
        self.events += [_event(phase, self._bars_shown(found)) for phase, found in heard]
        open_slate, heard = self.rules.template.step(self.state.slate, rows, slate, nothing)
        self.events += [_event(phase, self._slate(found)) for phase, found in heard]
        self.state = replace(self.state, leader=leader, colour_bars=open_bars, slate=open_slate)

    def _freeze(self, rows: Rows, named: NDArray[np.bool_], observations: tuple[Mapping[str, Any], ...]) -> None:
        own = [FrozenRows.from_json(o) for o in observations if o["kind"] == FREEZE]
        ahead = [FrozenRows.from_json(o) for o in observations if o["kind"] == EXTENSION]
        freeze, heard = self.rules.freeze.step(self.state.freeze, rows, named, own, ahead)
        self.events += [_event(phase, self._frozen(found)) for phase, found in heard]
        self.state = replace(self.state, freeze=freeze)

    def _bars(self, rows: Rows, arrays: Mapping[str, NDArray[Any]], black: NDArray[np.bool_]) -> None:
        width, height = self.state.size
        rule = BarsRule(self.rules.ticks, width, height)
        speaks = (arrays["area"][:, 0] >= 0) & ~black
        columns = zip(rows.start.tolist(), rows.end.tolist(), *arrays["area"].T.tolist(), speaks.tolist(), strict=True)
        sharp = arrays["bars"].tolist()
        seen = [
            BarsRow(rows.first + k, start, end, (top, bottom, left, right), says, sharp[k])
            for k, (start, end, top, bottom, left, right, says) in enumerate(columns)
        ]
        bars, heard = rule.step(self.state.bars, seen, rows.first)
        self.events += [_event(phase, _letterbox(found, width, height)) for phase, found in heard]
        self.state = replace(self.state, bars=bars)

    def _end_bars(self, *, stream_ends: bool) -> None:
        width, height = self.state.size
        heard = BarsRule(self.rules.ticks, width, height).close(self.state.bars, stream_ends=stream_ends)
        self.events += [_event(phase, _letterbox(found, width, height)) for phase, found in heard]
        self.state = replace(self.state, bars=Bars())

    def _black(self, found: Interval) -> FindingDraft:
        seconds = self.clock.seconds(found.end - found.start)
        return _draft("video.black", found, seconds, "s", f"Black for {shortly(seconds)} s")

    def _bars_shown(self, found: Interval) -> FindingDraft:
        seconds = self.clock.seconds(found.end - found.start)
        return _draft("video.bars", found, seconds, "s", f"Colour bars for {shortly(seconds)} s")

    def _slate(self, found: Interval) -> FindingDraft:
        seconds = self.clock.seconds(found.end - found.start)
        return _draft("video.slate", found, seconds, "s", f"A slate for {shortly(seconds)} s after the bars")

    def _frozen(self, found: Interval) -> FindingDraft:
        seconds = self.clock.seconds(found.end - found.start)
        return _draft("video.freeze", found, seconds, "s", f"The picture stands still for {shortly(seconds)} s")


def _same_size(signals: Signals) -> list[tuple[int, int]]:
    sizes = signals.arrays["width"].astype(np.int64) << 32 | signals.arrays["height"]
    edges = [0, *(np.flatnonzero(np.diff(sizes)) + 1).tolist(), signals.rows]
    return list(pairwise(edges))


def _event(phase: Phase, finding: FindingDraft) -> FoldEvent:
    return FoldEvent(phase, finding)


def _illegal(found: Interval) -> FindingDraft:
    text = f"Up to {found.peak:.2%} of a frame's samples outside 16–235 (luma) or 16–240 (chroma)"
    return _draft("video.out_of_range", found, found.peak, "ratio", text)


def _flash(found: Flash) -> FindingDraft:
    frames = found.end_row - found.row
    text = f"{frames} frame{'s' if frames > 1 else ''} of one constant colour"
    return _draft("video.flash_frame", found, float(frames), "frames", text)


def _letterbox(found: Stretch, width: int, height: int) -> FindingDraft:
    top, bottom, left, right = found.certain
    tall, wide = BarsRule(0, width, height).sides(found.certain)
    name = "Windowbox" if tall and wide else "Letterbox" if tall else "Pillarbox"
    area = (left, top, right - left, bottom - top)
    text = f"{name}: active picture {area[2]}x{area[3]} at {left},{top} of {width}x{height}"
    return _draft("video.letterbox", found, 1 - area[2] * area[3] / (width * height), "ratio", text, area)
