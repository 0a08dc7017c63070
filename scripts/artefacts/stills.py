"""Stills to measure on, as the task sees them: by seed, from the rendered sample, and from clips nothing was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from processors.decode.picture import view_plane
from processors.renditions.stills import block_span
from processors.sample.programme import FRAMES, RATE, Programme
from processors.signals.artefact_scores import BLOCK_CLASSES, CLASSES
from processors.signals.still_planes import Floats, StillPlanes, picture_luma
from scripts.artefacts import defects, lettering, recipe
from scripts.artefacts.lettering import Draw
from scripts.artefacts.pictures import Planes

SIZE = 384
"""Of the blocks by seed."""
MOST_STILLS = 12
"""Of one clip."""
PICTURE = (270, 480)


@dataclass(frozen=True, slots=True)
class Marked:
    """A still with what is wrong with it: 1, 0 or unknown by class. ``source`` is the clip, ``kind`` the defect put in."""

    still: StillPlanes
    labels: dict[str, float]
    source: str
    kind: str


def by_seed(seed: int, scenes: int) -> Iterator[Marked]:
    """Blocks of 384x384 and pictures of 480x270 as they are trained on, from other seeds."""
    for number in range(scenes):
        rng = recipe.generator(seed, number)
        for sample in recipe.block_samples(rng, SIZE):
            known = dict(zip(BLOCK_CLASSES, sample.labels, strict=True)) | {"timecode": recipe.UNKNOWN}
            yield Marked(_block(sample.planes), known, "seed", sample.kind)
        for luma, label, kind in recipe.strip_samples(rng, *PICTURE):
            known = dict.fromkeys(CLASSES, recipe.UNKNOWN) | {"timecode": label}
            yield Marked(_only_picture(luma), known, "seed", f"{kind} strip")


def from_sample() -> Iterator[Marked]:
    """A picture of each second of the rendered sample, cards and burnt-in words among them: nothing is wrong with any."""
    programme = Programme()
    for frame in range(0, FRAMES, RATE):
        planes = programme.draw(frame).planes
        yield Marked(_whole(planes), dict.fromkeys(CLASSES, 0.0), "sample", "clean")


def from_clip(path: Path, unknown: Sequence[str], seed: int, draw: Draw | None) -> Iterator[Marked]:
    """Stills of a clip as they are, and with each defect; what cannot be said of the clip is unknown throughout.

    ``draw`` sets timecode and other text in a typeface that nothing was trained on.
    """
    doubtful = dict.fromkeys(unknown, recipe.UNKNOWN)
    for moment, frames in _moments(path):
        rng = np.random.default_rng([seed, moment])
        yield Marked(_whole(frames[0]), dict.fromkeys(CLASSES, 0.0) | doubtful, path.name, "clean")
        for sample in _spoilt(rng, frames):
            known = dict(zip(BLOCK_CLASSES, sample.labels, strict=True))
            found = {name: recipe.UNKNOWN if name in doubtful and not value else value for name, value in known.items()}
            yield Marked(_block(sample.planes), found | {"timecode": recipe.UNKNOWN}, path.name, sample.kind)
        if draw is not None:
            for text, label in ((lettering.timecode_text(rng), 1.0), (lettering.other_text(rng), 0.0)):
                known = dict.fromkeys(CLASSES, recipe.UNKNOWN) | {"timecode": label}
                yield Marked(_titled(rng, frames[0], text, draw), known, path.name, "timecode" if label else "text")


def _spoilt(rng: np.random.Generator, frames: Sequence[Planes]) -> Iterator[recipe.Sample]:
    height, width = frames[0][0].shape
    left, top, across, down = block_span(width, height)
    left, top, across, down = (value // 16 * 16 for value in (left, top, across, down))
    blocks = [recipe.crop(f, left, top, across, down) for f in frames]
    hurt = recipe.damaged(rng, blocks, attempts=6)
    if hurt is not None:
        yield recipe.Sample(hurt, recipe.LOST, "packets")
    yield recipe.Sample(defects.dropouts(rng, blocks[0]), recipe.labels(dropout=1), "dropout")
    yield recipe.combed(rng, blocks)
    factor = float(rng.uniform(1.6, 3.0))
    small = [round(side / factor) // 2 * 2 for side in (across, down)]
    part = recipe.crop(frames[0], (width - small[0]) // 4 * 2, (height - small[1]) // 4 * 2, small[0], small[1])
    yield recipe.enlarged(rng, part, across, down)
    yield recipe.compressed(rng, blocks, recipe.heavy(rng))


def _titled(rng: np.random.Generator, planes: Planes, text: str, draw: Draw) -> StillPlanes:
    """A whole picture with text at its foot or head, set at full size and then seen as the task does."""
    luma = planes[0].astype(np.float32)
    height, width = luma.shape
    tall = max(8, round(height * float(rng.uniform(0.035, 0.08))))
    wide = draw(text, tall).shape[1]
    at = (int(rng.uniform(0.05, 0.5) * max(1, width - wide)), int(height * (0.86 if rng.random() < 0.6 else 0.05)))
    titled = lettering.burn(rng, luma, text, draw, tall, at)
    return _only_picture(_as_picture(np.clip(titled, 16, 235)))


def _moments(path: Path) -> Iterator[tuple[int, list[Planes]]]:
    """Five pictures from each half second on, of at most ``MOST_STILLS`` spread over the clip; 8 bit, 4:2:0."""
    moments: dict[int, list[Planes]] = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        start = float((stream.start_time or 0) * (stream.time_base or 0))
        for number, frame in enumerate(islice(_decoded(container, stream), 800)):
            at = number / 25 if frame.time is None else frame.time - start
            kept = moments.setdefault(int(2 * at), [])
            if len(kept) < recipe.FRAMES:
                kept.append(_converted(frame))
    whole = sorted(m for m, kept in moments.items() if len(kept) == recipe.FRAMES and len({p[0].shape for p in kept}) == 1)
    for moment in whole[:: -(-len(whole) // MOST_STILLS) if whole else 1]:
        yield moment, moments[moment]


def _decoded(container: Any, stream: Any) -> Iterator[av.VideoFrame]:
    """What comes out; what cannot be decoded is passed over."""
    packets = container.demux(stream)
    while True:
        try:
            yield from next(packets).decode()
        except StopIteration:
            return
        except FFmpegError:
            continue


def _converted(frame: av.VideoFrame) -> Planes:
    width, height = frame.width // 2 * 2, frame.height // 2 * 2
    picture = frame.reformat(format="yuv420p", dst_color_range="MPEG")
    y, u, v = (view_plane(p, np.dtype(np.uint8)).copy() for p in picture.planes)
    return y[:height, :width], u[: height // 2, : width // 2], v[: height // 2, : width // 2]


def _whole(planes: Planes) -> StillPlanes:
    height, width = planes[0].shape
    block = recipe.crop(planes, *(value // 2 * 2 for value in block_span(width, height)))
    y, u, v = (plane.astype(np.float32) for plane in block)
    return StillPlanes(y, u, v, _as_picture(planes[0].astype(np.float32)))


def _as_picture(luma: Floats) -> Floats:
    grey = np.clip(np.rint((luma - 16) * (255 / 219)), 0, 255).astype(np.uint8)
    return picture_luma(np.asarray(cv2.merge([grey, grey, grey]), np.uint8))


def _block(planes: Planes) -> StillPlanes:
    y, u, v = (np.ascontiguousarray(plane, np.float32) for plane in planes)
    return StillPlanes(y, u, v, np.zeros((0, 0), np.float32))


def _only_picture(luma: Floats) -> StillPlanes:
    nothing = np.zeros((0, 0), np.float32)
    return StillPlanes(nothing, nothing, nothing, luma)


def typeface(path: Path) -> Draw | None:
    """Text in a font file; ``None`` where there is none."""
    if not path.is_file():
        return None
    font = cv2.FontFace(str(path))

    def draw(text: str, height: int) -> Floats:
        size = 2 * height
        mask: NDArray[np.uint8] = np.zeros((2 * size, size * len(text)), np.uint8)
        cv2.putText(mask, text, (size // 4, int(1.5 * size)), 255, font, round(height * 1.4))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / np.float32(255)

    return draw
