"""How the artefact networks are made: the same seed gives the same samples and weights, and labels say what was put in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from processors.signals.artefact_scores import BLOCK_CLASSES
from processors.signals.still_planes import LEAST, PATCH, STRIP, StillPlanes, block_patches, picture_patches, starts
from scripts.artefacts import defects, recipe, textures
from scripts.artefacts.codecs import Coding, damage, decode, encode
from scripts.artefacts.pictures import Planes, lens, moving

KINDS = {"clean", "packets", "blocks", "nothing", "dropout", "combing", "upscaled"}


def test_the_same_seed_gives_the_same_samples() -> None:
    one, other = (recipe.block_samples(recipe.generator(5, 3), PATCH) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert (a.kind, a.labels) == (b.kind, b.labels)
        for plane, same in zip(a.planes, b.planes, strict=True):
            np.testing.assert_array_equal(plane, same)


def test_a_scene_comes_clean_and_with_each_defect() -> None:
    samples = recipe.block_samples(recipe.generator(5, 3), PATCH)
    luma, chroma, labels = recipe.stack(samples)
    assert luma.shape == (9, PATCH, PATCH) and chroma.shape == (9, 2, PATCH // 2, PATCH // 2) and labels.shape == (9, 5)
    assert {s.kind for s in samples} <= KINDS | {"libx264", "libx265", "mpeg2video", "mpeg4", "mjpeg"}
    assert max(samples[0].labels) == max(samples[1].labels) == 0
    for place, name in enumerate(("macroblocks", "macroblocks", *BLOCK_CLASSES), start=2):
        assert samples[place].labels[BLOCK_CLASSES.index(name)] in (1.0, recipe.UNKNOWN)


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video", "mpeg4"])
def test_damaged_packets_leave_seams_in_some_pictures(codec: str) -> None:
    shown = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        frames = moving(rng, 144, 144, recipe.FRAMES, lens(rng, plain=True))
        packets = encode(frames, Coding(codec, 22 if codec == "libx264" else 4))
        right = decode(packets, codec)
        assert sorted(right) == list(range(recipe.FRAMES))
        assert float(np.abs(right[0][0].astype(int) - frames[0][0]).mean()) < 6
        assert defects.seams(right[1], right[1]) == 0
        hurt = [decode(damage(rng, packets), codec) for _ in range(10)]
        shown += [defects.seams(right[n], planes) for found in hurt for n, planes in found.items()]
    assert max(shown) >= recipe.LEAST_DAMAGE


def test_lost_blocks_are_seams_and_another_moment_is_none() -> None:
    rng = np.random.default_rng(4)
    frames = moving(rng, 256, 256, recipe.FRAMES, lens(rng, plain=True))
    lost = defects.copy(frames[0])
    lost[0][64:80, 32:48] = 235 if lost[0][60:84, 28:52].mean() < 128 else 16
    assert defects.seams(frames[0], lost) == 8
    lost[0][208:224, 192:208] = 235 if lost[0][204:228, 188:212].mean() < 128 else 16
    assert defects.seams(frames[0], lost) == 8, "the other block lies in no patch with the first"
    assert defects.seams(frames[0], frames[4]) < recipe.LEAST_DAMAGE


@pytest.mark.parametrize("make", [textures.view, lambda *size: textures.chart(*size)[0]])
def test_views_and_charts_are_pictures_of_legal_codes(make: Callable[..., list[Planes]]) -> None:
    made, again = (make(np.random.default_rng(6), 144, 96, 3) for _ in range(2))
    for (y, u, v), same in zip(made, again, strict=True):
        assert y.shape == (96, 144) and u.shape == v.shape == (48, 72)
        assert 16 <= y.min() < y.max() <= 235
        np.testing.assert_array_equal(y, same[0])
    assert len(made) == 3


def test_training_is_repeatable() -> None:
    import torch

    from processors.models.artefacts import make
    from scripts.artefacts.train import fit, strips

    digests = set()
    for _ in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            network = make()["picture"]
            luma, labels = strips(4, 16)
            fit(network, (luma,), labels, 1, "cpu")
        values = b"".join(v.numpy().tobytes() for v in network.state_dict().values())
        digests.add(hashlib.sha256(values).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("length", "patch", "dense"), [(512, 128, 1), (176, 128, 1), (128, 128, 1), (100, 128, 1), (270, 64, 2)]
)
def test_patches_cover_a_side(length: int, patch: int, dense: int) -> None:
    found = starts(length, patch, dense)
    assert found[0] == 0 and all(at % 8 == 0 for at in found)
    assert all(b - a <= patch // dense for a, b in pairwise(found))
    assert found[-1] + patch > length - 8


def test_patches_of_small_and_odd_stills() -> None:
    def still(height: int, width: int) -> StillPlanes:
        plane = np.zeros((height, width), np.float32)
        return StillPlanes(plane, plane[::2, ::2], plane[::2, ::2], plane)

    assert block_patches(still(LEAST - 8, 512)) is None
    assert picture_patches(still(STRIP[0] - 1, 480).picture) is None
    found = block_patches(still(176, 320))
    assert found is not None
    assert found[0].shape == (6, 128, 128) and found[1].shape == (6, 2, 64, 64)
    narrow = block_patches(still(80, 96))
    assert narrow is not None and narrow[0].shape == (1, 80, 96)
