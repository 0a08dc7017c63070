"""The spectrum of each hop in bands of 500 Hz: how high it reaches, and how much of it is bass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from processors.signals.sound_hops import HopView
from processors.signals.sound_limits import DefectLimits

BAND_HZ = 500
"""Five bins of a hop's transform, which are 100 Hz apart (or nearly, where the rate is no multiple of 100)."""

_BINS = 5


def band_count(rate: int) -> int:
    """Bands up to half the rate, the last one perhaps in part."""
    return -(-(rate // 100 // 2 + 1) // _BINS)


def hop_bands(view: HopView, limits: DefectLimits) -> dict[str, NDArray[Any]]:
    """Signals by channel, ``(rows, channels)``: ``reach`` int16, ``bass`` and ``rest`` float32.

    ``reach`` is the number of bands up to the highest one that has ``band_level`` (dBFS) and is within ``band_range`` (dB) of
    the loudest, 0 in a hop that is silent; ``bass`` is the mean square below 500 Hz, ``rest`` that above. A hop that the
    stream's end cuts short has none.
    """
    size = view.rate // 100
    shape = (view.rows, len(view.raw))
    whole = int((view.edges[:-1] + size <= view.raw.shape[1]).sum())
    powers = np.zeros((*shape, band_count(view.rate)), np.float32)
    if whole:
        powers[:whole] = _powers(view, view.edges[:whole], size)
    least = np.maximum(10 ** (limits.band_level / 10), powers.max(axis=-1, keepdims=True) * 10 ** (-limits.band_range / 10))
    above = powers >= least
    reach = np.where(above.any(axis=-1), above.shape[-1] - np.argmax(above[..., ::-1], axis=-1), 0)
    bass, rest = powers[..., 0], powers[..., 1:].sum(axis=-1)
    silent = bass + rest < 10 ** (limits.channel_level / 10)
    return {"reach": np.where(silent, 0, reach).astype(np.int16), "bass": bass, "rest": rest}


def _powers(view: HopView, starts: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """Mean squares of hops' bands: ``(hops, channels, bands)``."""
    from scipy.fft import rfft  # not needed by the decoder, which only reads task specs
    from scipy.signal.windows import blackmanharris

    window = blackmanharris(size, sym=False)  # what leaks beyond 400 Hz is 92 dB down
    weight = (window * view.scale / np.sqrt(size * np.square(window).sum() / 2)).astype(np.float32)
    hops = sliding_window_view(view.raw, size, axis=-1)[:, starts] * weight
    lines = rfft(hops, axis=-1)
    power = np.square(lines.real) + np.square(lines.imag)
    bands: NDArray[np.float32] = np.add.reduceat(power, np.arange(0, power.shape[-1], _BINS), axis=-1)
    return np.swapaxes(bands, 0, 1)
