"""Cuts between excerpts of real clips, looked for with the shot network: what is missing where an edit is not found."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from tests import thumbs
from tests.accuracy.excerpts import Excerpt

LENGTH = 50
FRAMES_OFF = 2


def look(excerpts: Sequence[Excerpt], rng: np.random.Generator) -> tuple[str, str, bool]:
    """A cut from one clip to another: the clips, where it is, and whether a shot begins there."""
    a, b = _two(excerpts, rng)
    at = int(rng.integers(20, LENGTH - 5))
    frames = np.stack([_thumb(a, k) for k in range(at)] + [_thumb(b, k) for k in range(LENGTH)])
    found = thumbs.folded([thumbs.runner()(c) for c in thumbs.chunks(frames)]).finish(thumbs.end(len(frames))).shots[1:]
    return f"{a.name} to {b.name}", f"frame {at}", any(abs(shot.start_frame - at) <= FRAMES_OFF for shot in found)


def _two(excerpts: Sequence[Excerpt], rng: np.random.Generator) -> tuple[Excerpt, Excerpt]:
    first = excerpts[rng.integers(len(excerpts))]
    others = [e for e in excerpts if e.name != first.name and not ("nasa" in e.name and "nasa" in first.name)]  # one film
    return first, others[rng.integers(len(others))]


def _thumb(excerpt: Excerpt, number: int) -> thumbs.Frames:
    """48x27 RGB by area averages and BT.709."""
    planes = (plane.astype(np.float32) / excerpt.unit for plane in excerpt.frames[number])
    y, u, v = (cv2.resize(plane, (48, 27), interpolation=cv2.INTER_AREA) for plane in planes)
    luma, cb, cr = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    rgb = np.stack([luma + 1.5748 * cr, luma - 0.1873 * cb - 0.4681 * cr, luma + 1.8556 * cb], axis=2)
    return np.rint(rgb * 255).clip(0, 255).astype(np.uint8)
