"""From the networks' logits on patches to one score a class for a still."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Protocol

import numpy as np

from processors.signals.still_planes import Floats, StillPlanes, block_patches, picture_patches

BLOCK_CLASSES = ("macroblocks", "dropout", "combing", "upscaled", "compression")
"""What the network of native blocks tells, in the order of its logits."""
PICTURE_CLASSES = ("timecode",)
"""What the network of the whole picture tells."""
CLASSES = BLOCK_CLASSES + PICTURE_CLASSES
_POOLS = {"macroblocks": 0.0, "dropout": 0.0, "combing": 0.25, "upscaled": 1.0, "compression": 1.0}
"""The share of a still's patches, the worst of them, that its score is the mean of; 0 is the worst one alone."""


class Networks(Protocol):
    """What scoring needs of the networks: logits for patches of one still."""

    def block(self, luma: Floats, chroma: Floats) -> Floats:
        """``(n, h, w)`` and ``(n, 2, h/2, w/2)`` to ``(n, 5)``."""

    def picture(self, luma: Floats) -> Floats:
        """``(n, h, w)`` to ``(n, 1)``."""


def network_scores(networks: Networks, still: StillPlanes, names: Collection[str] = CLASSES) -> dict[str, float]:
    """Logits of one still by class, as far as they are asked for; NaN where the picture is too small to tell."""
    found = dict.fromkeys(names, math.nan)
    block = block_patches(still) if not found.keys().isdisjoint(_POOLS) else None
    if block is not None:
        logits = networks.block(*block)
        found |= {name: _pool(logits[:, k], _POOLS[name]) for k, name in enumerate(BLOCK_CLASSES) if name in found}
    strips = picture_patches(still.picture) if "timecode" in found else None
    if strips is not None:
        found["timecode"] = float(networks.picture(strips).max())
    return found


def _pool(logits: Floats, share: float) -> float:
    worst = np.sort(logits)[::-1][: max(1, round(share * len(logits)))]
    return float(worst.mean(dtype=np.float64))
