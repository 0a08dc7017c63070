"""Shots against clips whose cuts are known: scenes rendered and stitched here, and stretches of real clips stitched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from processors.sample.compare import match
from processors.sample.truth import Transition
from tests import thumbs
from tests.thumbs import Frames
from tests.tools import MEDIA

DISSOLVE = 16
REAL = ("pyscenedetect_testvideo.mp4", "nasa_13013.mp4", "aspect_ratio_sar16_11.mp4", "fate_law-and-order-partial.mp4")


def boundaries(frames: Frames) -> list[int]:
    """First frames of all shots but the first, by the task, in chunks of 200 frames."""
    parts = [thumbs.runner()(c) for c in thumbs.chunks(frames, range(200, len(frames), 200))]
    run = thumbs.folded(parts)
    return [shot.start_frame for shot in run.finish(thumbs.end(len(frames))).shots[1:]]


def f1(truth: Sequence[Transition], found: Sequence[int]) -> float:
    pairs, extra = match(truth, found)
    return 2 * len(pairs) / (2 * len(pairs) + len(extra) + len(truth) - len(pairs))


def stitched(seed: int, shots: int, dissolves: set[int], flashes: set[int]) -> tuple[Frames, list[Transition]]:
    """Scenes by chance of 20–45 frames; some begin with a dissolve, some hold two white frames, which are no cut."""
    rng = np.random.default_rng(seed)
    frames: list[Frames] = []
    truth: list[Transition] = []
    for number in range(shots):
        length = int(rng.integers(20, 46))
        scene = thumbs.scene(1000 * seed + number)
        shot = [thumbs.thumb(scene.draw(k)) for k in range(length)]
        if number in flashes:
            shot[length // 2 : length // 2 + 2] = [np.full_like(shot[0], 250)] * 2
        if number in dissolves:
            start = len(frames) - DISSOLVE
            for k in range(DISSOLVE):
                share = (k + 0.5) / DISSOLVE
                frames[start + k] = np.rint(frames[start + k] * (1 - share) + shot[k] * share).astype(np.uint8)
            truth.append(Transition(start=start, end=start + DISSOLVE, kind="gradual"))
            shot = shot[DISSOLVE:]
        elif number:
            truth.append(Transition(start=len(frames), end=len(frames), kind="cut"))
        frames += shot
    return np.stack(frames), truth


def test_stitched_scenes() -> None:
    frames, truth = stitched(seed=5, shots=11, dissolves={4}, flashes={7})
    assert len(frames) <= 380
    found = boundaries(frames)
    score = f1(truth, found)
    assert score >= 0.97, f"F1 {score:.3f}: {[(t.start, t.end) for t in truth]} against {found}"


def decoded(path: Path) -> Frames:
    with av.open(str(path)) as container:
        pictures = (f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(700), strict=False))
        return np.stack([cv2.resize(p, (48, 27), interpolation=cv2.INTER_AREA) for p in pictures])


def steady(frames: Frames, length: int) -> list[Frames]:
    """Stretches without a transition for certain: no step between two frames is more than a small change of the picture (a
    cut), nor do many small ones add up to another picture (the clips have dissolves of their own).
    """
    signed = frames.astype(np.int16)
    steps = np.abs(np.diff(signed, axis=0)).mean(axis=(1, 2, 3))
    starts = [s for s in range(0, len(frames) - length, length) if steps[s : s + length - 1].max() < 6]
    return [frames[s : s + length] for s in starts if np.abs(signed[s + length - 1] - signed[s]).mean() < 25]


@pytest.mark.media
@pytest.mark.long
def test_stitched_real_clips() -> None:
    clips = [MEDIA / "video" / name for name in REAL]
    missing = [c.name for c in clips if not c.is_file()]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} in {MEDIA}")
    found = [steady(decoded(clip), 40) for clip in clips]
    # One of each clip in turn, so that neighbours never continue each other.
    order = [pool[turn] for turn in range(4) for pool in found if turn < len(pool)]
    assert len(order) >= 10
    truth = [Transition(start=40 * k, end=40 * k, kind="cut") for k in range(1, len(order))]
    score = f1(truth, boundaries(np.concatenate(order)))
    assert score >= 0.97, f"F1 {score:.3f} of {len(truth)} cuts"
