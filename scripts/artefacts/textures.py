"""Pictures beside the leaves: views as the demo's programme has them, noise-textured and soft, and charts of plain fields."""

from __future__ import annotations

import numpy as np

from processors.sample.scenes import HEIGHT, WIDTH, Look, Scene
from processors.signals.still_planes import Floats
from scripts.artefacts.pictures import Lens, Planes, to_codes

VIEW = Lens(blur=1.0, sharpen=0.0, grain=1.4, grain_blur=0.0)
"""What the views look like: soft, with a grain that goes as soon as they are coded."""


def view(rng: np.random.Generator, width: int, height: int, count: int) -> list[Planes]:
    """A camera's way over fractal noise, with figures and lights; a window of even size and place."""
    dark, light = sorted(rng.integers(20, 230, 2))
    chroma = rng.integers(90, 167, 4)
    speed = rng.normal(0, 6.0, 2) if rng.random() < 0.8 else np.zeros(2)
    look = Look(
        (int(dark), int(chroma[0]), int(chroma[1])),
        (int(max(light, dark + 20)), int(chroma[2]), int(chroma[3])),
        speed=(float(speed[0]), float(speed[1])),
        zoom=float(rng.choice([1.0, 1.0, 1.01])),
        scale=int(rng.integers(3, 12)),
        detail=float(rng.uniform(0.45, 0.95)),
        columns=bool(rng.random() < 0.25),
        lights=int(rng.integers(0, 6)),
        figures=int(rng.integers(0, 8)),
    )
    scene = Scene(int(rng.integers(0, 1 << 20)), look)
    left, top = int(rng.integers(0, WIDTH - width + 1)) // 2 * 2, int(rng.integers(0, HEIGHT - height + 1)) // 2 * 2
    made = []
    for number in range(count):
        picture = scene.draw(number)
        planes = [
            p[top // d : (top + height) // d, left // d : (left + width) // d]
            for p, d in zip(picture.planes, (1, 2, 2), strict=True)
        ]
        made.append((planes[0], planes[1], planes[2]))
    return made


def chart(rng: np.random.Generator, width: int, height: int, count: int) -> tuple[list[Planes], Lens]:
    """Bars, steps and patches of plain colours with hard edges; grain on some. Their grid is never that of macroblocks: a small
    patch on that could as well be a lost one.
    """
    planes = [np.full((height // d, width // d), v, np.float32) for v, d in ((rng.uniform(16, 200), 1), (128, 2), (128, 2))]
    pitch = int(rng.choice([10, 12, 18, 20, 22, 30, 40, 60]))
    for _ in range(int(rng.integers(4, 60))):
        w, h = (int(k) * pitch for k in rng.integers(2, 9, 2))
        if rng.random() < 0.3:
            h = height
        x, y = (int(rng.integers(-2, side // pitch + 1)) * pitch for side in (width, height))
        colour = (rng.uniform(16, 235), *(rng.normal(128, 40, 2) if rng.random() < 0.7 else (128.0, 128.0)))
        for plane, value, d in zip(planes, colour, (1, 2, 2), strict=True):
            plane[max(y, 0) // d : max(y + h, 0) // d, max(x, 0) // d : max(x + w, 0) // d] = value
    grain = float(rng.choice([0.0, rng.uniform(0.3, 3.0)]))
    return [_grained(rng, planes, grain) for _ in range(count)], Lens(blur=0.0, sharpen=0.0, grain=grain, grain_blur=0.0)


def _grained(rng: np.random.Generator, planes: list[Floats], grain: float) -> Planes:
    return to_codes([planes[0] + rng.normal(0, grain, planes[0].shape).astype(np.float32), *planes[1:]])
