"""Stretches in which a channel stands still (digital zero, or a held value), with what is heard on either side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.signals.sound_hops import FloatArray, HopView
from processors.signals.sound_limits import DefectLimits, full_scales

BEGIN, END = "hold-begins", "hold-ends"
"""Kinds of observations."""

_ZERO = 2.0**-24
"""What is below, in full scales, is digital zero: decoders leave such residues of silence in float samples."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One end of a stretch: its first sample, or one past its last, in the stream.

    ``sudden`` says that the channel sounds on this side right up to the stretch (see :func:`_sudden`) and it is no wave's
    top, ``zero`` that the stretch is digital zero, ``loud`` that the sound beside it is far above what words end with.
    """

    kind: str
    channel: int
    at: int
    zero: bool
    sudden: bool
    loud: bool

    def to_json(self) -> dict[str, Any]:
        """An observation; ``Edge(**body)`` is the inverse."""
        return asdict(self)


def hold_edges(view: HopView, limits: DefectLimits) -> tuple[Edge, ...]:
    """The ends of constant stretches that lie in the view's output hops, in order of time.

    Stretches as long as a pause are all there. Of shorter ones, which the view's context shows whole, only those are that are
    sudden at both ends: waves made of steps stand still all the time.
    """
    least, pause = (max(2, math.ceil(s * view.rate)) for s in (limits.hold_seconds, limits.pause_seconds))
    low, high = int(view.edges[0]), int(view.edges[-1])
    edges: list[Edge] = []
    for channel, codes in enumerate(view.raw):
        for start, end in _constant(codes, least):
            if end <= low or start >= high:
                continue
            found = [_edge(view, limits, channel, kind, start, end) for kind in (BEGIN, END)]
            if end - start >= pause or all(edge.sudden for edge in found):
                edges += [e for e, place in zip(found, (start, end - 1), strict=True) if low <= place < high]
    return tuple(sorted(edges, key=lambda e: (e.at, e.channel, e.kind == BEGIN)))


def _constant(codes: NDArray[Any], least: int) -> Iterator[tuple[int, int]]:
    """Stretches of at least ``least`` equal samples, half-open."""
    equal = np.zeros(len(codes) + 1, np.bool_)
    np.equal(codes[1:], codes[:-1], out=equal[1 : len(codes)])
    turns = np.flatnonzero(equal[1:] != equal[:-1])
    long = turns[1::2] - turns[::2] + 1 >= least
    return zip(turns[::2][long].tolist(), (turns[1::2][long] + 1).tolist(), strict=True)


def _edge(view: HopView, limits: DefectLimits, channel: int, kind: str, start: int, end: int) -> Edge:
    codes = view.raw[channel]
    value = float(codes[start]) * view.scale
    value = value if abs(value) >= _ZERO else 0.0
    before, after = (_beside(view, limits, codes, at, way) for at, way in ((start, -1), (end, 1)))
    sudden = _sudden(before if kind == BEGIN else after, value, limits, view.rate)
    if sudden and value and end - start < limits.extreme_seconds * view.rate:
        sudden = not _flat_top(before, after, value, limits)
    at, side = (start, before) if kind == BEGIN else (end, after)
    loud = sudden and _rms(side - side.mean()) >= full_scales(limits.loud_level)
    return Edge(kind, channel, view.first_unit + at, value == 0, sudden, loud)


def _beside(view: HopView, limits: DefectLimits, codes: NDArray[Any], at: int, way: int) -> FloatArray:
    """The samples on one side of a stretch's end in full scales, from the nearest on; none where there are too few."""
    count = round(limits.beside_seconds * view.rate)
    side = codes[max(0, at - count) : at][::-1] if way < 0 else codes[at : at + count]
    return side.astype(np.float64) * view.scale if len(side) == count else np.zeros(0)


def _sudden(sound: FloatArray, value: float, limits: DefectLimits, rate: int) -> bool:
    """Whether a stretch at ``value`` breaks off ``sound``, the samples beside it.

    The sound is loud enough, no wave made of steps, and has not died away or faded out towards a gap of digital zero.
    """
    if not len(sound):
        return False
    away = sound - sound.mean()
    if _rms(away) < full_scales(limits.sounding_level) or np.mean(sound[1:] != sound[:-1]) < limits.alive_share:
        return False
    spans = (limits.edge_seconds, limits.sharp_seconds, limits.fade_seconds)
    edge, sharp, fade = (_rms(away[: round(seconds * rate)]) for seconds in spans)
    lasts = edge >= full_scales(limits.edge_level) and (edge >= limits.edge_share * fade or sharp >= limits.sharp_share * fade)
    return value != 0 or lasts


def _rms(sound: FloatArray) -> float:
    return math.sqrt(float(np.mean(np.square(sound))))


def _flat_top(before: FloatArray, after: FloatArray, value: float, limits: DefectLimits) -> bool:
    """Whether a stretch is the top or bottom of a wave: nothing beside it goes further, and the wave goes on without a jump."""
    if not len(before) or not len(after):
        return True
    beside = np.concatenate([before, after])
    bottom, top = float(beside.min()), float(beside.max())
    margin = limits.extreme_share * (top - bottom)
    jump = limits.extreme_jump * _rms(np.diff(after))
    return not bottom + margin < value < top - margin and abs(float(after[0]) - value) <= jump
