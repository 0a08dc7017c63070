"""The scan task gives the same signals, findings and figures however a stream is cut into segments and chunks."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.fields import Luma, World, analyse, folded, interlaced, natives, progressive, pulled_down, repeating
from tests.picture import column

RATE = Fraction(25)


def programme(rng: np.random.Generator) -> list[Luma]:
    """Some stretches of field material, in any order."""
    scene = World(64, 48, seed=int(rng.integers(1000)), grain=float(rng.choice([0.0, 2.0]))).scene()
    found: list[Luma] = []
    for _ in range(5):
        frames = int(rng.integers(5, 90))
        kinds = (
            progressive(scene, RATE, frames),
            interlaced(scene, RATE, frames, top_first=bool(rng.integers(2))),
            pulled_down(scene, Fraction(24), (2, 3), frames, top_first=bool(rng.integers(2))),
            pulled_down(scene, RATE, (1, *[2] * 200), frames),
            repeating(scene, RATE, frames, str(rng.choice(["NNNND", "NDNDD", "ND", "N" * 17 + "D"]))),
            iter([scene(float(rng.random()))] * frames),
        )
        found += kinds[int(rng.integers(len(kinds)))]
    return found


@pytest.mark.parametrize("seed", range(12))
def test_any_cutting_gives_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = natives(programme(rng), interlaced=bool(rng.integers(2)))
    whole = analyse(frames)
    wanted, outcome = folded(whole)
    for _ in range(3):
        cuts = rng.integers(1, len(frames), int(rng.integers(0, 9))).tolist()
        sizes = itertools.cycle(rng.integers(1, 70, 5).tolist())
        parts = analyse(frames, cuts, lambda sizes=sizes: next(sizes))  # type: ignore[misc]
        for name in whole[0].arrays:
            np.testing.assert_array_equal(column(parts, name), column(whole, name), err_msg=name)
        findings, ending = folded(parts)
        assert findings == wanted
        assert ending.measurements == outcome.measurements
