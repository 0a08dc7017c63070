"""Sound as tasks see it: a chunk's samples by channel, and the 10 ms hops that results are made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.tasks.base import TaskSpec, chunk_rows
from schemas.chunk import Chunk
from schemas.errors import WireError

MIN_RATE = 4000
"""Hz. Below it the K weighting's shelf (1.7 kHz) is beyond half the rate and hops hold too few samples: nothing is measured."""

LOUDEST = 1e6
"""Full scales. A float sample beyond it (or no number at all) is garbage, not sound: it counts as invalid and is read as 0."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class HopView:
    """A chunk's samples and the hops that a task's result on it holds.

    ``raw`` is ``(channels, units)``, C-contiguous, in code values; a code times ``scale`` is in full scales (±1).
    ``edges`` are the output hops' first samples and the last one's end, counted in the chunk: ``rows + 1`` of them. The
    stream's last hop may be short. ``first_unit`` is the chunk's first sample in the stream. ``invalid`` counts, per output
    hop, samples of any channel that are no sound.
    """

    rate: int
    first_row: int
    first_unit: int
    edges: NDArray[np.int64]
    raw: NDArray[Any]
    scale: float
    invalid: NDArray[np.int32]

    @classmethod
    def of(cls, spec: TaskSpec, chunk: Chunk) -> HopView:
        """The view that a task has of a chunk of the audio rendition. Raises ``WireError`` if it is no such chunk."""
        header = chunk.header
        if header.rate is None:
            raise WireError(f"{chunk!r} has no sample rate")
        low, high = chunk_rows(spec, chunk)
        samples = chunk.part("samples")
        raw = np.ascontiguousarray(samples.T)
        edges = hop_edges(header.rate, low, high - low) - header.first_unit
        edges = np.minimum(edges, samples.shape[0])
        if edges[0] < 0:
            raise WireError(f"{chunk!r} begins after the first hop of its result")
        raw, scale, bad = _sane(raw)
        invalid = np.zeros(high - low, np.int32) if bad is None else hop_reduce(np.add, bad.sum(axis=0, dtype=np.int32), edges)
        return cls(header.rate, low, header.first_unit, edges, raw, scale, invalid)

    def __repr__(self) -> str:
        return f"HopView(hops {self.first_row}..{self.first_row + self.rows}, {self.raw.dtype}{list(self.raw.shape)})"

    @property
    def rows(self) -> int:
        """The number of output hops."""
        return len(self.edges) - 1

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Samples per channel in each output hop."""
        return np.diff(self.edges).astype(np.int32)

    def floats(self) -> FloatArray:
        """All samples in full scales, float64."""
        full_scales: FloatArray = np.multiply(self.raw, self.scale, dtype=np.float64)
        return full_scales


def _sane(raw: NDArray[Any]) -> tuple[NDArray[Any], float, NDArray[np.bool_] | None]:
    """Samples without garbage, what one code is worth, and which samples were garbage (None: none)."""
    if raw.dtype.kind == "i":
        return raw, 0.5 ** (8 * raw.dtype.itemsize - 1), None
    if raw.dtype.kind != "f":
        raise WireError(f"samples of type {raw.dtype} are not sound")
    good = np.abs(raw) <= LOUDEST
    if good.all():
        return raw, 1.0, None
    return np.where(good, raw, raw.dtype.type(0)), 1.0, ~good


def hop_edges(rate: int, first: int, rows: int) -> NDArray[np.int64]:
    """The first samples of hops ``first`` … ``first + rows``, as :func:`schemas.chunk.hop_edge` gives them."""
    return np.arange(first, first + rows + 1, dtype=np.int64) * rate // 100


def hop_reduce(ufunc: np.ufunc, values: NDArray[Any], edges: NDArray[np.int64]) -> NDArray[Any]:
    """Reduce each hop of the last axis: ``(…, units)`` to ``(…, rows)``. Each hop's result depends on its samples alone."""
    if len(edges) < 2:
        return np.zeros((*values.shape[:-1], 0), values.dtype)
    return ufunc.reduceat(values[..., : edges[-1]], edges[:-1], axis=-1)


def window_sum(values: FloatArray, size: int) -> FloatArray:
    """Sums of every ``size`` consecutive values, in an order of addition that does not depend on where the array begins.

    Sums of powers of two are put together, so each result is the same bits however a series is cut: ``max(0, len - size +
    1)`` of them.
    """
    count = len(values) - size + 1
    if count <= 0:
        return np.zeros(0)
    total: FloatArray | None = None
    power, width, at = values, 1, 0
    while True:
        if size & width:
            part = power[at : at + count]
            total = part.copy() if total is None else total + part
            at += width
        if 2 * width > size:
            break
        power = power[:-width] + power[width:]
        width *= 2
    assert total is not None
    return total
