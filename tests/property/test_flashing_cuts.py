"""The flashing tasks give the same signals, findings and figures however a stream is cut into chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.cell import Signals
from tests.flashes import BT1702, IRIS, RED, Planes, fields, folded, signals

SIZE = (36, 64)
Stretch = tuple[str, int, int]
"""What it shows, for how many frames, and how many frames each state lasts."""
KINDS = ("still", "strobe", "red", "ramp", "noise", "half")

stretches = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 40), st.integers(1, 5)), min_size=1, max_size=5)


def stream(plan: list[Stretch], seed: int) -> tuple[Planes, list[int]]:
    rng = np.random.default_rng(seed)
    frames: list[Planes] = []
    for kind, count, every in plan:
        low, high = sorted(rng.integers(16, 236, 2).tolist())
        for k in range(count):
            on = k // every % 2
            value = (high if on and kind in ("strobe", "half") else low, 128, 128)
            if kind == "ramp":
                value = (low + (high - low) * (k % (2 * every)) // (2 * every), 128, 128)
            y, u, v = fields([RED if kind == "red" and on else value], SIZE)
            if kind == "noise":
                y = rng.integers(low, high + 1, y.shape).astype(np.uint8)
            elif kind == "half":
                y[..., rng.integers(10, 50) :] = 16
            frames.append((y, u, v))
    joined = tuple(np.concatenate([frame[k] for frame in frames]) for k in range(3))
    # A clock that wavers: windows must come from timestamps, not from counting.
    pts = np.cumsum(rng.integers(1500, 4500, len(frames))) - 20000
    return (joined[0], joined[1], joined[2]), pts.tolist()


def column(parts: list[Signals], name: str) -> np.ndarray:  # type: ignore[type-arg]
    return np.concatenate([part.arrays[name] for part in parts])


@pytest.mark.parametrize("task", [BT1702, IRIS])
@settings(max_examples=60)
@given(plan=stretches, seed=st.integers(0, 1 << 30), data=st.data())
def test_any_cutting_gives_the_same(task: str, plan: list[Stretch], seed: int, data: st.DataObject) -> None:
    planes, pts = stream(plan, seed)
    count = len(pts)
    whole = signals(task, planes, pts=pts)
    cuts = data.draw(st.lists(st.integers(1, max(1, count - 1)), max_size=12), label="cuts")
    parts = signals(task, planes, [c for c in cuts if c < count], pts=pts)
    for name in whole[0].arrays:
        np.testing.assert_array_equal(column(parts, name), column(whole, name), err_msg=name)
    assert folded(task, parts) == folded(task, whole)
