"""Flashing as the tool ``iris`` counts it (electronicarts/IRIS): a second opinion beside ITU-R BT.1702-3; no certificate."""

from __future__ import annotations

import cv2
import numpy as np

from processors.signals.flash_fold import CODES, LUMINANCE, RED, FlashFold, frame_times
from processors.signals.iris_light import iris_signals
from processors.signals.iris_model import AREA, EXTENDED_SECONDS, EXTENDED_WINDOW, LIMITS, MOST, WARNING, IrisModel
from processors.tasks.base import Fold, TaskSpec, chunk_rows
from schemas.cell import Signals
from schemas.chunk import Chunk

SPEC = TaskSpec(
    name="flashing-iris",
    version="1.0.0",
    kind="video",
    where="agent",
    rendition="proxy",
    summary="Luminance and red flashes as the tool iris counts them (screening)",
    after=1,
    params={
        "luminance_change": LIMITS[LUMINANCE].change,
        "luminance_dark": LIMITS[LUMINANCE].dark,
        "red_change": LIMITS[RED].change,
        "area": AREA,
        "transitions_per_second": MOST,
        "extended_transitions": WARNING,
        "extended_seconds": EXTENDED_SECONDS,
        "extended_window": EXTENDED_WINDOW,
    },
    findings=CODES,
    second_opinion=True,
)


class IrisRunner:
    """What :func:`processors.signals.iris_light.iris_signals` gives, and when."""

    runtime = f"numpy {np.__version__}, opencv {cv2.__version__}"

    def __call__(self, chunk: Chunk) -> Signals:
        """Signals of the chunk's owned frames."""
        low, high = chunk_rows(SPEC, chunk)
        return Signals(low, high - low, frame_times(chunk, low, high) | iris_signals(chunk, low, high))


class FlashingIris:
    """The task as the registry knows it."""

    spec = SPEC
    fold: Fold = FlashFold(IrisModel())

    def load(self, device: str) -> IrisRunner:
        """A runner; it works on the CPU whatever the device."""
        return IrisRunner()


TASK = FlashingIris()
