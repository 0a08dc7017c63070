"""Signals over time, read from the sidecar and thinned out so that a long film stays small and no extreme is lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import av
import numpy as np
from numpy.typing import NDArray

from processors.sidecar import read_signals
from processors.signals.cut import scores
from processors.signals.sound_curves import sound_curves
from schemas.cell import Signals
from schemas.events import ContentMetadata
from schemas.plan import AudioFormat
from schemas.technical import TechnicalStream

COLUMNS = 8000
"""Columns of a page's curves: at most 16,000 points and 256 KB a curve. A film of two hours has 0.9 s a column."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Curve:
    """One signal of one stream over time.

    ``seconds`` (since the container's start, rising) and ``values`` have one length; a value is NaN where there is none.
    ``panel`` says which curves share an axis.
    """

    id: str
    stream: str
    title: str
    unit: str
    panel: str
    seconds: FloatArray
    values: FloatArray

    def __repr__(self) -> str:
        return f"Curve({self.id} of {self.stream}, {len(self.values)} points)"

    def thinned(self, columns: int) -> Curve:
        """The curve with at most two points a column: see :func:`extremes`."""
        kept = extremes(self.values, columns)
        return replace(self, seconds=self.seconds[kept], values=self.values[kept])


@dataclass(frozen=True, slots=True)
class Curves:
    """What a sidecar gave, and what it did not give and why."""

    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()


def extremes(values: FloatArray, columns: int) -> NDArray[np.int64]:
    """The indices of the least and the greatest value of each of ``columns`` equal stretches, in order, each once.

    All indices where there are at most two a column. A stretch without a value gives its first index: the line breaks there.
    """
    if columns < 1:
        raise ValueError(f"a curve has at least one column, not {columns}")
    if len(values) <= 2 * columns:
        return np.arange(len(values))
    size = -(-len(values) // columns)
    rows = -(-len(values) // size)
    padded = np.full(rows * size, np.nan)
    padded[: len(values)] = values
    table = padded.reshape(rows, size)
    hole = np.isnan(table)
    low = np.where(hole, np.inf, table).argmin(axis=1)
    high = np.where(hole, -np.inf, table).argmax(axis=1)
    first = np.arange(rows) * size
    return np.unique(np.concatenate([first + low, first + high]))


def read_curves(event: ContentMetadata, *, columns: int = COLUMNS, tasks: Collection[str] | None = None) -> Curves:
    """The curves of every analysed stream, of all tasks that have any or of those named. Never raises for a sidecar."""
    dataref = event.signals.dataref
    if dataref is None:
        return Curves(notes=("The event names no sidecar, so there are no curves.",))
    curves: list[Curve] = []
    notes: list[str] = []
    made = {producer.name for producer in event.producers}
    for stream in (s for s in event.technical.streams if s.id in event.clocks):
        for task in _TASKS:
            if task.kind != stream.kind or task.name not in made or (tasks is not None and task.name not in tasks):
                continue
            try:
                found = [c.thinned(columns) for c in task.curves(event, stream, read_signals(dataref, stream.id, task.name))]
            except Exception as error:  # a store that is not there, a file that is damaged: one goes without
                notes.append(f"The curves of {stream.id} could not be read: {type(error).__name__}: {error}")
                continue
            curves += found
            if not found:
                notes.append(f"The sidecar holds no signals of {task.name} for {stream.id}.")
    return Curves(tuple(curves), tuple(notes))


def _sound(event: ContentMetadata, stream: TechnicalStream, stretches: Iterable[Signals]) -> Iterator[Curve]:
    if not stream.rate or not stream.channels:
        return
    levels = sound_curves(_audio_format(stream.rate, stream.channels, stream.layout), stretches)
    clock = event.clocks[stream.id]
    seconds = clock.seconds(clock.event_time(0)) + levels.ends / stream.rate
    for name, title, panel, unit, values in (
        ("loudness.momentary", "momentary", "Loudness", "LUFS", levels.momentary),
        ("loudness.short_term", "short-term", "Loudness", "LUFS", levels.short_term),
        ("loudness.true_peak", "true peak", "True peak", "dBTP", levels.true_peak),
    ):
        if not np.isnan(values).all():
            yield Curve(name, stream.id, title, unit, panel, seconds, values)


def _audio_format(rate: int, channels: int, layout: str | None) -> AudioFormat:
    """The format again from what the event says of it. A layout that FFmpeg has no name for has no positions."""
    try:
        names = tuple(channel.name for channel in av.AudioLayout(layout).channels) if layout else ()
    except ValueError:
        names = ()
    known = len(names) == channels and "NONE" not in names
    return AudioFormat(rate=rate, channels=channels, layout=layout, channel_names=names if known else ())


def _picture(event: ContentMetadata, stream: TechnicalStream, stretches: Iterable[Signals]) -> Iterator[Curve]:
    kept = sorted((s for s in stretches if s.rows), key=lambda s: s.first_row)
    if not kept:
        return
    clock = event.clocks[stream.id]
    ticks, second = clock.tick
    seconds = (_broken(kept, "pts", hole=False) - clock.origin_pts) * (ticks / second)
    for name, title, unit, signal in (
        ("video.luma_mean", "Mean luma", "8-bit code", "luma_mean"),
        ("video.black_ratio", "Black pixels", "share", "black_ratio"),
        ("video.difference", "Difference", "of full scale", "diff"),
    ):
        values = _broken(kept, signal)
        if not np.isnan(values).all():
            yield Curve(name, stream.id, title.lower(), unit, title, seconds, values)
    if all("luma_diff" in s.arrays for s in kept):  # sidecars of native-picture 1.0 have none
        yield Curve(
            "video.cut_score",
            stream.id,
            "cut score",
            "of full scale",
            "Difference",
            seconds,
            scores(_broken(kept, "luma_diff")),
        )


def _broken(stretches: list[Signals], name: str, *, hole: bool = True) -> FloatArray:
    """A signal of all stretches. Where rows are missing between two, one more row: NaN, or (no ``hole``) the last value."""
    parts: list[FloatArray] = []
    end = stretches[0].first_row
    for signals in stretches:
        values = np.asarray(signals.arrays[name], np.float64)
        if signals.first_row != end:
            parts.append(np.array([np.nan if hole else parts[-1][-1]]))
        parts.append(values)
        end = signals.end_row
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class _TaskCurves:
    """A task whose signals are drawn."""

    name: str
    kind: str
    curves: Callable[[ContentMetadata, TechnicalStream, Iterable[Signals]], Iterator[Curve]]


_TASKS = (_TaskCurves("loudness", "audio", _sound), _TaskCurves("native-picture", "video", _picture))
