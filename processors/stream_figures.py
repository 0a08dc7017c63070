"""What is known of a sound stream without listening to it, as measurements: profiles set limits on these, too."""

from __future__ import annotations

from collections.abc import Iterator

from processors.aggregate import Aggregate, StreamState
from processors.findings import MeasurementDraft


def stream_figures(aggregate: Aggregate) -> Iterator[tuple[str, MeasurementDraft]]:
    """``audio.sample_rate``, ``audio.channels``, ``audio.duration`` and ``audio.bit_rate`` of every analysed stream of sound."""
    for name, state in aggregate.streams.items():
        for draft in _of(state):
            yield name, draft


def _of(state: StreamState) -> Iterator[MeasurementDraft]:
    audio = state.plan.audio
    if audio is None:
        return
    yield MeasurementDraft("audio.sample_rate", audio.rate, "Hz", "as decoded")
    yield MeasurementDraft("audio.channels", audio.channels, "count", "as decoded")
    yield MeasurementDraft("audio.duration", state.decoded / audio.rate, "s", "samples that were decoded")
    rate = state.plan.bit_rate
    reason = None if rate is not None else "the file does not say"
    method = "average, as the codec's parameters or the size of all packets say"
    yield MeasurementDraft("audio.bit_rate", rate, "bit/s", method, reason is None, reason)
