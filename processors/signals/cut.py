"""The cut signal: how abruptly the picture changes, as FFmpeg's scdet scores it. What a cut *is* the shot network says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def scores(luma_diff: NDArray[np.float64]) -> NDArray[np.float64]:
    """The score of the change after each row, 0 … 1, from the mean absolute luma differences of neighbours, in row order.

    ``min(d, abs(d - previous d))``: motion differs as much from frame to frame, a cut stands alone. Where there is no
    difference before it (the stream's start, lost rows, a change of geometry) that one counts as 0, as in scdet; NaN where a
    row has no difference itself. scdet gives 100 times the figure, for the row after the change.
    """
    before = np.concatenate(([0.0], np.nan_to_num(luma_diff[:-1], nan=0.0))) if len(luma_diff) else luma_diff
    return np.asarray(np.minimum(luma_diff, np.abs(luma_diff - before)))
