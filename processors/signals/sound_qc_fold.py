"""The fold of sound QC: from the levels of hops to findings as they happen, and what only the whole stream can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent, Phase
from processors.signals import sound_totals
from processors.signals.sound_channels import channel_name, front_pair
from processors.signals.sound_clipping import candidates
from processors.signals.sound_extent import NOTHING, follow_extent
from processors.signals.sound_figures import audio_of
from processors.signals.sound_hops import MIN_RATE, FloatArray, hop_edges
from processors.signals.sound_limits import LIMITS, full_scales, hops_of
from processors.signals.sound_phase import Heard as Swaps
from processors.signals.sound_phase import Inverted, PhaseFollower
from processors.signals.sound_quiet import QuietEdges
from processors.signals.sound_silence import Quiet, QuietFollower
from processors.signals.sound_verdict import measurements, whole_stream_findings
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd
from schemas.cell import Signals
from schemas.chunk import hop_edge
from schemas.plan import AudioFormat


class SoundQcFold:
    """Follows silence, mutes and polarity hop by hop; keeps totals; collects flat tops in the journal."""

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """The state before the first hop."""
        return {
            **sound_totals.nothing_yet(audio_of(stream).channels),
            "next": 0,
            "lost": 0,
            "invalid": 0,
            "tail": np.zeros((4, 0)),
            "silence": Quiet().to_json(),
            "mute": Quiet().to_json(),
            "inverted": None,
            **NOTHING,
        }

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Fold hops in."""
        audio = audio_of(stream)
        if audio.rate < MIN_RATE or not signals.rows or signals.arrays["high"].shape[1] != audio.channels:
            return Step(state)
        events: list[FoldEvent] = []
        lost = signals.first_row - state["next"]
        if lost:
            events += _close(audio, state, hop_edge(audio.rate, state["next"]))
            quiet = Quiet(hop_edge(audio.rate, signals.first_row)).to_json()
            state = {**state, "silence": quiet, "mute": quiet, "inverted": None, "tail": np.zeros((4, 0)), "sounding": 0}
        totals = sound_totals.add(state, signals.arrays)
        followed, heard = _follow(audio, state, signals)
        events += heard
        invalid = state["invalid"] + int(signals.arrays["invalid"].sum())
        new = {**state, **totals, **followed, "next": signals.end_row, "lost": state["lost"] + lost, "invalid": invalid}
        new |= follow_extent(state, signals.first_row, signals.arrays["square"], signals.arrays["samples"], LIMITS)
        flat = candidates(signals.first_row, signals.arrays, totals["ceilings"], LIMITS.clip_floor)
        holes = np.array([signals.first_row] if lost else [], np.int64)
        return Step(new, tuple(events), {"flat": flat, "holes": holes})

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """End what is open; judge what only the whole stream can tell."""
        audio = audio_of(stream)
        now = min(end.end, hop_edge(audio.rate, state["next"]))
        events = _close(audio, state, now)
        for finding in whole_stream_findings(audio, state, journal, end, LIMITS):
            events += [FoldEvent(Phase.NEW, finding), FoldEvent(Phase.END, finding)]
        return Outcome(tuple(events), measurements(audio, state, end, LIMITS))


def _silence(audio: AudioFormat) -> QuietFollower:
    return QuietFollower(audio.rate, round(LIMITS.silence_seconds * audio.rate))


def _mute(audio: AudioFormat) -> QuietFollower:
    return QuietFollower(audio.rate, round(LIMITS.mute_seconds * audio.rate))


def _polarity(audio: AudioFormat) -> PhaseFollower:
    audible = full_scales(LIMITS.phase_level) ** 2 * audio.rate / 100
    return PhaseFollower(hops_of(LIMITS.phase_seconds), LIMITS.phase_correlation, audible)


def _follow(audio: AudioFormat, state: Mapping[str, Any], signals: Signals) -> tuple[dict[str, Any], list[FoldEvent]]:
    """The part of the state that looks at neighbouring hops, and what it hears."""
    arrays, lengths, first = signals.arrays, signals.arrays["samples"], signals.first_row
    begin = hop_edge(audio.rate, first)
    silence, silences = _silence(audio).step(
        Quiet(**state["silence"]), first, begin, lengths, QuietEdges(arrays["quiet_head"], arrays["quiet_tail"])
    )
    mute, mutes = _mute(audio).step(
        Quiet(**state["mute"]), first, begin, lengths, QuietEdges(arrays["zero_head"], arrays["zero_tail"])
    )
    full = lengths == np.diff(hop_edges(audio.rate, first, signals.rows))
    tail = state["tail"]
    series = np.concatenate([tail, _powers(audio, arrays)[:, full]], axis=1)
    old = tail.shape[1]
    inverted = None if state["inverted"] is None else Inverted(**state["inverted"])
    swaps: Swaps = []
    if front_pair(audio) is not None:
        inverted, swaps = _polarity(audio).step(inverted, first - old, old, series[1:])
    window = hops_of(LIMITS.floor_seconds)
    followed = {
        "silence": silence.to_json(),
        "mute": mute.to_json(),
        "inverted": None if inverted is None else inverted.to_json(),
        "tail": series[:, max(0, series.shape[1] - window + 1) :],
        "floor": sound_totals.quietest(state["floor"], series[0], window),
    }
    events = _quiet_events(audio, "audio.silence", silences) + _quiet_events(audio, "audio.mute", mutes)
    return followed, events + _phase_events(audio, swaps)


def _powers(audio: AudioFormat, arrays: Mapping[str, NDArray[Any]]) -> FloatArray:
    """Sums of squares of all channels, of front left, of front right, and the front pair's products: ``(4, hops)``."""
    pair = front_pair(audio)
    square = arrays["square"]
    rows = [square.sum(axis=1)]
    rows += (
        [np.zeros(len(square))] * 3 if pair is None else [square[:, pair[0]], square[:, pair[1]], arrays["cross"][:, pair[0]]]
    )
    return np.stack(rows)


def _close(audio: AudioFormat, state: Mapping[str, Any], now: int) -> list[FoldEvent]:
    """End everything that is open at sample ``now``."""
    inverted = None if state["inverted"] is None else Inverted(**state["inverted"])
    return [
        *_quiet_events(audio, "audio.silence", _silence(audio).close(Quiet(**state["silence"]), now)),
        *_quiet_events(audio, "audio.mute", _mute(audio).close(Quiet(**state["mute"]), now)),
        *_phase_events(audio, _polarity(audio).close(inverted)),
    ]


_QUIET_TEXT = {
    "audio.silence": f"The whole programme is below {LIMITS.silence_level:g} dBFS",
    "audio.mute": "Every channel is digital zero",
}


def _quiet_events(audio: AudioFormat, code: str, heard: list[tuple[Phase, tuple[int, int]]]) -> list[FoldEvent]:
    return [_timed(audio, phase, code, start, end, _QUIET_TEXT[code], ()) for phase, (start, end) in heard]


def _phase_events(audio: AudioFormat, heard: list[tuple[Phase, tuple[int, int]]]) -> list[FoldEvent]:
    pair = front_pair(audio) or ()
    names = " and ".join(channel_name(audio, c) for c in pair)
    edges = [(phase, hop_edge(audio.rate, low), hop_edge(audio.rate, high)) for phase, (low, high) in heard]
    text = f"{names} are in opposite polarity"
    return [_timed(audio, phase, "audio.phase_inverted", start, end, text, pair) for phase, start, end in edges]


def _timed(
    audio: AudioFormat, phase: Phase, code: str, start: int, end: int, text: str, channels: tuple[int, ...]
) -> FoldEvent:
    seconds = (end - start) / audio.rate
    return FoldEvent(phase, FindingDraft(code, start, end, seconds, "s", f"{text} for {seconds:.2f} s", channels))
