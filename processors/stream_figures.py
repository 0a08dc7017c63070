"""What is known of a sound stream without listening to it, as measurements: profiles set limits on these, too."""

from __future__ import annotations

from collections.abc import Iterator

from processors.aggregate import Aggregate, StreamState
from processors.findings import MeasurementDraft
from processors.signals.sound_figures import PROGRAMME


def stream_figures(aggregate: Aggregate) -> Iterator[tuple[str, MeasurementDraft]]:
    """Sample rate, channels, duration and bit rate (``audio.…``) of every analysed stream of sound."""
    for name, state in aggregate.streams.items():
        for draft in _of(state):
            yield name, draft


def _of(state: StreamState) -> Iterator[MeasurementDraft]:
    audio = state.plan.audio
    if audio is None:
        return
    seconds = state.decoded / audio.rate
    yield MeasurementDraft("audio.sample_rate", audio.rate, "Hz", "as decoded", presentation=PROGRAMME)
    yield MeasurementDraft("audio.channels", audio.channels, "count", "as decoded", presentation=PROGRAMME)
    yield MeasurementDraft("audio.duration", seconds, "s", "samples that were decoded", presentation=PROGRAMME)
    rate = state.plan.bit_rate
    reason = None if rate is not None else "the file does not say"
    method = "average, as the codec's parameters or the size of all packets say"
    yield MeasurementDraft("audio.bit_rate", rate, "bit/s", method, reason is None, reason, presentation=PROGRAMME)
