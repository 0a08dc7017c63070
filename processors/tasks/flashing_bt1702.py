"""Flashing after ITU-R BT.1702-3: screening for flashes and patterns that may cause photosensitive seizures; no certificate."""

from __future__ import annotations

import cv2
import numpy as np

from processors.signals.bt1702_model import MOST_CHANGES, Bt1702Model
from processors.signals.display_light import SATURATED, SDR_PEAK
from processors.signals.flash_cells import DARK, LEAST, cell_signals
from processors.signals.flash_fold import CODES, FlashFold, frame_times
from processors.signals.flash_patterns import PATTERN, STILL_AREA, TURNING_AREA
from processors.signals.flash_places import AREA
from processors.signals.flash_stripes import PAIRS, stripe_signals
from processors.tasks.base import Fold, TaskSpec, chunk_rows
from schemas.cell import Signals
from schemas.chunk import Chunk

SPEC = TaskSpec(
    name="flashing-bt1702",
    version="1.1.0",
    kind="video",
    where="agent",
    rendition="proxy",
    summary="Luminance and red flashes and regular patterns after ITU-R BT.1702-3 (screening)",
    after=1,
    params={
        "change_nits": LEAST,
        "dark_nits": DARK,
        "sdr_white_nits": SDR_PEAK,
        "area": AREA,
        "changes_per_second": MOST_CHANGES,
        "saturated_red": SATURATED,
        "pattern_pairs": PAIRS,
        "pattern_still_area": STILL_AREA,
        "pattern_turning_area": TURNING_AREA,
    },
    findings=(*CODES, PATTERN),
)


class Bt1702Runner:
    """What :func:`~processors.signals.flash_cells.cell_signals` and :func:`~processors.signals.flash_stripes.stripe_signals`
    give, and when.
    """

    runtime = f"numpy {np.__version__}, opencv {cv2.__version__}"

    def __call__(self, chunk: Chunk) -> Signals:
        """Signals of the chunk's owned frames."""
        low, high = chunk_rows(SPEC, chunk)
        arrays = cell_signals(chunk, low, high) | stripe_signals(chunk, low, high)
        return Signals(low, high - low, frame_times(chunk, low, high) | arrays)


class FlashingBt1702:
    """The task as the registry knows it."""

    spec = SPEC
    fold: Fold = FlashFold(Bt1702Model())

    def load(self, device: str) -> Bt1702Runner:
        """A runner; it works on the CPU whatever the device."""
        return Bt1702Runner()


TASK = FlashingBt1702()
