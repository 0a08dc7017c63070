"""Spatial and temporal information after ITU-T P.910, of every frame of the proxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.findings import MeasurementDraft
from processors.signals.distribution import Distribution
from processors.signals.si_ti import si_ti
from processors.tasks.base import Fold, Outcome, Step, StreamContext, StreamEnd, TaskSpec, chunk_rows
from schemas.cell import Signals
from schemas.chunk import Chunk

SPEC = TaskSpec(
    name="si-ti",
    version="1.0.0",
    kind="video",
    where="agent",
    rendition="proxy",
    summary="Spatial and temporal information after ITU-T P.910, on the proxy",
    after=1,
)

STATISTICS = {"": ("greatest of all frames", 100), "_median": ("median of all frames", 50)}
"""Of each figure: what is added to its id, what it is, and which percentile."""
_WHAT = {"si": "standard deviation of the Sobel-filtered luma", "ti": "standard deviation of the difference to the next frame"}


class SiTiRunner:
    """What :func:`processors.signals.si_ti.si_ti` gives, and when."""

    runtime = f"numpy {np.__version__}, opencv {cv2.__version__}"

    def __call__(self, chunk: Chunk) -> Signals:
        """Signals of the chunk's owned frames."""
        low, high = chunk_rows(SPEC, chunk)
        first = chunk.header.first_row
        pts = np.asarray(chunk.header.pts[low - first : high - first], np.int64)
        size = np.broadcast_to(np.array(chunk.part("y").shape[:0:-1], np.int32), (high - low, 2))
        return Signals(low, high - low, {"pts": pts, "size": size, **si_ti(chunk, low, high)})


class SiTiFold:
    """Gathers the distributions. SI and TI depend on the picture's size: it is part of the method."""

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """Nothing seen yet."""
        return {"sizes": [], **Distribution().to_state("si"), **Distribution().to_state("ti")}

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Count the next rows."""
        seen = {tuple(size) for size in state["sizes"]} | {tuple(size) for size in signals.arrays["size"].tolist()}
        after: dict[str, Any] = {"sizes": [list(size) for size in sorted(seen)]}
        for name in _WHAT:
            after |= Distribution.of_state(name, state).add(signals.arrays[name]).to_state(name)
        return Step(after)

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """The figures of the stream."""
        where = " and ".join(f"{width}x{height}" for width, height in state["sizes"])
        found = []
        for name, what in _WHAT.items():
            values = Distribution.of_state(name, state)
            for suffix, (statistic, percent) in STATISTICS.items():
                value = values.percentile(percent)
                method = f"ITU-T P.910 on the proxy ({where}), luma stretched to 0-255: {statistic} of the {what}"
                reason = None if value is not None else "no frame was measured" if name == "si" else "there are no two frames"
                found.append(MeasurementDraft(f"video.{name}{suffix}", value, "code", method, reason=reason))
        return Outcome(measurements=tuple(found))


class SiTi:
    """The task as the registry knows it."""

    spec = SPEC
    fold: Fold = SiTiFold()

    def load(self, device: str) -> SiTiRunner:
        """A runner; it works on the CPU whatever the device."""
        return SiTiRunner()


TASK = SiTi()
