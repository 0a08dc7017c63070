"""The cut signal: scdet's score from differences of luma."""

from __future__ import annotations

import numpy as np
import pytest

from processors.signals.cut import scores

NAN = float("nan")


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([], []),
        ([0.25], [0.25]),
        ([0.25, 0.25, 0.25], [0.25, 0.0, 0.0]),  # steady motion is none after its first frame
        ([0.0, 0.5, 0.125], [0.0, 0.5, 0.125]),  # a cut; what follows it differs from it by more than it is itself
        ([0.5, 0.375], [0.5, 0.125]),
        ([0.25, NAN, 0.25], [0.25, NAN, 0.25]),  # nothing is known across a hole
    ],
)
def test_scores(differences: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(scores(np.array(differences)), expected)
