"""Samples by seed: what the networks are trained on, and what their thresholds are chosen on. Nothing here is filmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.signals.artefact_scores import BLOCK_CLASSES
from processors.signals.still_planes import Floats
from scripts.artefacts import defects, lettering, pictures, textures
from scripts.artefacts.codecs import Coding, damage, decode, encode, recode
from scripts.artefacts.pictures import Lens, Planes

FRAMES = 5
UNKNOWN = -1.0
"""Label of a class that nobody could decide on: it does not count in training."""
LEAST_DAMAGE = 12
"""Edges of 8x8 blocks in one patch that must have become seams for damage to be called so: two macroblocks' worth."""

_EDGE = 16
_WEAK_CHANGE = 2.2
_DETAIL = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A block of a picture and what is wrong with it: 1, 0 or ``UNKNOWN`` by class. ``kind`` is the defect put in, or clean."""

    planes: Planes
    labels: tuple[float, ...]
    kind: str


def labels(**known: float) -> tuple[float, ...]:
    """By class; what is not named is not there."""
    return tuple(known.get(name, 0.0) for name in BLOCK_CLASSES)


LOST = labels(macroblocks=1, compression=UNKNOWN, upscaled=UNKNOWN)
"""Lost blocks. They hide whether there were too few bits, or pixels."""


def block_samples(rng: np.random.Generator, size: int) -> list[Sample]:
    """One scene, clean twice, with lost blocks three times, and once with each of the other four defects: blocks of ``size`` by
    ``size``, which is a multiple of 8.
    """
    whole = size + _EDGE
    left, top = (int(k) * 8 for k in rng.integers(0, _EDGE // 8 + 1, 2))

    def seen_part(planes: Planes) -> Planes:
        return crop(planes, left, top, size, size)

    frames, seen = _frames(rng, whole)
    made = [
        _clean(rng, frames, seen),
        _clean(rng, frames, seen),
        _packets(rng, frames, seen_part),
        _packets(rng, frames, seen_part),
        _blocks(rng, frames, seen_part),
        Sample(_lightly(rng, [defects.dropouts(rng, frames[2])]), labels(dropout=1, upscaled=_softness(seen)), "dropout"),
        combed(rng, frames),
        _upscaled(rng, whole),
        compressed(rng, frames, coding=heavy(rng)),
    ]
    return [replace(s, planes=seen_part(s.planes)) for s in made]


def _frames(rng: np.random.Generator, whole: int) -> tuple[list[Planes], Lens]:
    """Five pictures of a scene: leaves mostly, else a view or a chart."""
    kind = rng.random()
    if kind < 0.7:
        seen = pictures.lens(rng)
        return pictures.moving(rng, whole, whole, FRAMES, seen), seen
    if kind < 0.93:
        return textures.view(rng, whole, whole, FRAMES), textures.VIEW
    return textures.chart(rng, whole, whole, FRAMES)


def crop(planes: Planes, left: int, top: int, width: int, height: int) -> Planes:
    """A window of a picture; even places and sizes."""
    y, u, v = planes
    half = (slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2))
    return y[top : top + height, left : left + width], u[half], v[half]


def _softness(seen: Lens) -> float:
    return UNKNOWN if seen.blur > 0.8 else 0.0


def _clean(rng: np.random.Generator, frames: Sequence[Planes], seen: Lens) -> Sample:
    return Sample(_lightly(rng, frames), labels(upscaled=_softness(seen) if seen.grain < 1.5 else 0.0), "clean")


def light(rng: np.random.Generator) -> Coding | None:
    """How programmes are delivered, or no codec at all."""
    kind = rng.random()
    if kind < 0.25:
        return None
    if kind < 0.7:
        return Coding("libx264", int(rng.integers(12, 29)))
    if kind < 0.9:
        return Coding(str(rng.choice(["mpeg2video", "mpeg2video", "mpeg4"])), int(rng.integers(2, 6)))
    return Coding("mjpeg", int(rng.integers(2, 5)))


def heavy(rng: np.random.Generator) -> Coding:
    """Far too few bits."""
    kind = rng.random()
    if kind < 0.5:
        return Coding("libx264", int(rng.integers(38, 51)))
    if kind < 0.6:
        return Coding("libx265", int(rng.integers(38, 51)))
    codec = str(rng.choice(["mpeg2video", "mpeg4", "mjpeg"]))
    return Coding(codec, int(rng.integers(14, 32)))


def _lightly(rng: np.random.Generator, frames: Sequence[Planes]) -> Planes:
    """One of the pictures, after light compression."""
    coding = light(rng)
    at = int(rng.integers(0, len(frames)))
    return frames[at] if coding is None else recode(frames[: at + 1], coding)[at]


def _packets(rng: np.random.Generator, frames: Sequence[Planes], part: Callable[[Planes], Planes]) -> Sample:
    hurt = damaged(rng, frames, attempts=6, part=part)
    return _blocks(rng, frames, part) if hurt is None else Sample(hurt, LOST, "packets")


def _blocks(rng: np.random.Generator, frames: Sequence[Planes], part: Callable[[Planes], Planes]) -> Sample:
    for _ in range(8):
        planes = _lightly(rng, [defects.macroblocks(rng, frames[2], frames[0])])
        if defects.seams(part(frames[2]), part(planes)) >= LEAST_DAMAGE:
            return Sample(planes, LOST, "blocks")
    return Sample(frames[2], labels(macroblocks=UNKNOWN, upscaled=UNKNOWN), "nothing")


def damaged(
    rng: np.random.Generator,
    frames: Sequence[Planes],
    *,
    attempts: int,
    part: Callable[[Planes], Planes] = lambda planes: planes,
) -> Planes | None:
    """The picture that shows most of packets damaged on the way, as FFmpeg's decoder conceals it; ``None`` if none shows
    enough in the ``part`` that counts.
    """
    for _ in range(attempts):
        codec = str(rng.choice(["libx264", "libx264", "mpeg2video", "mpeg4"]))
        q = int(rng.integers(18, 31)) if codec == "libx264" else int(rng.integers(2, 7))
        packets = encode(frames, Coding(codec, q, slices=int(rng.choice([1, 1, 4]))))
        right, wrong = decode(packets, codec), decode(damage(rng, packets), codec)
        shown = {n: defects.seams(part(right[n]), part(wrong[n])) for n in right.keys() & wrong.keys()}
        worst = max(shown, key=lambda n: (shown[n], n), default=None)
        if worst is not None and shown[worst] >= LEAST_DAMAGE:
            return wrong[worst]
    return None


def combed(rng: np.random.Generator, frames: Sequence[Planes]) -> Sample:
    """Fields of two times in one picture; unknown where nothing moves enough to tell."""
    first = int(rng.integers(0, len(frames) - 2))
    pair = frames[first], frames[first + int(rng.integers(1, 3))]
    share = defects.changed(*pair)
    known = 1.0 if share >= 0.08 else UNKNOWN
    return Sample(_lightly(rng, [defects.combing(rng, *pair)]), labels(combing=known, upscaled=UNKNOWN), "combing")


def _upscaled(rng: np.random.Generator, whole: int) -> Sample:
    factor = float(rng.uniform(1.6, 3.5))
    small = max(48, round(whole / factor) // 2 * 2)
    (source,) = pictures.moving(rng, small, small, 1, pictures.lens(rng, plain=True))
    return enlarged(rng, source, whole, whole)


def enlarged(rng: np.random.Generator, source: Planes, width: int, height: int) -> Sample:
    """A picture of fewer pixels, made larger; unknown where it has too little detail to tell."""
    luma = source[0].astype(np.float32)
    detail = float(np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 1.0)).mean())
    planes = defects.enlarge(source, width, height, int(rng.choice(defects.KERNELS)))
    if rng.random() < 0.3:
        y = planes[0].astype(np.float32)
        y += np.float32(rng.uniform(0.2, 0.8)) * (y - cv2.GaussianBlur(y, (0, 0), 1.2))
        planes = pictures.to_codes([y, planes[1].astype(np.float32), planes[2].astype(np.float32)])
    coding = Coding("libx264", int(rng.integers(12, 25))) if rng.random() < 0.6 else None
    seen = planes if coding is None else recode([planes], coding)[0]
    return Sample(seen, labels(upscaled=1.0 if detail > _DETAIL else UNKNOWN), "upscaled")


def compressed(rng: np.random.Generator, frames: Sequence[Planes], coding: Coding) -> Sample:
    """Over-compressed; unknown where the picture has so little in it that nothing is lost."""
    at = int(rng.integers(0, len(frames)))
    planes = recode(frames[: at + 1], coding)[at]
    loss = float(np.abs(planes[0].astype(np.int16) - frames[at][0]).mean())
    known = 1.0 if loss > _WEAK_CHANGE else UNKNOWN
    return Sample(
        planes, labels(compression=known, upscaled=UNKNOWN, macroblocks=0.0 if known == 1.0 else UNKNOWN), coding.codec
    )


def strip_samples(rng: np.random.Generator, height: int, width: int) -> list[tuple[Floats, float, str]]:
    """Luma of one scene with a timecode, with other text, and with none: float32 codes, label and kind."""
    ((y, _, _),) = pictures.moving(rng, width, height, 1, pictures.lens(rng))
    luma = y.astype(np.float32)
    tall = int(np.clip(rng.gamma(4, 3.2), 6, 30))
    finish: Callable[[Floats], Floats] = _finish(rng)
    code = lettering.burn(rng, luma, lettering.timecode_text(rng), lettering.drawers(rng), tall)
    other = lettering.burn(rng, luma, lettering.other_text(rng), lettering.drawers(rng), tall)
    return [(finish(code), 1.0, "timecode"), (finish(other), 0.0, "text"), (finish(luma), 0.0, "clean")]


def _finish(rng: np.random.Generator) -> Callable[[Floats], Floats]:
    """What scaling and coding leave of letters: a little blur, a little noise."""
    blur, noise = float(rng.uniform(0, 0.9)), float(rng.uniform(0, 4))

    def finish(luma: Floats) -> Floats:
        soft = cv2.GaussianBlur(luma, (0, 0), blur) if blur > 0.2 else luma
        return np.clip(soft + rng.normal(0, noise, luma.shape), 16, 235).astype(np.float32)

    return finish


def generator(seed: int, number: int) -> np.random.Generator:
    """One scene's own: the same whatever was made before it."""
    return np.random.default_rng([seed, number])


def stack(samples: Sequence[Sample]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
    """Luma ``(n, h, w)``, chroma ``(n, 2, h/2, w/2)`` and labels ``(n, 5)``."""
    luma = np.stack([s.planes[0] for s in samples])
    chroma = np.stack([np.stack(s.planes[1:]) for s in samples])
    return luma, chroma, np.array([s.labels for s in samples], np.float32)
