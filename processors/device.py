"""Where networks run, and whether that place still works. Imports torch, so only what runs networks may import it."""

from __future__ import annotations

from typing import Literal

import torch

from schemas.errors import SetupError


def choose_device(asked: Literal["auto", "cpu", "cuda"]) -> str:
    """``cpu`` or ``cuda``; ``auto`` is the GPU where there is one. Raises ``SetupError`` if a GPU is asked for in vain."""
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked == "cuda" and not torch.cuda.is_available():
        raise SetupError("a GPU is asked for (DAILIES_DEVICE=cuda) and torch finds none")
    return asked


def works(device: str) -> bool:
    """Whether the device still computes. After a fault (an illegal access, a device assertion) every later call on the same
    CUDA context fails as well, in this process for good; running out of memory is no such fault.
    """
    if device == "cpu":
        return True
    try:
        found = torch.ones(2, device=device).sum().item()
        torch.cuda.synchronize(device)
    except RuntimeError:
        return False
    return found == 2.0


def memory(device: str) -> dict[str, int]:
    """Bytes of a GPU's memory that torch holds: ``allocated`` by tensors, ``reserved`` with what it keeps for the next ones.

    Its own bookkeeping is read, so that a device that hangs holds nobody up.
    """
    return {"allocated": torch.cuda.memory_allocated(device), "reserved": torch.cuda.memory_reserved(device)}
