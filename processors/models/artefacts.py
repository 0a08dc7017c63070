"""The artefact network: a small convolutional network for one 128x128 patch of luma and chroma, and its weights.

Two networks of one shape share a file of weights: ``block`` looks at native pixels, ``picture`` at luma of the whole picture.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import nn
from torch.nn import functional as F

from processors.signals.artefact_scores import BLOCK_CLASSES, PICTURE_CLASSES
from schemas.errors import SetupError

WEIGHTS = Path(__file__).with_name("artefacts.safetensors")

_DETAIL_GAIN = 6.0
"""What a pixel differs from its surroundings by is shown again, so much larger: grain is one code in 219."""


class Network(nn.Module):
    """From patches ``(n, 1 or 3, h, w)`` to logits ``(n, classes)``.

    Every stride halves, so that places eight pixels apart are seen alike: the grid of transforms keeps its phase.
    """

    def __init__(self, planes: int, classes: int) -> None:
        super().__init__()
        width = 8 + planes - 1
        self.features = nn.Sequential(
            _layer(width, 16, 2), _layer(16, 24, 1), _layer(24, 32, 2), _layer(32, 48, 2), _layer(48, 48, 1)
        )
        self.head = nn.Linear(96, classes)

    def forward(self, luma: torch.Tensor, chroma: torch.Tensor | None = None) -> torch.Tensor:
        """``luma`` is ``(n, 1, h, w)``, ``chroma`` ``(n, 2, h/2, w/2)``; both about -1 to 1."""
        around = F.avg_pool2d(luma, 5, 1, 2, count_include_pad=False)
        detail = (_DETAIL_GAIN * (luma - around)).clamp(-2, 2)
        seen = [F.pixel_unshuffle(luma, 2), F.pixel_unshuffle(detail, 2)]
        if chroma is not None:
            seen.append(chroma)
        found = self.features(torch.cat(seen, dim=1))
        return self.head(torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], dim=1))  # type: ignore[no-any-return]


def _layer(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def make() -> nn.ModuleDict:
    """Both networks, with weights drawn from torch's generator."""
    return nn.ModuleDict({"block": Network(3, len(BLOCK_CLASSES)), "picture": Network(1, len(PICTURE_CLASSES))})


class Artefacts:
    """Both networks on one device, ready to run.

    Raises ``SetupError`` if the weights file is not the one whose SHA-256 is given.
    """

    def __init__(self, device: str, weights_sha256: str, weights: Path = WEIGHTS) -> None:
        self._device = torch.device(device)
        with torch.random.fork_rng(devices=[]):  # parameters are drawn before the weights replace them
            networks = make()
        networks.load_state_dict(load(_checked(weights, weights_sha256)))
        self._networks = networks.eval().requires_grad_(False).to(self._device)
        if self._device.type == "cpu":
            torch.set_num_threads(1)

    def block(self, luma: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits ``(n, 5)`` of ``BLOCK_CLASSES`` for patches of one still: ``(n, h, w)`` and ``(n, 2, h/2, w/2)``."""
        return self._run("block", luma[:, None], chroma)

    def picture(self, luma: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits ``(n, 1)`` of ``PICTURE_CLASSES`` for patches ``(n, h, w)`` of one still."""
        return self._run("picture", luma[:, None])

    def _run(self, name: str, *planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """TF32 would move logits, so products stay in float32."""
        on_device = [torch.from_numpy(np.ascontiguousarray(p)).to(self._device) for p in planes]
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            logits: NDArray[np.float32] = self._networks[name](*on_device).cpu().numpy()
        return logits


def _checked(weights: Path, sha256: str) -> bytes:
    if not weights.is_file():
        raise SetupError(f"{weights} is missing: install Dailies again")
    data = weights.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise SetupError(f"{weights} has the SHA-256 {found}, not {sha256}: install Dailies again")
    return data
