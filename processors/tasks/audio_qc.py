"""Sound QC: silence, mutes, dead channels, clipping, inverted polarity, dual mono, and the levels behind them.

Definitions, each from QC practice (thresholds are in ``SPEC.params``):

- ``audio.silence``: every sample of every channel below −60 dBFS for at least 2 s, to the sample (FFmpeg's silencedetect).
- ``audio.mute``: every sample of every channel exactly 0 for at least 0.5 s. A mute of 2 s or more lies inside a silence and
  is reported beside it: the silence says what is heard, the mute that nothing was recorded.
- ``audio.clipping``: runs of three or more equal samples at the highest (lowest) value that the channel ever reaches, where
  the wave would have gone on by 0.2 % of it and by eight quantisation steps: so being loud is not clipping, nor is the round
  top of a slow or quiet wave. Hops up to 0.5 s apart are one finding.
- ``audio.phase_inverted``: correlation of front left and right at or below −0.985 (170°) over windows of 0.5 s with a level
  of at least −50 dBFS; other pairs' products are in the signals.
- ``audio.dual_mono``: two channels whose difference is at least 60 dB below them over the whole stream.
- ``audio.silent_channel``: a channel that stays below −60 dBFS throughout while others do not: any of mono and stereo, the
  front ones of more (LFE and surrounds may be silent), none where positions are unknown.
- ``audio.noise_floor``: RMS over all channels of the quietest 0.5 s (at a hop of 10 ms) without a digitally silent hop.
- ``audio.head_seconds``, ``audio.tail_seconds``: room tone, the time before the first and after the last sound, which is 30 ms
  with an RMS of −50 dBFS over all channels.
- ``audio.downmix_loss``: power of front left plus right against both in phase: 0 dB for mono, 3 dB for unrelated channels.
- ``audio.rms``: over all samples of all channels; a full-scale sine reads −3.01 dBFS.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from processors.signals.sound_hops import MIN_RATE, HopView
from processors.signals.sound_levels import hop_levels
from processors.signals.sound_limits import LIMITS
from processors.signals.sound_qc_fold import SoundQcFold
from processors.tasks.base import Fold, TaskSpec
from schemas.cell import Signals
from schemas.chunk import Chunk

SPEC = TaskSpec(
    name="audio-qc",
    version="1.1.0",
    kind="audio",
    where="agent",
    rendition="audio",
    summary="Silence, mutes, dead channels, clipping, inverted polarity, dual mono, RMS, noise floor, DC offset, correlation",
    before=1,
    after=1,
    params=LIMITS.to_json(),
    findings=tuple(
        f"audio.{name}" for name in ("silence", "mute", "silent_channel", "clipping", "phase_inverted", "dual_mono")
    ),
)


class SoundQcRunner:
    """Levels of a chunk's hops: see :func:`processors.signals.sound_levels.hop_levels`. None below 4 kHz."""

    runtime = f"numpy {np.__version__}"

    def __call__(self, chunk: Chunk) -> Signals:
        """Signals of the hops whose context the chunk holds. Raises ``WireError`` on what is no audio chunk."""
        view = HopView.of(SPEC, chunk)
        arrays: dict[str, Any] = {}
        if view.rows and view.rate >= MIN_RATE:
            arrays = hop_levels(view, LIMITS.silence)
        return Signals(view.first_row, view.rows, arrays)


class SoundQcTask:
    """The task as the registry knows it."""

    spec = SPEC
    fold: Fold = SoundQcFold()

    def load(self, device: str) -> SoundQcRunner:
        """A runner; it works on the CPU whatever the device."""
        return SoundQcRunner()


TASK = SoundQcTask()
