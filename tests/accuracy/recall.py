"""How many seeded defects are found: real clips and recordings with one defect each, by defect, with 95 % intervals.

``python -m tests.accuracy.recall --count 1000 [--workers N]``. Pictures go frame by frame through the tasks and folds that the
pipeline runs; every ``--coded``-th is also stored losslessly and analysed whole from its file. Sound is stored as WAV and
analysed whole. A defect counts as found if a finding of its code covers it (to a frame; 50 ms of sound; a cut to two frames;
flashes: overlaps it), or if its profile's rule is broken. The status is 1 where less than 99 % are found.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np

from processors.analyse import analyse
from processors.findings import FindingDraft
from schemas.events import ContentMetadata
from tests import flashes, picture
from tests.accuracy import cut_defects, excerpts, flash_defects
from tests.accuracy.children import each
from tests.accuracy.defects import PICTURE, Seeded
from tests.accuracy.excerpts import Excerpt, Recording
from tests.accuracy.programmes import video_frame
from tests.accuracy.sound_defects import SOUND, SeededSound
from tests.sound import to_int16
from tests.tools import MEDIA

CUT = "cut"
KINDS = (*PICTURE, *flash_defects.FLASHING, CUT, *SOUND)
WANTED = 0.99
TRIES = 60
"""How often another place is tried where an excerpt does not lend itself to a defect."""

SOUND_SLACK, PHASE_SLACK = 0.05, 0.11
"""Seconds by which a finding of sound may fall short: phase is judged over windows of 0.5 s."""

PIXEL_FORMATS = {8: "yuv420p", 10: "yuv420p10le"}


@dataclass(frozen=True, slots=True)
class Tried:
    """One seeded defect: what it was, where, whether it was found, and by its coded copy (``None``: it has none)."""

    seed: int
    kind: str
    source: str
    near: str
    found: bool
    coded: bool | None = None


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share after Wilson (1927)."""
    if not n:
        return 0.0, 1.0
    share = hits / n
    middle, spread = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - spread) / (1 + z * z / n), min(1.0, (middle + spread) / (1 + z * z / n))


def seeded(seed: int, *, coded: bool) -> Tried:
    """Plant the defect of a seed and look for it: kinds in turn, all else by chance. Raises where nothing lends itself."""
    kind = KINDS[seed % len(KINDS)]
    rng = np.random.default_rng([seed, 6])
    for _ in range(TRIES):
        if kind in SOUND:
            recording = _recordings()[rng.integers(len(_recordings()))]
            heard = SOUND[kind](recording, rng)
            if heard is not None:
                return Tried(seed, kind, recording.name, heard.near, _heard(kind, heard, recording))
        elif kind == CUT:
            return Tried(seed, kind, *cut_defects.look(_excerpts(), rng))
        else:
            excerpt = _excerpts()[rng.integers(len(_excerpts()))]
            plant = PICTURE[kind] if kind in PICTURE else flash_defects.FLASHING[kind]
            seen = plant(excerpt, rng)
            if seen is not None:
                ours = _seen(kind, seen, excerpt)
                return Tried(seed, kind, excerpt.name, seen.near, ours, _coded(kind, seen, excerpt) if coded else None)
    raise LookupError(f"no excerpt lends itself to {kind} (seed {seed})")


@cache
def _excerpts() -> tuple[Excerpt, ...]:
    return tuple(part for name in excerpts.VIDEOS if (MEDIA / name).is_file() for part in excerpts.excerpts(MEDIA, name, 2))


@cache
def _recordings() -> tuple[Recording, ...]:
    return tuple(excerpts.recordings(MEDIA))


def _seen(kind: str, seeded: Seeded, excerpt: Excerpt) -> bool:
    if kind in flash_defects.FLASHING:
        planes = flash_defects.proxies(seeded.pictures, excerpt.depth)
        found = flashes.found(flashes.BT1702, planes, matrix="bt709")
        return any(f.code == kind and f.start_row < seeded.end and f.end_row > seeded.start for f in found)
    drafts = picture.folded(picture.analyse(excerpts.frames(seeded.pictures, excerpt.depth)))[0]
    return any(_covers(f, kind, seeded) for f in drafts)


def _covers(found: FindingDraft, kind: str, seeded: Seeded) -> bool:
    rows = found.start_row, found.end_row
    return found.code == kind and None not in rows and rows[0] <= seeded.start + 1 and rows[1] >= seeded.end - 1


def _coded(kind: str, seeded: Seeded, excerpt: Excerpt) -> bool:
    """Whether it is found in a file too: lossless, so that what is near a limit stays on its side of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "defect.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            height, width = seeded.pictures[0][0].shape
            stream.width, stream.height, stream.pix_fmt = width, height, PIXEL_FORMATS[excerpt.depth]
            stream.codec_context.color_range = 1
            for number, planes in enumerate(seeded.pictures):
                frame = video_frame(planes, stream.pix_fmt, full_range=False)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        event = analyse(str(path), code="test", tasks_wanted=["native-picture", "flashing-bt1702"], profiles=[])
    whole = 0 if kind in PICTURE else seeded.end - seeded.start - 1
    return any(
        f.code == kind and f.start_frame <= seeded.start + 1 + whole and f.end_frame >= seeded.end - 1 - whole
        for f in event.findings
        if f.start_frame is not None and f.end_frame is not None
    )


def _heard(kind: str, seeded: SeededSound, recording: Recording) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "defect.wav"
        with wave.open(str(path), "wb") as out:
            out.setparams((seeded.samples.shape[1], 2, recording.rate, len(seeded.samples), "NONE", ""))
            out.writeframes(to_int16(seeded.samples).astype("<i2").tobytes())
        judged = kind not in PICTURE and kind.startswith("ebu")
        wanted = ["loudness"] if judged else ["audio-qc"]
        event = analyse(str(path), code="test", tasks_wanted=wanted, profiles=["ebu-r128"] if judged else [])
    return _broken(event, kind) if judged else _sounds(event, kind, seeded)


def _broken(event: ContentMetadata, kind: str) -> bool:
    profile, rule = kind.split()
    return any(r.rule == rule and r.outcome == "fail" for v in event.verdicts if v.profile == profile for r in v.rules)


def _sounds(event: ContentMetadata, kind: str, seeded: SeededSound) -> bool:
    slack = PHASE_SLACK if kind == "audio.phase_inverted" else SOUND_SLACK
    found = [f for f in event.findings if f.code == kind]
    return any(f.start_seconds <= seeded.start + slack and f.end_seconds >= seeded.end - slack for f in found)


def report(tried: Sequence[Tried]) -> Iterator[str]:
    """What was missed, and the shares."""
    for one in tried:
        if not one.found or one.coded is False:
            where = "in its file" if one.found else "missed"
            yield f"  {where}: seed {one.seed}, {one.kind} in {one.source}: {one.near}"
    yield f"  {'defect':32} {'n':>5} {'found':>6} {'share':>8}  95 % interval (Wilson)"
    for kind in (*KINDS, "all"):
        these = [one for one in tried if kind in ("all", one.kind)]
        hits = sum(one.found for one in these)
        low, high = wilson(hits, len(these))
        yield f"  {kind:32} {len(these):5} {hits:6} {hits / max(1, len(these)):8.2%}  {low:.2%} – {high:.2%}"
    again = [one for one in tried if one.coded is not None]
    yield f"  {len(again)} of them in coded files too: {sum(bool(one.coded) for one in again)} found"


def _one(seed: int, coded: bool) -> Tried:
    return seeded(seed, coded=coded)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.recall", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--coded", type=int, default=13, help="every so many are analysed from a file too")
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args(arguments)
    if not MEDIA.is_dir():
        print(f"There are no shared clips at {MEDIA} to splice defects into: nothing was tried.")
        return 0
    tried: list[Tried] = []
    seeds = range(chosen.first, chosen.first + chosen.count)
    for _, one in each(_one, {seed: (seed, seed % chosen.coded == 0) for seed in seeds}, chosen.workers):
        tried.append(one)
        if not one.found or one.coded is False or len(tried) % 20 == 0:
            missed = "" if one.found else f"; missed: seed {one.seed}, {one.kind} in {one.source}: {one.near}"
            print(f"{len(tried)}/{chosen.count}: {sum(one.found for one in tried)} found{missed}", flush=True)
    tried.sort(key=lambda one: one.seed)
    print("\n".join(report(tried)))
    return int(sum(one.found for one in tried) < WANTED * len(tried) or any(one.coded is False for one in tried))


if __name__ == "__main__":
    sys.exit(main())
