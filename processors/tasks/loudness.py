"""Loudness and peaks of a programme: ITU-R BS.1770-5, EBU Tech 3341 and 3342, at hops of 10 ms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import MeasurementDraft
from processors.signals import sound_gating as gating
from processors.signals.sound_channels import loudness_weights, positions
from processors.signals.sound_figures import PROGRAMME, audio_of, doubt, too_slow
from processors.signals.sound_hops import MIN_RATE, FloatArray, HopView, hop_edges, hop_reduce, window_sum
from processors.signals.sound_kweighting import k_weight
from processors.signals.sound_true_peak import inter_sample_peaks
from processors.tasks.base import Fold, Outcome, Step, StreamContext, StreamEnd, TaskSpec
from schemas.cell import Signals
from schemas.chunk import Chunk
from schemas.plan import AudioFormat

BS1770 = "ITU-R BS.1770-5"
TECH3342 = "EBU Tech 3342"
RANGE_RELIABLE_SECONDS = 60
"""EBU Tech 3342: the range of a shorter programme says little."""

SILENCE_POWER = 1e-20
"""Full scales squared. Below it (−200 dB) is digital silence and the filter's rounding."""

SPEC = TaskSpec(
    name="loudness",
    version="1.0.0",
    kind="audio",
    where="agent",
    rendition="audio",
    summary="Programme loudness, loudness range, momentary and short-term maxima, true peak and sample peak",
    before=25,
    after=1,
    params={"absolute_gate": gating.ABSOLUTE_GATE, "relative_gate": gating.RELATIVE_GATE, "run_in_hops": 25},
)


class LoudnessRunner:
    """Energies and peaks of a chunk's hops.

    Signals, one row a hop: ``energy`` (sum of squares of the K-weighted samples, unweighted by position), ``peak`` and
    ``true_peak`` (absolute, full scales), each ``(rows, channels)`` float64; ``samples`` and ``invalid`` (samples that are no
    sound) int32. Below 4 kHz, and where a chunk gives no rows, there are none.
    """

    runtime = f"numpy {np.__version__}"

    def __call__(self, chunk: Chunk) -> Signals:
        """Signals of the hops whose context the chunk holds. Raises ``WireError`` on what is no audio chunk."""
        view = HopView.of(SPEC, chunk)
        if view.rate < MIN_RATE or not view.rows:
            return Signals(view.first_row, view.rows)
        samples = view.floats()
        weighted = k_weight(samples[:, : view.edges[-1]], view.rate)
        np.square(weighted, out=weighted)
        peak = np.maximum(
            hop_reduce(np.maximum, samples, view.edges),
            -hop_reduce(np.minimum, samples, view.edges),
        )
        arrays = {
            "energy": hop_reduce(np.add, weighted, view.edges).T,
            "peak": peak.T,
            "true_peak": np.maximum(peak, inter_sample_peaks(samples, view.edges, view.rate)).T,
            "samples": view.lengths,
            "invalid": view.invalid,
        }
        return Signals(view.first_row, view.rows, arrays)


class LoudnessFold:
    """Windows over the energies, and the highest values. The gating blocks and short-term values go to the journal."""

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """The state before the first hop."""
        return {
            "next": 0,
            "lost": 0,
            "invalid": 0,
            "tail": np.zeros(0),
            "momentary": None,
            "short_term": None,
            "peak": None,
            "true_peak": None,
        }

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Fold hops in."""
        audio = audio_of(stream)
        if not signals.rows or audio.rate < MIN_RATE:
            return Step(state)
        energy = signals.arrays["energy"]
        lost = signals.first_row - state["next"]
        if energy.shape[1] != audio.channels:
            return Step(state)
        tail = np.zeros(0) if lost else state["tail"]
        full = signals.arrays["samples"] == np.diff(hop_edges(audio.rate, signals.first_row, signals.rows))
        power = (energy[full] * loudness_weights(audio)).sum(axis=1) * (100 / audio.rate)
        series = np.concatenate([tail, power])
        first = signals.first_row - len(tail)
        momentary, blocks = _windows(series, first, len(tail), gating.MOMENTARY_HOPS)
        short_term, steps = _windows(series, first, len(tail), gating.SHORT_TERM_HOPS)
        new = {
            "next": signals.end_row,
            "lost": state["lost"] + lost,
            "invalid": state["invalid"] + int(signals.arrays["invalid"].sum()),
            "tail": series[max(0, len(series) - gating.SHORT_TERM_HOPS + 1) :],
            "momentary": _highest(state["momentary"], momentary),
            "short_term": _highest(state["short_term"], short_term),
            "peak": _highest(state["peak"], signals.arrays["peak"]),
            "true_peak": _highest(state["true_peak"], signals.arrays["true_peak"]),
        }
        return Step(new, journal={"blocks": blocks, "steps": steps})

    def so_far(self, stream: StreamContext, state: dict[str, Any]) -> tuple[MeasurementDraft, ...]:
        """The maxima and peaks, which can only rise."""
        audio = audio_of(stream)
        return _maxima(audio, state, _doubts(audio, state, None))

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """The measurements of the whole stream."""
        audio = audio_of(stream)
        doubts = _doubts(audio, state, end)
        blocks, steps = journal.get("blocks", np.zeros(0)), journal.get("steps", np.zeros(0))
        seconds = end.end / audio.rate
        return Outcome(
            measurements=(
                _draft(
                    "loudness.integrated", gating.integrated(blocks), "LUFS", BS1770, _gated_away(audio, blocks, 0.4), doubts
                ),
                _range(audio, steps, seconds, doubts),
                *_maxima(audio, state, doubts),
            )
        )


def _maxima(audio: AudioFormat, state: Mapping[str, Any], doubts: Mapping[str, str]) -> tuple[MeasurementDraft, ...]:
    return (
        _level("loudness.max_momentary", state["momentary"], _why_none(audio, state["momentary"], 0.4), doubts),
        _level("loudness.max_short_term", state["short_term"], _why_none(audio, state["short_term"], 3.0), doubts),
        _peak("loudness.true_peak", state["true_peak"], "dBTP", BS1770, audio, doubts),
        _peak("audio.peak", state["peak"], "dBFS", "sample peak", audio, doubts),
    )


def _windows(series: FloatArray, first: int, old: int, size: int) -> tuple[FloatArray, FloatArray]:
    """Mean powers of the windows of ``size`` hops that end in the new part, and of those that begin at a whole 100 ms.

    ``first`` is the hop of ``series[0]``, ``old`` how much of it was there before.
    """
    skip = max(0, old - size + 1)
    means = window_sum(series[skip:], size) / size
    return means, means[-(first + skip) % gating.STEP_HOPS :: gating.STEP_HOPS]


def _highest(so_far: float | None, values: FloatArray) -> float | None:
    if not values.size:
        return so_far
    top = float(values.max())
    return top if so_far is None else max(so_far, top)


def _doubts(audio: AudioFormat, state: Mapping[str, Any], end: StreamEnd | None) -> dict[str, str]:
    """Why figures are not to be relied on: ``any`` figure, or the ones that weigh channels by ``position``. Lost samples are
    no doubt about a figure so far (``end`` None).
    """
    why = None if end is None else doubt(state, end)
    doubts = {} if why is None else {"any": why}
    if positions(audio) is None:
        doubts["position"] = "channel positions are unknown: each weighs 1.0"
    return doubts


def _draft(
    id: str, value: float | None, unit: str, method: str, reason: str | None, doubts: Mapping[str, str]
) -> MeasurementDraft:
    if value is not None:
        reason = doubts.get("any") or (doubts.get("position") if unit in ("LUFS", "LU") else None)
    return MeasurementDraft(id, value, unit, method, reliable=reason is None, reason=reason, presentation=PROGRAMME)


def _range(audio: AudioFormat, steps: FloatArray, seconds: float, doubts: Mapping[str, str]) -> MeasurementDraft:
    value = gating.loudness_range(steps)
    draft = _draft("loudness.range", value, "LU", TECH3342, _gated_away(audio, steps, 3.0), doubts)
    if value is None or seconds >= RANGE_RELIABLE_SECONDS or draft.reason is not None:
        return draft
    reason = f"the programme is shorter than {RANGE_RELIABLE_SECONDS} s"
    return MeasurementDraft(draft.id, value, "LU", TECH3342, reliable=False, reason=reason, presentation=PROGRAMME)


def _level(id: str, power: float | None, reason: str | None, doubts: Mapping[str, str]) -> MeasurementDraft:
    value = None if reason or power is None else gating.lufs(power)
    return _draft(id, value, "LUFS", BS1770, reason, doubts)


def _peak(
    id: str, peak: float | None, unit: str, method: str, audio: AudioFormat, doubts: Mapping[str, str]
) -> MeasurementDraft:
    value = 20 * math.log10(peak) if peak else None
    return _draft(id, value, unit, method, _why_none(audio, None if peak is None else peak**2, 0.0), doubts)


def _gated_away(audio: AudioFormat, powers: FloatArray, window: float) -> str | None:
    return _why_none(audio, float(powers.max()) if len(powers) else None, window) or "all of it is below the gate of -70 LUFS"


def _why_none(audio: AudioFormat, power: float | None, window: float) -> str | None:
    """Why there is no figure, if there is none."""
    if power is None:
        return too_slow(audio) or (f"there is no whole window of {window:g} s" if window else "there are no samples")
    return "digital silence" if power <= SILENCE_POWER else None


class LoudnessTask:
    """The task as the registry knows it."""

    spec = SPEC
    fold: Fold = LoudnessFold()

    def load(self, device: str) -> LoudnessRunner:
        """A runner; it works on the CPU whatever the device."""
        return LoudnessRunner()


TASK = LoudnessTask()
