"""K weighting (ITU-R BS.1770-5 annex 1) for any sample rate."""

from __future__ import annotations

import math

import numpy as np

from processors.signals.sound_hops import FloatArray

RUN_IN = 0.25
"""Seconds after which the filter has forgotten its start: the high-pass' double pole at 38 Hz has decayed by 26 decades."""

_TABLE_48K = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585),
    (1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621),
)
"""BS.1770-5 tables 1 and 2."""

_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_SHELF_BAND = 0.4996667741545416
_PASS_HZ, _PASS_Q = 38.13547087602444, 0.5003270373238773


def k_weighting(rate: int) -> FloatArray:
    """Two second-order sections ``(2, 6)``: the shelf that stands for the head, and the high-pass.

    At 48 kHz the standard's own table; elsewhere the bilinear transform of the analogue prototype behind the table, with
    the high-pass' numerator left at 1, −2, 1 as the table has it and libebur128 and FFmpeg do, so that figures agree. (At
    997 Hz every rate from 8 kHz up reads within 0.05 dB of 48 kHz; at 100 Hz an 8 kHz file reads 0.22 dB louder.)
    """
    return np.array(_TABLE_48K if rate == 48000 else (_shelf(rate), _high_pass(rate)))


def _shelf(rate: int) -> tuple[float, ...]:
    k = math.tan(math.pi * _SHELF_HZ / rate)
    high = 10 ** (_SHELF_DB / 20)
    band = high**_SHELF_BAND
    a0 = 1 + k / _SHELF_Q + k * k
    b = (high + band * k / _SHELF_Q + k * k, 2 * (k * k - high), high - band * k / _SHELF_Q + k * k)
    return (*(v / a0 for v in b), 1.0, 2 * (k * k - 1) / a0, (1 - k / _SHELF_Q + k * k) / a0)


def _high_pass(rate: int) -> tuple[float, ...]:
    k = math.tan(math.pi * _PASS_HZ / rate)
    a0 = 1 + k / _PASS_Q + k * k
    return (1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / _PASS_Q + k * k) / a0)


def k_weight(samples: FloatArray, rate: int) -> FloatArray:
    """K-weighted samples of each channel, ``(channels, units)``, from a filter at rest."""
    from scipy.signal import sosfilt  # a second of imports that the decoder, which only reads task specs, does without

    weighted: FloatArray = sosfilt(k_weighting(rate), samples, axis=-1)
    return weighted
