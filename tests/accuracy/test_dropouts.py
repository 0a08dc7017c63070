"""Dropouts spliced by seed into real and rendered sound, and hours of sound without one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.tasks.sound_defects import TASK
from tests.accuracy.test_loudness_libebur128 import decode
from tests.faulty_sound import CLEAN, RATE, splice, stored
from tests.figures import Figures, printed
from tests.sound import analyse, random_cuts

CLIPS = [
    "audio/fate_csi_miami_5.1_256_spx_small.eac3",
    "audio/fate_hdcd.flac",
    "audio/fate_luckynight_2ch_44kHz_s16.wav",
    "audio/fate_panslab_sample_5.1_16bit-partial.wav",
    "audio/fate_testvector09.wav",
    "audio/fate_the_great_wall_7.1.eac3",
    "audio/pyannote_dev00.wav",
    "audio/pyannote_dev01.wav",
    "audio/pyannote_trn01.wav",
    "audio/whisper_jfk.flac",
    "video/aspect_ratio_sar16_11.mp4",
    "video/fate_law-and-order-partial.mp4",
    "video/nasa_13013.mp4",
]
ROUNDS = 30
HOURS = 2
PIECE = 20


@pytest.fixture(scope="module")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    with printed("Dropouts: found, of those spliced, and false alarms", request) as table:
        yield table


def least_share(found: int, of: int) -> float:
    """The lower end of the 95 % interval of a share (Wilson)."""
    z, share = 1.96, found / of
    middle, half = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - half) / (1 + z * z / of)


def spliced(samples: NDArray[Any], rate: int, names: tuple[str, ...] | None, seed: int, count: int) -> tuple[int, int, int]:
    """Dropouts spliced in, those of them that are found, and findings that are none of them."""
    rng = np.random.default_rng(seed)
    broken, truth = splice(samples, rate, rng, count)
    findings = analyse(TASK, broken, rate, cuts=random_cuts(len(samples) * 100 // rate, rng, 6), names=names).found(
        "audio.dropout"
    )
    slack = rate // 100
    hits = {
        i: [
            t
            for t in truth
            if abs(f.start - t.start) <= slack and abs(f.end - t.end) <= slack and set(f.channels) & set(t.channels)
        ]
        for i, f in enumerate(findings)
    }
    found = {(t.start, t.end) for ts in hits.values() for t in ts}
    return len(truth), len(found), sum(not ts for ts in hits.values())


def clean(kind: str, seed: int, rate: int) -> list[str]:
    """What is found in a piece of clean sound."""
    rng = np.random.default_rng(seed)
    samples = stored(CLEAN[kind](rng, PIECE, rate), ("int16", "int32", "float32")[seed % 3], 1)
    return [f"{kind} {seed}: {f.start / rate:.3f} s {f.text}" for f in analyse(TASK, samples, rate).findings]


@pytest.mark.media
@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_thousand_dropouts_in_real_clips(media_dir: Path, figures: Figures) -> None:
    total, hits, extra = 0, 0, 0
    for clip in CLIPS:
        samples, rate, names = decode(media_dir / clip, 0)
        parts = [spliced(samples, rate, names, seed, 4) for seed in range(ROUNDS)]
        n, found, more = (sum(p[i] for p in parts) for i in range(3))
        figures.add(f"{clip}: found", found, n)
        total, hits, extra = total + n, hits + found, extra + more
    figures.add("all clips: found", hits, total)
    figures.add("all clips: percent found, lower end of the 95 % interval", 100 * least_share(hits, total), 99.0, "%")
    figures.add("all clips: findings that were not spliced in", extra, 0)
    assert total >= 1000
    assert hits >= 0.99 * total
    assert extra <= 0.001 * total


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted(CLEAN))
def test_hours_without_a_dropout(kind: str, figures: Figures) -> None:
    pieces = HOURS * 3600 // PIECE // len(CLEAN)
    found = [line for seed in range(pieces) for line in clean(kind, seed, RATE // 3)]
    figures.add(f"{kind}, {pieces * PIECE / 3600:.2f} h: false alarms", len(found), 0)
    assert not found


@pytest.mark.parametrize("kind", ["music", "loud"])
def test_dropouts_in_rendered_sound(kind: str) -> None:
    samples = stored(CLEAN[kind](np.random.default_rng(7), 8, 16000), "int16")
    results = [spliced(samples, 16000, None, seed, 3) for seed in range(5)]
    assert sum(n for n, _, _ in results) >= 10
    assert all(n == found and not extra for n, found, extra in results), results


@pytest.mark.media
def test_real_clips_have_no_dropout(media_dir: Path) -> None:
    for clip in ("audio/whisper_jfk.flac", "audio/fate_hdcd.flac", "video/nasa_13013.mp4"):
        samples, rate, names = decode(media_dir / clip, 0)
        assert not analyse(TASK, samples, rate, names=names).findings, clip
