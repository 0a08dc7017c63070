"""The fold of sound-defects: dropouts as they become certain, the others' sums, and what they come to at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent, Phase
from processors.signals import sound_dropouts as dropouts
from processors.signals.sound_bands import band_count
from processors.signals.sound_channels import channel_name
from processors.signals.sound_defect_figures import measurements
from processors.signals.sound_figures import audio_of
from processors.signals.sound_holds import Edge
from processors.signals.sound_hops import MIN_RATE
from processors.signals.sound_hum import HARMONICS, MAINS, POINTS, lines
from processors.signals.sound_limits import DEFECTS, hops_of
from processors.signals.sound_order import channel_order
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd
from schemas.cell import Signals
from schemas.chunk import hop_edge
from schemas.plan import AudioFormat

WINDOW = hops_of(DEFECTS.hum_window_seconds)
_GAPS = ("recent", "waiting", "judged")


class DefectFold:
    """Follows gaps, sums up levels and counts; the lines of hum of each whole window go to the journal."""

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """The state before the first hop."""
        audio = audio_of(stream)
        return {
            "next": 0,
            "lost": 0,
            "invalid": 0,
            "samples": 0,
            "clicks": 0,
            "used": 0,
            "reach": np.zeros(band_count(max(audio.rate, MIN_RATE)) + 1, np.int64),
            "bass": np.zeros(audio.channels),
            "rest": np.zeros(audio.channels),
            **_nothing_followed(audio),
        }

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Fold hops in."""
        audio = audio_of(stream)
        if audio.rate < MIN_RATE or not signals.rows or signals.arrays["bass"].shape[1] != audio.channels:
            return Step(state)
        heard: list[dropouts.Dropout] = []
        lost = signals.first_row - state["next"]
        if lost:
            _, heard = _gaps(audio, state, (), None)
            state = {**state, **_nothing_followed(audio)}
        gaps, more = _gaps(audio, state, signals.observations, hop_edge(audio.rate, signals.end_row))
        slow, found = _hum(state["slow"], signals)
        new = {**state, **_sums(state, signals), **gaps, "slow": slow, "next": signals.end_row, "lost": state["lost"] + lost}
        return Step(new, _events(audio, [*heard, *more]), {"hum": found})

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """Judge what is left, and what only the whole stream can tell."""
        audio = audio_of(stream)
        _, heard = _gaps(audio, state, (), None)
        events = _events(audio, heard)
        hops = max(1, state["next"] - state["lost"])
        order = channel_order(audio, state["bass"] / hops, state["rest"] / hops, end.end, DEFECTS)
        if order is not None:
            events = (*events, FoldEvent(Phase.NEW, order), FoldEvent(Phase.END, order))
        found = journal.get("hum", _no_lines(audio.channels))
        return Outcome(events, measurements(audio, state, found, end))


def _nothing_followed(audio: AudioFormat) -> dict[str, Any]:
    """The part of the state that looks from hop to hop, where nothing is known of what was before."""
    return {
        "open": np.full((audio.channels, 4), -1, np.int64),
        "recent": dropouts.NONE,
        "waiting": dropouts.NONE,
        "judged": -1,
        "slow": np.zeros((0, POINTS, audio.channels), np.float32),
    }


def _no_lines(channels: int) -> NDArray[np.float64]:
    return np.zeros((0, 2, len(MAINS), HARMONICS, channels))


def _sums(state: Mapping[str, Any], signals: Signals) -> dict[str, Any]:
    arrays = signals.arrays
    reach = arrays["reach"].max(axis=1)
    return {
        "invalid": state["invalid"] + int(arrays["invalid"].sum()),
        "samples": state["samples"] + int(arrays["samples"].sum()),
        "clicks": state["clicks"] + int(arrays["clicks"].max(axis=1).sum()),
        "used": state["used"] | (int(np.bitwise_or.reduce(arrays["used"], axis=None)) & 0xFFFFFFFF),
        "reach": state["reach"] + np.bincount(reach, minlength=len(state["reach"])),
        "bass": state["bass"] + arrays["bass"].sum(axis=0, dtype=np.float64),
        "rest": state["rest"] + arrays["rest"].sum(axis=0, dtype=np.float64),
    }


def _gaps(
    audio: AudioFormat, state: Mapping[str, Any], observations: Iterable[Mapping[str, Any]], now: int | None
) -> tuple[dict[str, Any], list[dropouts.Dropout]]:
    open_, ended = dropouts.paired(state["open"], (Edge(**o) for o in observations))
    judge = dropouts.GapJudge(audio.rate, DEFECTS)
    kept, heard = dropouts.follow(judge, {name: state[name] for name in _GAPS}, ended, now)
    return {**kept, "open": open_}, heard


def _hum(waiting: NDArray[np.float32], signals: Signals) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """What is left over of the slow signal, and the lines of the windows that are whole; windows begin at multiples of 4 s."""
    series = np.concatenate([waiting, signals.arrays["slow"]])
    first = signals.end_row - len(series)
    series = series[-first % WINDOW :]
    whole = len(series) // WINDOW
    windows = series[: whole * WINDOW].reshape(whole, WINDOW * POINTS, series.shape[2])
    found = [lines(window) for window in windows]
    return series[whole * WINDOW :], np.stack(found) if found else _no_lines(series.shape[2])


def _events(audio: AudioFormat, heard: Iterable[dropouts.Dropout]) -> tuple[FoldEvent, ...]:
    drafts = [_draft(audio, dropout) for dropout in heard]
    return tuple(FoldEvent(phase, draft) for draft in drafts for phase in (Phase.NEW, Phase.END))


def _draft(audio: AudioFormat, found: dropouts.Dropout) -> FindingDraft:
    seconds = found.lost / audio.rate
    names = ", ".join(channel_name(audio, c) for c in found.channels)
    what = "digital zero" if found.zero else "a held sample"
    where = "" if found.gaps == 1 else f" in {found.gaps} gaps"
    text = f"Dropout in {names}: {what} for {1000 * seconds:.1f} ms{where} while sound goes on before and after"
    return FindingDraft("audio.dropout", found.start, found.end, seconds, "s", text, found.channels)
