"""Mains hum: how far 50 or 60 Hz and their harmonics stand above what is beside them."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from processors.signals.sound_hops import FloatArray, HopView

POINTS = 10
"""Samples a hop of the slow signal that hum is looked for in: 1 kHz."""

MAINS = (50, 60)
HARMONICS = 5
_PASS, _STOP = 320.0, 690.0
_SECONDS = 0.005
"""Half the length of the low pass."""

_LINE_HZ, _NEAR_HZ, _FAR_HZ = 0.6, 2.0, 8.0
"""A line is looked for up to 0.6 Hz off (mains wander by 0.2 Hz, the fifth harmonic by 1, of which most is kept); what is 2 to
8 Hz off is beside it."""


@functools.lru_cache(maxsize=4)
def _low_pass(rate: int) -> NDArray[np.float32]:
    from scipy.signal import firwin

    taps: NDArray[np.float32] = firwin(2 * round(_SECONDS * rate) + 1, (_PASS + _STOP) / 2, fs=rate, window=("kaiser", 5.0))
    return taps.astype(np.float32)


def slow(view: HopView) -> NDArray[np.float32]:
    """The output hops' sound below 350 Hz at 1 kHz, in full scales: ``(rows, 10, channels)``.

    What the chunk lacks (before the stream's first sample, after its last) counts as 0.
    """
    taps = _low_pass(view.rate)
    half = len(taps) // 2
    at = np.arange(view.first_row * POINTS, (view.first_row + view.rows) * POINTS, dtype=np.int64)
    at = at * view.rate // (100 * POINTS) - view.first_unit
    padded = np.zeros((len(view.raw), int(at[-1]) + len(taps)), view.raw.dtype)
    known = view.raw[:, max(0, int(at[0]) - half) : int(at[-1]) + half + 1]
    padded[:, half + max(0, int(at[0]) - half) :][:, : known.shape[1]] = known
    windows = sliding_window_view(padded, len(taps), axis=-1)
    taps = taps * np.float32(view.scale)
    # Not as a product of matrices: its order of addition depends on how many rows there are.
    points = np.stack([np.einsum("pt,t->p", w[at].astype(np.float32), taps) for w in windows], axis=-1)
    return points.reshape(view.rows, POINTS, len(view.raw))


def lines(window: NDArray[Any]) -> FloatArray:
    """Power of each harmonic of each mains frequency and of what is beside it: ``(2, mains, harmonics, channels)``.

    ``window`` is ``(points, channels)`` of :func:`slow`. A line's power is the highest within reach, what is beside it the
    median of the bins there.
    """
    count = len(window)
    spectrum = np.abs(np.fft.rfft(window * np.hanning(count)[:, None], axis=0)) ** 2 / count**2
    hertz = np.arange(len(spectrum)) * (100 * POINTS / count)
    found = np.zeros((2, len(MAINS), HARMONICS, window.shape[1]))
    for m, mains in enumerate(MAINS):
        for k in range(HARMONICS):
            off = np.abs(hertz - mains * (k + 1))
            found[0, m, k] = spectrum[off <= _LINE_HZ].max(axis=0)
            found[1, m, k] = np.median(spectrum[(off >= _NEAR_HZ) & (off <= _FAR_HZ)], axis=0)
    return found


def hum(windows: FloatArray) -> tuple[float, int, int] | None:
    """Level above the neighbourhood in dB, mains frequency and channel of the strongest hum; None without sound.

    ``windows`` is ``(n, 2, mains, harmonics, channels)`` of :func:`lines`. Hum goes on all the time, so each line counts with
    the power that it keeps in three of four windows. The figure is ten times the logarithm of a frequency's lines' power
    against what is beside them: of the lines that stand out by 10 dB where there are two or more (one may be a note), else of
    all. 300 Hz, which both frequencies share, counts for neither.
    """
    heard = windows[(windows[:, 1] > 0).all(axis=(1, 2, 3))] if len(windows) else windows
    if not len(heard):
        return None
    line, beside = np.percentile(heard, 25, axis=0, method="lower"), np.median(heard, axis=0)[1]
    line = line[0]
    line[1, 4], beside[1, 4] = 0, 1
    best: tuple[float, int, int] | None = None
    for m, mains in enumerate(MAINS):
        for channel in np.flatnonzero((line[m] > 0).any(axis=0)).tolist():
            out = line[m, :, channel] >= 10 * beside[m, :, channel]
            out = out if out.sum() >= 2 else line[m, :, channel] > 0
            level = 10 * math.log10(line[m, out, channel].sum() / beside[m, out, channel].sum())
            if best is None or level > best[0]:
                best = level, mains, channel
    return best
