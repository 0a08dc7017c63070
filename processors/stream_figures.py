"""What is known of a stream without looking at it or listening to it, as measurements: profiles set limits on these, too."""

from __future__ import annotations

from collections.abc import Iterator

from processors.aggregate import Aggregate, StreamState
from processors.findings import MeasurementDraft
from processors.signals.sound_figures import PROGRAMME


def stream_figures(aggregate: Aggregate) -> Iterator[tuple[str, MeasurementDraft]]:
    """Of every analysed stream: of sound sample rate, channels, duration and bit rate; of both how their time runs."""
    for name, state in aggregate.streams.items():
        for draft in (*_sound(state), *_timing(state)):
            yield name, draft


def _timing(state: StreamState) -> Iterator[MeasurementDraft]:
    timing, kind = state.plan.timing, state.plan.kind
    if timing is None:
        return
    presentation = PROGRAMME if kind == "audio" else None
    method = "when the first is presented, on the file's own clock, after edit lists"
    yield MeasurementDraft(f"{kind}.first_pts", timing.first, "s", method, presentation=presentation)
    if kind == "video":
        few = None if timing.irregular is not None else "fewer than three pictures with timestamps"
        method = "share of packets' distances in time that differ by more than a tick from the one before (vfrdet)"
        yield MeasurementDraft("video.vfr_ratio", timing.irregular, "ratio", method, few is None, few)
        method = "pictures that are decoded and that an edit list takes out"
        yield MeasurementDraft("video.edited_out", timing.edited_out, "frames", method)


def _sound(state: StreamState) -> Iterator[MeasurementDraft]:
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
