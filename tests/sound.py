"""Sound for tests: chunks as the audio rendition makes them, a task run on them, and the signals of the EBU's tables."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent, MeasurementDraft
from processors.tasks.base import AgentTask, FoldRun, Outcome, StreamContext, StreamEnd, chunk_rows
from schemas.cell import Signals, pack, unpack
from schemas.chunk import Chunk, ChunkHeader, Part, hop_edge, hops
from schemas.clock import Clock
from schemas.ids import digest
from schemas.plan import AudioFormat

LAYOUTS = {
    1: ("FC",),
    2: ("FL", "FR"),
    5: ("FL", "FR", "FC", "SL", "SR"),
    6: ("FL", "FR", "FC", "LFE", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


def random_cuts(rows: int, rng: np.random.Generator, pieces: int) -> list[int]:
    """Up to ``pieces - 1`` places to cut ``rows`` hops at."""
    return sorted({int(c) for c in rng.integers(1, max(2, rows), max(0, pieces - 1)) if c < rows})


def make_chunks(samples: NDArray[Any], rate: int, cuts: Sequence[int] = (), after: int = 0) -> list[Chunk]:
    """The audio rendition of ``(units, channels)`` samples, cut before the hops ``cuts``, with ``after`` hops of halo."""
    total = len(samples)
    rows = hops(rate, total)
    bounds = [0, *cuts, rows]
    clock = Clock(tick=(1, rate)).model_dump(mode="json")
    chunks = []
    for n, (low, high) in enumerate(pairwise(bounds)):
        last = min(rows, high + after)
        first_unit, own_end, end = (min(total, hop_edge(rate, row)) for row in (low, high, last))
        data = np.ascontiguousarray(samples[first_unit:end]).tobytes()
        header = ChunkHeader(
            asset="asset", run="run", stream="a0", segment=0, rendition="audio", n=n,
            first_row=low, rows=(high - low, last - high), first_unit=first_unit, units=(own_end - first_unit, end - own_end),
            fresh=low == 0, clock=clock, pts=(first_unit,), rate=rate, digest=digest(data),
            parts=(Part("samples", samples.dtype.str, (samples.shape[1],)),),
        )  # fmt: skip
        chunks.append(Chunk(header, data))
    return chunks


@dataclass(frozen=True, slots=True)
class Result:
    """What a task said of a stream."""

    signals: list[Signals]
    events: list[FoldEvent]
    findings: list[FindingDraft]
    outcome: Outcome
    state: dict[str, Any]

    def measurement(self, id: str, channel: int | None = None) -> MeasurementDraft:
        [draft] = [m for m in self.outcome.measurements if m.id == id and m.channel == channel]
        return draft

    def value(self, id: str, channel: int | None = None) -> float:
        draft = self.measurement(id, channel)
        assert draft.value is not None, draft.reason
        return draft.value

    def found(self, code: str) -> list[FindingDraft]:
        return [f for f in self.findings if f.code == code]


def context(rate: int, channels: int, names: Sequence[str] | None = None, form: str | None = None) -> StreamContext:
    names = LAYOUTS.get(channels, ()) if names is None else names
    audio = AudioFormat(rate=rate, channels=channels, channel_names=tuple(names), sample_format=form)
    return StreamContext("a0", "audio", Clock(tick=(1, rate)), audio=audio)


def stored(state: dict[str, Any]) -> dict[str, Any]:
    """A fold's state as it is after it was kept and read again."""
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    arrays, rest = unpack(pack(arrays, {name: value for name, value in state.items() if name not in arrays}))
    return {**rest, **arrays}


def analyse(
    task: AgentTask,
    samples: NDArray[Any],
    rate: int = 48000,
    *,
    cuts: Sequence[int] = (),
    names: Sequence[str] | None = None,
    more_after: int = 0,
    drop: Sequence[int] = (),
    form: str | None = None,
) -> Result:
    """Run a task on samples, chunk by chunk over the wire format; ``drop`` are the chunks whose results are lost and ``form``
    is the sample format that they come from.
    """
    run = FoldRun.begin(task.fold, context(rate, samples.shape[1], names, form))
    runner = task.load("cpu")
    kept: list[Signals] = []
    events: list[FoldEvent] = []
    for chunk in make_chunks(samples, rate, cuts, task.spec.halo + more_after):
        chunk = Chunk(ChunkHeader.from_bytes(chunk.header.to_bytes()), chunk.data)
        signals = Signals.from_bytes(runner(chunk).to_bytes())
        assert (signals.first_row, signals.end_row) == chunk_rows(task.spec, chunk)
        if chunk.header.n in drop:
            continue
        kept.append(signals)
        events += run.step(signals).events
        run.state = stored(run.state)
    outcome = run.finish(StreamEnd(hops(rate, len(samples)), len(samples)))
    events += outcome.events
    return Result(kept, events, [e.finding for e in run.final_findings()], outcome, run.state)


def amplitude(level: float) -> float:
    """Full scales of a level in dBFS."""
    return float(10 ** (level / 20))


def tone(rate: int, parts: Sequence[tuple[float, float | None]], channels: int = 2, hz: float = 1000.0) -> NDArray[np.float32]:
    """An in-phase sine whose level changes: (seconds, dBFS or None for silence), one after the other."""
    envelope = np.concatenate([np.full(round(s * rate), 0.0 if level is None else amplitude(level)) for s, level in parts])
    wave = envelope * np.sin(2 * np.pi * hz * np.arange(len(envelope)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def to_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Samples as 16 bit codes, clipped at full scale."""
    return np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16)


TONE_RATE = 48_000


def tone_file(path: Path, seconds: int, hertz: float = 997.0) -> Path:
    """A mono WAV file of a sine at a quarter of full scale."""
    t = np.arange(seconds * TONE_RATE) / TONE_RATE
    samples = (8000 * np.sin(2 * np.pi * hertz * t)).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, TONE_RATE, len(samples), "NONE", ""))
        out.writeframes(samples.tobytes())
    return path
