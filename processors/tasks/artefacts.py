"""Artefacts that are seen rather than counted: what a lossy way, a tape, a deinterlacer, a scaler or too few bits leave.

A small network scores the stills; where it is no better than a threshold on clips that it was not trained on, the
threshold's figure is the score. docs/models/artefacts.md has the comparison.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from processors.signals.artefact_fold import LIMIT, Artefact, ArtefactFold
from processors.signals.artefact_metrics import metrics
from processors.signals.artefact_scores import Networks, network_scores
from processors.signals.still_planes import StillPlanes, still_planes
from processors.tasks.base import TaskSpec, chunk_rows
from schemas.cell import Signals
from schemas.chunk import Chunk

WEIGHTS_SHA256 = "411033cd1f1a0888ed9f77ec80a5af8a4dfac52e1cdd7794115d62d7a3e3c155"
"""Of ``processors/models/artefacts.safetensors``; it is checked when the networks are loaded."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Where the score of a class comes from: ``figure`` is a network's logit or a threshold's metric.

    A figure at ``threshold`` scores 0.5, one that is 1 above it 0.73.
    """

    by: Literal["network", "threshold"]
    threshold: float

    def score(self, figure: float) -> float:
        """In 0 to 1; NaN stays."""
        if math.isnan(figure):
            return figure
        return 1 / (1 + math.exp(-min(max(figure - self.threshold, -500.0), 500.0)))


DETECTORS: dict[str, Detector] = {
    "macroblocks": Detector("network", 3.807),
    "dropout": Detector("network", 2.611),
    "combing": Detector("network", 0.6405),
    "upscaled": Detector("network", 2.067),
    "compression": Detector("network", 0.8307),
    "timecode": Detector("threshold", 7.3),
}
"""As chosen on rendered stills and measured on clips by ``python -m scripts.artefacts.evaluate``."""

_NAMES = {by: [name for name, d in DETECTORS.items() if d.by == by] for by in ("network", "threshold")}

_SEEN = {
    "macroblocks": ("Blocks of the picture are lost or wrong, as after lost packets", 1),
    "dropout": ("Streaks along lines, as a tape leaves where its signal drops out", 1),
    "combing": ("Lines of two moments in one picture: combs at what moves", 3),
    "upscaled": ("The picture is enlarged from fewer pixels", 5),
    "compression": ("Too few bits: detail is gone, edges ring and blocks show", 3),
    "timecode": ("A timecode is burnt into the picture", 3),
}
"""What a finding says, and how many stills in a row make one: more where the whole programme would be so."""

ARTEFACTS = tuple(
    Artefact(name, text, stills, f"by {'a trained network' if DETECTORS[name].by == 'network' else 'a threshold'}")
    for name, (text, stills) in _SEEN.items()
)


@dataclass(frozen=True, slots=True)
class ArtefactsRunner:
    """The task on one device."""

    networks: Networks
    runtime: str

    def __call__(self, chunk: Chunk) -> Signals:
        """``pts``, and by class a score (float64, 0 to 1; NaN where the picture is too small). Each still by itself, so
        that none depends on what else is in the chunk.
        """
        low, high = chunk_rows(TASK.spec, chunk)
        first = chunk.header.first_row
        found = [self.scores(still_planes(chunk, row - first)) for row in range(low, high)]
        columns = {name: np.array([scores[name] for scores in found], np.float64) for name in _SEEN}
        pts = np.asarray(chunk.header.pts[low - first : high - first], dtype=np.int64)
        return Signals(low, high - low, {"pts": pts, **columns})

    def scores(self, still: StillPlanes) -> dict[str, float]:
        """The scores of one still."""
        figures = network_scores(self.networks, still, _NAMES["network"]) | metrics(still, _NAMES["threshold"])
        return {name: detector.score(figures[name]) for name, detector in DETECTORS.items()}


@dataclass(frozen=True, slots=True)
class ArtefactsTask:
    """Artefacts, on the rendition ``stills``."""

    spec: TaskSpec
    fold: ArtefactFold

    def load(self, device: str) -> ArtefactsRunner:
        """The networks on ``cpu`` or ``cuda``. Raises ``SetupError`` if their weights are not the expected ones."""
        import torch

        from processors.models.artefacts import Artefacts

        return ArtefactsRunner(Artefacts(device, WEIGHTS_SHA256), f"torch {torch.__version__} {device}")


TASK = ArtefactsTask(
    spec=TaskSpec(
        name="artefacts",
        version="1.0.0",
        kind="video",
        where="agent",
        rendition="stills",
        summary="Lost macroblocks, dropouts, combing, upscaling, over-compression, burnt-in timecode: a trained network",
        group="networks",
        params={"limit": LIMIT} | {f"{name}_{d.by}": d.threshold for name, d in DETECTORS.items()},
        weights_sha256=WEIGHTS_SHA256,
        findings=tuple(a.code for a in ARTEFACTS),
    ),
    fold=ArtefactFold(ARTEFACTS),
)
