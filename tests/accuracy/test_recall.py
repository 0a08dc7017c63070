"""Seeded defects in real clips: one of each kind here, a thousand in ``make accuracy``."""

from __future__ import annotations

import pytest

from tests.accuracy import recall
from tests.accuracy.recall import CUT, KINDS, wilson

PICTURES = [seed for seed, kind in enumerate(KINDS) if kind.startswith("video")]
OTHERS = [seed for seed, kind in enumerate(KINDS) if not kind.startswith("video")]


@pytest.mark.media
@pytest.mark.usefixtures("media_dir")
@pytest.mark.parametrize("seed", PICTURES, ids=lambda seed: KINDS[seed])
def test_a_defect_of_picture_is_found(seed: int) -> None:
    tried = recall.seeded(seed, coded=seed == 0)
    assert tried.found and tried.coded in (None, True), tried


@pytest.mark.media
@pytest.mark.usefixtures("media_dir")
@pytest.mark.parametrize("seed", OTHERS, ids=lambda seed: KINDS[seed])
def test_a_defect_of_sound_or_a_cut_is_found(seed: int) -> None:
    assert recall.seeded(seed, coded=False).found


@pytest.mark.media
@pytest.mark.usefixtures("media_dir")
@pytest.mark.long
@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_defects_are_found_in_files_too(kind: int) -> None:
    tried = [recall.seeded(kind + turn * len(KINDS), coded=KINDS[kind] != CUT) for turn in range(1, 4)]
    assert all(one.found and one.coded is not False for one in tried), tried


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611)],
)
def test_wilsons_interval(hits: int, n: int, low: float, high: float) -> None:
    """Against the values of Newcombe (1998), Statistics in Medicine 17, table I, and R's ``binom.confint``."""
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)
