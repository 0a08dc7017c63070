"""Compares the signals of programmes with FFmpeg's filters on the same files: ours, the reference's, the difference.

``python -m tests.accuracy.agreement --count 200 [--first SEED] [--workers N]``. A difference has to be explained by a
definition (:data:`DEFINITIONS`), and each explanation is checked on the file where it is used: there is no tolerance
beyond a frame (50 ms of silence). The status is 1 where a difference is left unexplained.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from processors.signals.cut import scores
from processors.signals.native_analyser import BLACK_PICTURE
from processors.signals.native_fold import ILLEGAL_BRIDGE, ILLEGAL_ROWS, ILLEGAL_SHARE
from tests.accuracy import measured, programmes, reference
from tests.accuracy.children import each
from tests.accuracy.measured import Measured
from tests.accuracy.programmes import Form
from tests.accuracy.reference import NOTHING, Box, Reference

DEFINITIONS = {
    "named": "a still stretch of which 98 % is black, bars or a card is called that, and is no freeze; freezedetect reports it",
    "last-frame": "a stretch at the stream's end lasts as long as its last frame does; blackdetect and freezedetect end it "
    "where that frame begins, and so miss one that is 2 s long only with it",
    "black-frames": "the asset's active area is the union over the frames that are not black; cropdetect takes all",
    "one-line": "a single active line is an area; cropdetect, which searches from both sides, gives none",
}
"""Why ours may differ from FFmpeg's, by definition: docs/accuracy.md says it to users."""

CUT = 10.0
"""scdet's threshold: where its score is above, FFmpeg reports a cut."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing compared. ``why`` is empty where the two agree, else a code of :data:`DEFINITIONS`, or ``UNEXPLAINED``."""

    seed: int
    check: str
    ours: str
    theirs: str
    difference: str
    why: str = ""


UNEXPLAINED = "UNEXPLAINED"


def compare(seed: int, folder: Path) -> list[Row]:
    """Render the programme of a seed, measure it both ways, and compare everything."""
    path, truth = programmes.render(seed, folder)
    try:
        ours, theirs = measured.measure(path), reference.measure(path, truth.form.depth)
    finally:
        path.unlink()
    frames = len(ours.signals["pts"])
    if not frames == len(theirs.frames) == truth.frames:
        return [Row(seed, "frames", str(frames), str(len(theirs.frames)), str(frames - len(theirs.frames)), UNEXPLAINED)]
    case = _Case(seed, truth.form, ours, theirs)
    return [
        Row(seed, "frames", str(frames), str(frames), "0"),
        *case.black(),
        *case.freeze(),
        *case.silence(),
        *case.levels(),
        *case.cuts(),
        *case.crop(),
    ]


@dataclass(frozen=True, slots=True)
class _Case:
    """One programme and what both say of it."""

    seed: int
    form: Form
    ours: Measured
    theirs: Reference

    @property
    def frame(self) -> float:
        return float(1 / Fraction(self.form.rate))

    @property
    def times(self) -> np.ndarray:
        """Where each frame begins, and where the last one ends, in seconds since the container's start."""
        clock = next(iter(self.ours.event.clocks.values()))
        pts, durations = self.ours.signals["pts"], self.ours.signals["duration"]
        ticks = np.append(pts, pts[-1] + durations[-1]) - clock.origin_pts
        return ticks * (clock.tick[0] / clock.tick[1])

    def black(self) -> Iterator[Row]:
        yield from self._spans("black", "video.black", self._closed(self.theirs.black), self.frame, self._last_frame)

    def freeze(self) -> Iterator[Row]:
        def why(ours: Span | None, theirs: Span | None) -> str:
            return self._named(theirs) if ours is None and theirs is not None else self._last_frame(ours, theirs)

        yield from self._spans("freeze", "video.freeze", self._closed(self.theirs.freeze), self.frame, why)

    def silence(self) -> Iterator[Row]:
        end = next((c.analysed for s, c in self.ours.event.coverage.streams.items() if s == "a0"), 0) / self.form.sample_rate
        theirs = [(a, end if b is None else b) for a, b in self.theirs.silence]
        yield from self._spans("silence", "audio.silence", theirs, 0.05, lambda ours, theirs: UNEXPLAINED)

    def levels(self) -> Iterator[Row]:
        if self.form.full_range:
            return
        chroma = programmes.chroma_size(self.form.pixel_format, self.form.width, self.form.height)
        sizes = np.array([self.form.width * self.form.height, chroma[0] * chroma[1], chroma[0] * chroma[1]])
        top = (1 << self.form.depth) - 1
        shares = np.array([[float(f) for f in figures.illegal] for figures in self.theirs.frames]) / top
        theirs = np.rint(shares * sizes).sum(axis=1)  # whole samples again: six digits are printed
        ours = np.rint(self.ours.signals["out_of_range"] * sizes.sum())
        apart = np.abs(ours - theirs)
        slack = (sizes * 1e-6).sum()
        yield self._row(
            "levels, samples a frame", int(ours.sum()), int(theirs.sum()), int(apart.max()), ok=apart.max() <= slack
        )
        yield from self._spans("levels", "video.out_of_range", self._illegal(theirs / sizes.sum()), self.frame, _unexplained)

    def cuts(self) -> Iterator[Row]:
        score = np.concatenate(([0.0], scores(self.ours.signals["luma_diff"])[:-1])) * 100
        printed = np.array([float(f.score) for f in self.theirs.frames])
        apart = float(np.abs(score - printed).max())
        yield self._row("cut score", f"{score.max():.3f}", f"{printed.max():.3f}", f"{apart:.4f}", ok=apart <= 0.00051)
        ours, theirs = np.flatnonzero(score >= CUT), np.flatnonzero(printed >= CUT)
        yield self._row("cuts", len(ours), len(theirs), len(set(ours) ^ set(theirs)), ok=ours.tolist() == theirs.tolist())

    def crop(self) -> Iterator[Row]:
        ours = [tuple(int(v) for v in area) for area in self.ours.signals["area"]]
        theirs = [figures.area for figures in self.theirs.frames]
        unlike = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
        lines = [b == NOTHING and (a[1] - a[0] == 1 or a[3] - a[2] == 1) for a, b in unlike]
        why = "" if not unlike else "one-line" if all(lines) else UNEXPLAINED
        yield Row(self.seed, "crop, frames", str(len(ours) - len(unlike)), str(len(theirs)), str(len(unlike)), why)
        found = next(s.active_area for s in self.ours.event.technical.streams if s.kind == "video")
        mine = None if found is None else (found.y, found.y + found.h, found.x, found.x + found.w)
        every = _union(theirs)
        if mine != every:
            black = self.ours.signals["black_ratio"] >= BLACK_PICTURE
            why = (
                "black-frames" if mine == _union(b for b, dark in zip(theirs, black, strict=True) if not dark) else UNEXPLAINED
            )
            yield Row(self.seed, "crop, asset", str(mine), str(every), "another area", why)
        else:
            yield Row(self.seed, "crop, asset", str(mine), str(every), "0")

    def _row(self, check: str, ours: object, theirs: object, difference: object, *, ok: bool) -> Row:
        return Row(self.seed, check, str(ours), str(theirs), str(difference), "" if ok else UNEXPLAINED)

    def _spans(
        self,
        check: str,
        code: str,
        theirs: Sequence[Span],
        tolerance: float,
        why: Callable[[Span | None, Span | None], str],
    ) -> Iterator[Row]:
        for mine, other in match(self.ours.intervals(code), theirs):
            apart = None if mine is None or other is None else max(abs(mine[0] - other[0]), abs(mine[1] - other[1]))
            agree = apart is not None and apart <= tolerance * 1.01
            difference = "extra" if other is None else "missing" if apart is None else f"{apart:.4f} s"
            yield Row(self.seed, check, _said(mine), _said(other), difference, "" if agree else why(mine, other))

    def _closed(self, spans: Iterable[reference.Seconds]) -> list[Span]:
        end = float(self.times[-1])
        return [(a, end if b is None else b) for a, b in spans]

    def _last_frame(self, ours: Span | None, theirs: Span | None) -> str:
        """Ours ends with the stream, and without its last frame it would be too short for a filter that stops there."""
        end = float(self.times[-1])
        alone = ours is not None and theirs is None
        return "last-frame" if alone and abs(ours[1] - end) < 1e-3 and ours[1] - ours[0] - self.frame < 2.0 else UNEXPLAINED

    def _named(self, theirs: Span) -> str:
        low, high = np.searchsorted(self.times[:-1] + self.frame / 2, theirs)
        black = self.ours.signals["black_ratio"][low:high] >= BLACK_PICTURE
        named = black | (self.ours.signals["template"][low:high] > 0)
        return "named" if len(named) and named.mean() >= 0.98 else UNEXPLAINED

    def _illegal(self, shares: np.ndarray) -> list[Span]:
        """Stretches of too many samples out of range, by the rule, from what FFmpeg counted."""
        rows = np.flatnonzero(shares > ILLEGAL_SHARE)
        if not len(rows):
            return []
        edges = [
            0,
            *(k + 1 for k, (a, b) in enumerate(pairwise(rows)) if self.times[b] - self.times[a + 1] > ILLEGAL_BRIDGE),
            len(rows),
        ]
        stretches = [rows[a:b] for a, b in pairwise(edges)]
        return [(float(self.times[s[0]]), float(self.times[s[-1] + 1])) for s in stretches if len(s) >= ILLEGAL_ROWS]


def match(ours: Sequence[Span], theirs: Sequence[Span]) -> list[tuple[Span | None, Span | None]]:
    """Pairs of intervals that overlap, each used once; ``None`` where one has no partner."""
    left, pairs = list(theirs), list[tuple[Span | None, Span | None]]()
    for mine in ours:
        other = max(left, key=lambda t: min(mine[1], t[1]) - max(mine[0], t[0]), default=None)
        if other is not None and min(mine[1], other[1]) <= max(mine[0], other[0]):
            other = None
        if other is not None:
            left.remove(other)
        pairs.append((mine, other))
    return pairs + [(None, other) for other in left]


def _unexplained(ours: Span | None, theirs: Span | None) -> str:
    return UNEXPLAINED


def _said(span: Span | None) -> str:
    return "none" if span is None else f"{span[0]:.3f}–{span[1]:.3f} s"


def _union(boxes: Iterable[Box]) -> Box | None:
    seen = [box for box in boxes if box != NOTHING]
    if not seen:
        return None
    tops, bottoms, lefts, rights = zip(*seen, strict=True)
    return min(tops), max(bottoms), min(lefts), max(rights)


def _one(seed: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return compare(seed, Path(folder))


def report(rows: Sequence[Row], seeds: int) -> Iterator[str]:
    """The differences one by one, and what was compared, by check."""
    for row in rows:
        if row.why:
            yield f"  programme {row.seed}: {row.check}: ours {row.ours}, ffmpeg {row.theirs}: {row.difference}: {row.why}"
    yield f"{seeds} programmes"
    for check in dict.fromkeys(row.check for row in rows):
        these = [row for row in rows if row.check == check]
        reasons = Counter(row.why for row in these if row.why)
        told = ", ".join(f"{n} {why}" for why, n in reasons.items())
        yield f"  {check:26} {len(these):5} compared  {len(these) - reasons.total():5} agree  {told}"
    for why in {row.why for row in rows} & DEFINITIONS.keys():
        yield f"  {why}: {DEFINITIONS[why]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.agreement", description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args(arguments)
    rows: dict[int, list[Row]] = {}
    seeds = range(chosen.first, chosen.first + chosen.count)
    for seed, found in each(_one, {seed: (seed,) for seed in seeds}, chosen.workers):
        rows[seed] = found
        unlike = [row.why for row in found if row.why]
        form = programmes.form(seed)
        about = f"{form.encoder} {form.pixel_format} {form.width}x{form.height} {form.rate} {form.sound} {form.channels} ch"
        print(f"{len(rows)}/{chosen.count} programme {seed} ({about}): {', '.join(unlike) or 'agrees'}", flush=True)
    every = [row for seed in sorted(rows) for row in rows[seed]]
    print("\n".join(report(every, len(rows))))
    return int(any(row.why == UNEXPLAINED for row in every))


if __name__ == "__main__":
    sys.exit(main())
