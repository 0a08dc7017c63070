"""SI and TI, blockiness and blur against FFmpeg's siti, blockdetect and blurdetect on the same pictures, and what they cost."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from processors.signals.display_light import Scale
from processors.signals.picture_detail import blockiness, edge_width, noise
from processors.signals.si_ti import legal, spatial, temporal
from processors.tasks import agent_task
from tests import detail, flashes
from tests.figures import Figures, printed
from tests.tools import require_tool

Picture = NDArray[np.float32]

SEEDS = 6


@pytest.fixture(scope="module")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    with printed(
        "Picture detail beside FFmpeg's siti, blockdetect and blurdetect, and beside the noise that was added", request
    ) as table:
        yield table


def ffmpeg(pictures: NDArray[np.uint8], graph: str, tmp_path: Path, *keys: str) -> NDArray[np.float64]:
    """What a filter says of grey pictures ``(n, height, width)``: ``(n, keys)``."""
    raw, said = tmp_path / "pictures.raw", tmp_path / "said.txt"
    count, height, width = pictures.shape
    chroma = np.full((count, height // 2 * (width // 2) * 2), 128, np.uint8)
    raw.write_bytes(np.hstack([pictures.reshape(count, -1), chroma]).tobytes())
    source = ["-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", f"{width}x{height}", "-i", str(raw)]
    graph = f"{graph},metadata=mode=print:file={said}"
    command = [require_tool("ffmpeg"), "-hide_banner", "-nostats", *source, "-vf", graph, "-f", "null", "-"]
    subprocess.run(command, capture_output=True, check=True)
    text = said.read_text()
    return np.array([[float(v) for v in re.findall(rf"{key}=([\d.]+)", text)] for key in keys]).T


def motion(seed: int, size: tuple[int, int] = (180, 320), frames: int = 24) -> NDArray[np.uint8]:
    """A photograph that moves by fractions of a pixel under faint noise, with a cut and a plain frame in it."""
    rng = np.random.default_rng(seed)
    base = detail.photograph(seed, 512)
    found = []
    for k in range(frames):
        if k == frames // 2:
            base = detail.photograph(seed + 1000, 512)
        shift = np.array([[1, 0, -1.3 * k], [0, 1, -0.6 * k]], np.float32)
        picture = cv2.warpAffine(base, shift, (size[1], size[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        found.append(picture + rng.normal(0, 1, picture.shape) if k != 3 else np.full(size, 90))
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_si_and_ti_are_sitis(seed: int, tmp_path: Path, figures: Figures) -> None:
    """The same definition. FFmpeg cuts off fractions (of stretched luma, gradients): that is all that differs."""
    pictures = motion(seed)
    theirs = ffmpeg(pictures, "siti", tmp_path, "lavfi.siti.si", "lavfi.siti.ti")
    scale = Scale.of(8, full_range=False)
    planes = [legal(p, scale) for p in pictures]
    ours = np.array([[spatial(p, scale), temporal(planes[k - 1], p, scale) if k else 0.0] for k, p in enumerate(planes)])
    apart = np.abs(ours - theirs).max(axis=0)
    for k, name in enumerate(("SI", "TI")):
        figures.add(
            f"{name} of pictures {seed}, greatest of {len(pictures)} frames", ours[:, k].max(), theirs[:, k].max(), "code"
        )
    assert apart.max() < 0.15


def ladder(degrade: Callable[[Picture, float], Picture], steps: list[float]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for seed in range(SEEDS):
        base = detail.photograph(seed)
        yield f"{seed}", np.stack([np.clip(np.rint(degrade(base, s)), 0, 255).astype(np.uint8) for s in steps])


def compressed(picture: Picture, quality: float) -> Picture:
    _, data = cv2.imencode(".jpg", np.rint(picture).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)


def compare(
    name: str,
    ours: Callable[[Picture], float],
    pictures: Iterator[tuple[str, NDArray[np.uint8]]],
    graph: str,
    key: str,
    tmp_path: Path,
    figures: Figures,
) -> list[float]:
    """Rank correlations of our figure with FFmpeg's over each ladder."""
    found = []
    for label, rungs in pictures:
        mine = [ours(p.astype(np.float32)) for p in rungs]
        theirs = ffmpeg(rungs, graph, tmp_path, key)[:, 0].tolist()
        rho = float(spearmanr(mine, theirs).statistic)
        found.append(rho)
        ends = f"ours {mine[0]:.2f} to {mine[-1]:.2f}, FFmpeg's {theirs[0]:.2f} to {theirs[-1]:.2f}"
        figures.add(f"{name} of picture {label}, {len(rungs)} steps, rank correlation ({ends})", rho, 1.0)
        assert mine == sorted(mine)
    return found


def test_blockiness_ranks_as_blockdetect(tmp_path: Path, figures: Figures) -> None:
    steps = ladder(compressed, [95, 85, 75, 65, 50, 40, 30, 20, 10])
    graph = "blockdetect=period_min=8:period_max=8"
    found = compare("blockiness", lambda p: blockiness(p).ratio, steps, graph, "lavfi.block", tmp_path, figures)
    assert min(found) > 0.9


def test_blur_ranks_as_blurdetect(tmp_path: Path, figures: Figures) -> None:
    steps = ladder(lambda p, s: np.asarray(cv2.GaussianBlur(p, (0, 0), s), np.float32), [0.4, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0])
    found = compare("blur", edge_width, steps, "blurdetect", "lavfi.blur", tmp_path, figures)
    assert min(found) > 0.9


def test_noise_against_what_was_added(figures: Figures) -> None:
    for sigma in (0.5, 1.0, 2.0, 4.0, 8.0):
        found = []
        for seed in range(SEEDS):
            picture = np.clip(detail.photograph(seed), 60, 200)
            noisy = np.rint(picture + np.random.default_rng(seed).normal(0, sigma, picture.shape))
            found.append(noise(noisy.astype(np.float32)))
        figures.add(f"noise, mean of {SEEDS} pictures beside what was added", float(np.mean(found)), sigma, "code")
        assert max(found) < 1.1 * sigma + 0.3
        assert min(found) > 0.9 * sigma


def test_cost(figures: Figures) -> None:
    """CPU time for a minute of 1080p at 25 frames a second."""
    rng = np.random.default_rng(0)
    half = [rng.integers(110, 146, (256, 256)).astype(np.uint8) for _ in range(2)]
    blocks = [[np.rint(detail.photograph(s)).astype(np.uint8), *half] for s in range(4)]
    measure, (stills,) = agent_task("detail").load("cpu"), detail.stills(blocks)
    measure(stills)
    begun = time.thread_time()
    measure(stills)
    still = (time.thread_time() - begun) / 4
    planes = (motion(0), *[np.full((24, 90, 160), 128, np.uint8)] * 2)
    runner, (chunk,) = agent_task("si-ti").load("cpu"), flashes.chunks(planes)
    begun = time.thread_time()
    runner(chunk)
    frame = (time.thread_time() - begun) / 24
    figures.add("detail, CPU seconds for a minute of 1080p25 (limit)", 60 * still, 6.0, "s")
    figures.add("si-ti, CPU seconds for a minute of 1080p25 (limit)", 1500 * frame, 6.0, "s")
    assert 60 * still < 6 and 1500 * frame < 6, "twice as fast as decoding or more, even on a crowded machine"
