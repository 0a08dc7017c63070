"""libebur128 by ctypes: the reference implementation that loudness is compared with."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.tools import require_library

_MODE_I, _MODE_S, _MODE_TRUE_PEAK = 0b101, 0b11, 0b110001
_UNUSED, _FRONT, _SURROUND = 0, 1, 4


@dataclass(frozen=True, slots=True)
class Reference:
    """What libebur128 says of a programme: LUFS, full scales, and LUFS of the 400 ms and 3 s windows at every 100 ms."""

    integrated: float
    true_peak: float
    momentary: NDArray[np.float64]
    short_term: NDArray[np.float64]


def measure(samples: NDArray[Any], rate: int, weights: Sequence[float]) -> Reference:
    """Measure ``(units, channels)`` int16, int32 or float32 samples; ``weights`` are the channels' BS.1770 weights."""
    library = _library()
    channels = samples.shape[1]
    state = library.ebur128_init(channels, rate, _MODE_I | _MODE_S | _MODE_TRUE_PEAK)
    pointer = ctypes.c_void_p(state)
    try:
        for channel, weight in enumerate(weights):
            kind = _UNUSED if weight == 0 else _SURROUND if weight > 1 else _FRONT
            assert library.ebur128_set_channel(pointer, channel, kind) == 0
        feed = getattr(library, {"i2": "ebur128_add_frames_short", "i4": "ebur128_add_frames_int"}.get(
            samples.dtype.str[1:], "ebur128_add_frames_float"))  # fmt: skip
        momentary, short_term = [], []
        step = rate // 10
        for first in range(0, len(samples), step):
            part = np.ascontiguousarray(samples[first : first + step])
            assert feed(pointer, part.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(part))) == 0
            done = (first + step) // step
            if len(part) == step and done >= 4:
                momentary.append(_ask(library, "loudness_momentary", pointer))
            if len(part) == step and done >= 30:
                short_term.append(_ask(library, "loudness_shortterm", pointer))
        peaks = [_ask(library, "true_peak", pointer, ctypes.c_uint(c)) for c in range(channels)]
        return Reference(
            _ask(library, "loudness_global", pointer),
            max(peaks),
            np.array(momentary),
            np.array(short_term),
        )
    finally:
        library.ebur128_destroy(ctypes.byref(pointer))


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(require_library("ebur128"))
    library.ebur128_init.restype = ctypes.c_void_p
    library.ebur128_init.argtypes = [ctypes.c_uint, ctypes.c_ulong, ctypes.c_int]
    library.ebur128_set_channel.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
    return library


def _ask(library: ctypes.CDLL, what: str, *arguments: Any) -> float:
    value = ctypes.c_double()
    assert getattr(library, f"ebur128_{what}")(*arguments, ctypes.byref(value)) == 0
    return value.value
