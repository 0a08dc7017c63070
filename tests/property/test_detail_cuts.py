"""The tasks detail and si-ti give the same signals, findings and figures however a stream is cut into chunks and segments."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.tasks import agent_task
from schemas.cell import Signals
from tests import detail, flashes
from tests.decoding import chunks_of, outputs, render, video_jobs

KINDS = ("plain", "loud", "blurred", "blocky", "black", "noisy")


def block(kind: str, rng: np.random.Generator) -> list[np.ndarray[Any, Any]]:
    luma = detail.photograph(int(rng.integers(1 << 30)), 64)
    if kind == "blurred":
        luma = cv2.GaussianBlur(luma, (0, 0), 5)
    elif kind == "blocky":
        luma = np.kron(luma[::8, ::8], np.ones((8, 8)))
    elif kind == "noisy":
        luma = luma + rng.normal(0, 6, luma.shape)
    elif kind == "black":
        luma = np.full(luma.shape, 16)
    codes = np.clip(np.rint(luma), 0, 255).astype(np.uint8)
    if kind == "loud":
        codes[: rng.integers(1, 20)] = 250
    return [codes, *[rng.integers(110, 146, (32, 32)).astype(np.uint8) for _ in range(2)]]


def equal(parts: list[Signals], whole: list[Signals]) -> None:
    for name in whole[0].arrays:
        got, wanted = (np.concatenate([p.arrays[name] for p in side]) for side in (parts, whole))
        np.testing.assert_array_equal(got, wanted, err_msg=name)


@settings(max_examples=25)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=14),
    seed=st.integers(0, 1 << 30),
    cuts=st.lists(st.integers(1, 13), max_size=8),
)
def test_stills_in_any_chunks(kinds: list[str], seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    blocks = [block(kind, rng) for kind in kinds]
    whole, parts = detail.signals(blocks), detail.signals(blocks, [c for c in cuts if c < len(blocks)])
    equal(parts, whole)
    end = len(blocks) * detail.SECOND
    assert detail.folded("detail", parts, end) == detail.folded("detail", whole, end)


@settings(max_examples=25)
@given(frames=st.integers(1, 30), seed=st.integers(0, 1 << 30), cuts=st.lists(st.integers(1, 29), max_size=8))
def test_the_proxy_in_any_chunks(frames: int, seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    luma = rng.integers(0, 256, (frames, 18, 32)).astype(np.uint8)
    luma[rng.random(frames) < 0.3] = 16
    planes = (luma, *[np.full((frames, 9, 16), 128, np.uint8)] * 2)
    whole, parts = flashes.signals("si-ti", planes), flashes.signals("si-ti", planes, [c for c in cuts if c < frames])
    equal(parts, whole)
    wanted = detail.folded("si-ti", whole, frames * flashes.TICKS, flashes.CLOCK)
    assert detail.folded("si-ti", parts, frames * flashes.TICKS, flashes.CLOCK) == wanted


@pytest.mark.parametrize("seed", range(3))
def test_a_file_in_any_segments(seed: int, tmp_path: Path) -> None:
    """Each segment decoded by itself, as the pipeline does, against the whole file."""
    path = render(tmp_path / "clip.mkv", frames=130, size=(192, 128), options={"g": "13", "preset": "ultrafast", "crf": "30"})
    cuts = np.random.default_rng(seed).choice(np.arange(1, 10), 4, replace=False).tolist()
    for task, rendition, after in (("detail", "stills", 0), ("si-ti", "proxy", 1)):
        runner = agent_task(task).load("cpu")

        def analysed(cuts: list[int], rendition: str = rendition, after: int = after, runner: Any = runner) -> list[Signals]:
            jobs = video_jobs(path, cuts=cuts, renditions=[rendition], after={rendition: after})
            return [runner(chunk) for job in jobs for chunk in chunks_of(outputs(job), rendition)]

        whole, parts = analysed([]), analysed(cuts)
        assert sum(p.rows for p in whole) == (130 if task == "si-ti" else 6)
        equal(parts, whole)
        assert detail.folded(task, parts, 5200) == detail.folded(task, whole, 5200)


def test_without_a_next_frame_there_is_no_ti() -> None:
    planes = flashes.greys([60, 80, 60], (18, 32))
    (part,) = flashes.signals("si-ti", planes)
    assert math.isnan(part.arrays["ti"][-1])
    assert part.arrays["ti"][:-1].tolist() == [0.0, 0.0], "a plain change has no deviation"
    _, outcome = detail.folded("si-ti", flashes.signals("si-ti", tuple(p[:1] for p in planes)), flashes.TICKS, flashes.CLOCK)
    figures = {m.id: (m.value, m.reason) for m in outcome.measurements}
    assert figures["video.ti"] == (None, "there are no two frames")
    assert figures["video.si"] == (0.0, None)
