"""Trains the artefact networks: ``python -m scripts.artefacts.train``. Seeded; some minutes on one core, less with a GPU.

Writes ``processors/models/artefacts.safetensors`` and prints its SHA-256, which ``processors/tasks/artefacts.py`` must name.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save
from torch import nn
from torch.nn import functional as F

from processors.models.artefacts import WEIGHTS, make
from processors.signals.still_planes import PATCH, STRIP, scale_chroma, scale_luma
from scripts.artefacts import recipe

SEED = 20
SCENES = 900
STRIPS = 700
EPOCHS = 10
BATCH = 48
RATE = 3e-3


def main() -> None:
    """Make the samples, train both networks, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--strips", type=int, default=STRIPS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)  # more would group sums otherwise, and give other weights
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(asked.seed)
    networks = make().to(asked.device)
    begun, clock = time.process_time(), time.monotonic()
    luma, chroma, labels = blocks(asked.seed, asked.scenes)
    print(f"{len(luma)} patches, {time.process_time() - begun:.0f} s of CPU", flush=True)
    fit(networks["block"], (luma, chroma), labels, asked.epochs, asked.device)
    torch.manual_seed(asked.seed + 1)  # so that neither network depends on how long the other was trained
    strip, label = strips(asked.seed, asked.strips)
    print(f"{len(strip)} strips, {time.process_time() - begun:.0f} s of CPU", flush=True)
    fit(networks["picture"], (strip,), label, asked.epochs, asked.device)
    data = save({name: value.cpu().contiguous() for name, value in sorted(networks.state_dict().items())})
    asked.output.write_bytes(data)
    parameters = sum(p.numel() for p in networks.parameters())
    spent = f"{time.process_time() - begun:.0f} s of CPU, {time.monotonic() - clock:.0f} s in all on {asked.device}"
    print(
        f"{asked.output.name}: {parameters} parameters, {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}; {spent}"
    )


def blocks(seed: int, scenes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Patches of the native block: luma ``(n, 1, h, w)``, chroma ``(n, 2, h/2, w/2)`` (uint8) and labels ``(n, 5)``."""
    samples = [s for n in range(scenes) for s in recipe.block_samples(recipe.generator(seed, n), PATCH)]
    luma, chroma, labels = recipe.stack(samples)
    return torch.from_numpy(luma[:, None]), torch.from_numpy(chroma), torch.from_numpy(labels)


def strips(seed: int, scenes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Strips of the whole picture: luma ``(n, 1, h, w)`` (uint8) and labels ``(n, 1)``."""
    made = [s for n in range(scenes) for s in recipe.strip_samples(recipe.generator(seed + 1, n), *STRIP)]
    luma = np.rint(np.stack([s[0] for s in made])).astype(np.uint8)
    return torch.from_numpy(luma[:, None]), torch.tensor([[s[1]] for s in made])


def fit(network: nn.Module, planes: tuple[torch.Tensor, ...], labels: torch.Tensor, epochs: int, device: str) -> None:
    """Train one network in place; half of the samples of a batch are mirrored, each way by itself."""
    scales: tuple[Callable[..., np.ndarray], ...] = (scale_luma, scale_chroma)
    on_device = [torch.from_numpy(scale(p.numpy().astype(np.float32))) for p, scale in zip(planes, scales, strict=False)]
    steps = epochs * (len(labels) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.15)
    network.train()
    for epoch in range(epochs):
        order, total = torch.randperm(len(labels)), 0.0
        for batch in order[: len(order) // BATCH * BATCH].reshape(-1, BATCH):
            seen = [p[batch] for p in on_device]
            for axis in (-1, -2):
                if torch.rand(()) < 0.5:
                    seen = [p.flip(axis) for p in seen]
            wanted = labels[batch].to(device)
            logits = network(*(p.to(device) for p in seen))
            known = (wanted >= 0).float()
            loss = (
                F.binary_cross_entropy_with_logits(logits, wanted.clamp(min=0), reduction="none") * known
            ).sum() / known.sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total * BATCH / len(order):.4f}", flush=True)


if __name__ == "__main__":
    main()
