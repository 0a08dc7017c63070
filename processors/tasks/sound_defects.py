"""Defects of sound that need a close look: dropouts, channels in the wrong order, clicks, hum, false high resolution.

Definitions (thresholds are in ``SPEC.params``):

- ``audio.dropout``: a channel stands still, at digital zero or at a held sample, for 2 ms to 0.5 s while it sounds: at −45 dBFS
  in the 50 ms on either side, and at −48 dBFS in the 3 ms right at digital zero, without fading out or in. Pauses are none
  (gaps of 50 ms or more among others like them within 5 s), nor are rhythms (four gaps at the same distance).
- ``audio.channel_order``: the channel called LFE has the whole range and exactly one other nothing above 500 Hz.
- ``audio.clicks``: single impulses a minute; informative.
- ``audio.hum``: 50 or 60 Hz and harmonics against what is beside them, where it is strongest; informative.
- ``audio.bandwidth``: how high the sound reaches in one of twenty hops; ``audio.bandwidth_ratio`` is that by half the rate.
- ``audio.bit_depth``: bits down to the lowest one in use; ``audio.padded_bits`` are those of the sample format that are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from processors.signals.sound_bands import hop_bands
from processors.signals.sound_clicks import clicks
from processors.signals.sound_defect_fold import DefectFold
from processors.signals.sound_depth import used_bits
from processors.signals.sound_holds import hold_edges
from processors.signals.sound_hops import MIN_RATE, HopView
from processors.signals.sound_hum import slow
from processors.signals.sound_limits import DEFECTS
from processors.tasks.base import Fold, TaskSpec
from schemas.cell import Signals
from schemas.chunk import Chunk

SPEC = TaskSpec(
    name="sound-defects",
    version="1.0.0",
    kind="audio",
    where="agent",
    rendition="audio",
    summary="Dropouts, channel order, clicks, hum, effective bandwidth and bit depth",
    before=12,
    after=12,
    params=DEFECTS.to_json(),
    findings=("audio.dropout", "audio.channel_order"),
)


class SoundDefectsRunner:
    """What each hop of a chunk has.

    Signals by hop and channel: ``clicks`` and ``used`` (int32, see :func:`used_bits`), ``reach``, ``bass`` and ``rest`` (see
    :func:`hop_bands`), ``slow`` ``(rows, 10, channels)`` (see :func:`slow`); by hop: ``samples`` and ``invalid``. Observations
    are the ends of constant stretches. None of it below 4 kHz.
    """

    runtime = f"numpy {np.__version__}"

    def __call__(self, chunk: Chunk) -> Signals:
        """Signals of the hops whose context the chunk holds. Raises ``WireError`` on what is no audio chunk."""
        view = HopView.of(SPEC, chunk)
        if not view.rows or view.rate < MIN_RATE:
            return Signals(view.first_row, view.rows)
        arrays: dict[str, Any] = {
            "clicks": clicks(view, DEFECTS),
            "used": used_bits(view),
            "slow": slow(view),
            **hop_bands(view, DEFECTS),
            "samples": view.lengths,
            "invalid": view.invalid,
        }
        return Signals(view.first_row, view.rows, arrays, tuple(edge.to_json() for edge in hold_edges(view, DEFECTS)))


class SoundDefectsTask:
    """The task as the registry knows it."""

    spec = SPEC
    fold: Fold = DefectFold()

    def load(self, device: str) -> SoundDefectsRunner:
        """A runner; it works on the CPU whatever the device."""
        return SoundDefectsRunner()


TASK = SoundDefectsTask()
