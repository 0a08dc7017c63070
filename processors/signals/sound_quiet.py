"""Quiet stretches to the sample: how much of each hop's head and tail stays under a level in every channel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.chunk import hop_edge


class QuietEdges(NamedTuple):
    """Per hop: quiet samples at its head and at its tail. A hop that is quiet throughout has its length in both.

    Beside hops that are quiet throughout the numbers are exact; elsewhere they are 0: a stretch worth reporting holds whole
    quiet hops.
    """

    head: NDArray[np.int32]
    tail: NDArray[np.int32]


def quiet_edges(
    raw: NDArray[Any], edges: NDArray[np.int64], loudest: NDArray[Any], limit: float, around: tuple[bool, bool]
) -> QuietEdges:
    """Quiet edges of hops: a sample is quiet where every channel's absolute code is at most ``limit``.

    ``raw`` is ``(channels, units)``, ``loudest`` each hop's highest absolute code of any channel; ``around`` says whether the
    hop before the first and the hop after the last are quiet throughout.
    """
    lengths = np.diff(edges).astype(np.int32)
    quiet = loudest <= limit
    head, tail = np.where(quiet, lengths, 0), np.where(quiet, lengths, 0)
    padded = np.concatenate([[around[0]], quiet, [around[1]]])
    for hop in np.flatnonzero(~quiet & (padded[:-2] | padded[2:])):
        codes = raw[:, edges[hop] : edges[hop + 1]]
        loud = np.flatnonzero(((codes > limit) | (codes < -limit)).any(axis=0))
        head[hop] = loud[0]
        tail[hop] = lengths[hop] - 1 - loud[-1]
    return QuietEdges(head.astype(np.int32), tail.astype(np.int32))


def hop_is_quiet(raw: NDArray[Any], low: int, high: int, limit: float) -> bool:
    """Whether samples ``low`` … ``high`` exist and are quiet in every channel."""
    codes = raw[:, max(0, low) : max(0, high)]
    return bool(codes.size) and bool(((codes <= limit) & (codes >= -limit)).all())


def quiet_runs(
    since: int, rate: int, first_row: int, lengths: NDArray[np.int32], quiet: QuietEdges
) -> tuple[NDArray[np.int64], int]:
    """Stretches ``(n, 2)`` that end in these hops, in samples of the stream, and where the one still open began.

    ``since`` is where the stretch that is open before the first hop began. Stretches may be empty.
    """
    broken = np.flatnonzero(quiet.head < lengths)
    if not len(broken):
        return np.zeros((0, 2), np.int64), since
    edges = np.array([hop_edge(rate, first_row + int(hop)) for hop in broken], np.int64)
    ends = edges + quiet.head[broken]
    begins = edges + lengths[broken] - quiet.tail[broken]
    return np.stack([np.concatenate([[since], begins[:-1]]), ends], axis=1), int(begins[-1])
