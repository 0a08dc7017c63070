"""Holds the artefact networks against thresholds: ``python -m scripts.artefacts.evaluate MEDIA``.

Thresholds of both are chosen on what is rendered (other seeds than were trained on, and the sample), for few false alarms.
Then both are measured on the clips of ``MEDIA``, which nothing was trained or chosen on. Prints Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from processors.models.artefacts import WEIGHTS, Artefacts
from processors.signals.artefact_metrics import metrics
from processors.signals.artefact_scores import CLASSES, network_scores
from scripts.artefacts.stills import Marked, by_seed, from_clip, from_sample, typeface

SEED = 9000
SCENES = 40
QUANTILE = 0.995
"""Of the scores of rendered stills without the defect, at least; no clean one is above the threshold."""
TOWARDS, AWAY = 0.25, 0.05
FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf")
"""Debian's fonts-dejavu-core."""
DETECTORS = ("network", "threshold")

UNKNOWN: dict[str, tuple[str, ...]] = {
    "fate_SonyXAVC_LongGOP_green_pixelation_early_Frames.mp4": ("combing", "macroblocks", "dropout"),  # fields; damaged
    "fate_attachment631-small.mp4": ("combing", "macroblocks", "dropout", "compression"),  # fields; damaged
    "fate_mpeg2_field_encoding.mp4": ("combing",),  # fields
    "fate_law-and-order-partial.mp4": ("combing",),  # from the air
    "fate_prores_422_hq.mp4": ("combing",),  # fields
    "testsrc2_h265.mp4": ("timecode",),  # a test picture with a counter
    "odd_size_444_10bit.mp4": ("timecode",),
    "bt709_full_range.mp4": ("timecode",),
    "bt2020_10bit.mp4": ("timecode",),
    "nasa_13013.mp4": ("compression", "upscaled"),  # 72 kbit/s, from another size
    "nasa_13013_hdr.mp4": ("compression", "upscaled"),
}
"""What nobody can say of a clip: it is neither right nor wrong to find it there."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A still's labels, and each detector's scores."""

    marked: Marked
    scores: dict[str, dict[str, float]]


def score(networks: Artefacts, stills: Iterable[Marked]) -> list[Scored]:
    """Both detectors on each still."""
    return [Scored(m, {"network": network_scores(networks, m.still), "threshold": metrics(m.still)}) for m in stills]


def values(scored: Sequence[Scored], detector: str, name: str, label: float, *, clean: bool | None = None) -> np.ndarray:
    """The scores of stills of one label; ``clean`` chooses those that nothing was put into, or the others."""
    found = [
        s.scores[detector][name]
        for s in scored
        if s.marked.labels[name] == label and (clean is None or (s.marked.kind == "clean") == clean)
    ]
    return np.array([v for v in found if not math.isnan(v)])


def choose(scored: Sequence[Scored], detector: str, name: str) -> float:
    """The threshold: above every clean still's score and nearly all of those with other defects, and from there a quarter
    of the way to the median with the defect, since what is filmed differs from what is rendered; where that is no way at
    all, a twentieth of what lies between the clean ones' median and it.

    Rounded up to four digits, which is how the task has it.
    """
    right, without = (values(scored, detector, name, label) for label in (1.0, 0.0))
    clean = values(scored, detector, name, 0.0, clean=True)
    edge = max(float(np.quantile(without, QUANTILE)), float(clean.max(initial=-math.inf)))
    margin = max(TOWARDS * (float(np.median(right)) - edge), AWAY * (edge - float(np.median(clean))))
    threshold = edge + margin
    step = 10.0 ** (math.floor(math.log10(abs(threshold))) - 3) if threshold else 1.0
    return math.ceil(threshold / step) * step


def interval(hits: int, count: int) -> str:
    """A share with its 95 % interval after Wilson."""
    if not count:
        return "–"
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return f"{share:.3f} ({max(0.0, middle - half):.2f}–{min(1.0, middle + half):.2f}, n {count})"


def ranked(right: np.ndarray, wrong: np.ndarray) -> float:
    """The chance that a still with the defect scores higher than one without: the area under the ROC curve."""
    if not len(right) or not len(wrong):
        return math.nan
    return float((right[:, None] > wrong).mean() + (right[:, None] == wrong).mean() / 2)


def row(scored: Sequence[Scored], detector: str, name: str, threshold: float) -> str:
    """One line of the table."""
    right = values(scored, detector, name, 1.0)
    clean, spoilt = (values(scored, detector, name, 0.0, clean=c) for c in (True, False))
    found, alarms, others = (int((v > threshold).sum()) for v in (right, clean, spoilt))
    cells = (
        name, detector, f"{threshold:.4g}", interval(found, len(right)), interval(found, found + alarms + others),
        interval(alarms, len(clean)), interval(others, len(spoilt)), f"{ranked(right, np.concatenate([clean, spoilt])):.3f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def clips(folder: Path) -> list[Path]:
    """The held-out clips."""
    return sorted(p for name in ("video", "hdr") for p in (folder / name).glob("*.m*"))


def main() -> None:
    """Choose thresholds, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("media", type=Path)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--alarms", action="store_true", help="name the clean stills that are found")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    networks = Artefacts("cpu", hashlib.sha256(asked.weights.read_bytes()).hexdigest(), asked.weights)
    rendered = score(networks, chain(by_seed(SEED, SCENES), from_sample()))
    chosen = {(d, c): choose(rendered, d, c) for c in CLASSES for d in DETECTORS}
    draw = typeface(FONT)
    held = [s for p in clips(asked.media) for s in score(networks, from_clip(p, UNKNOWN.get(p.name, ()), SEED, draw))]
    head = (
        "| class | detector | threshold | recall | precision | false alarms, clean | false alarms, other defects | ROC area |"
    )
    for title, scored in (("Rendered", rendered), ("Held out", held)):
        sources = len({s.marked.source for s in scored})
        print(f"\n{title}: {len(scored)} stills of {sources} sources\n\n{head}\n|{' --- |' * 8}")
        for name in CLASSES:
            for detector in DETECTORS:
                print(row(scored, detector, name, chosen[detector, name]), flush=True)
    if asked.alarms:
        for s in held:
            for name in CLASSES:
                for detector in DETECTORS:
                    wrong = s.marked.labels[name] == 0 and s.scores[detector][name] > chosen[detector, name]
                    if wrong:
                        print(detector, name, s.marked.source, s.marked.kind, f"{s.scores[detector][name]:.3f}")


if __name__ == "__main__":
    main()
