"""Scan: fields, their order, pulldown and repeated frames, from lines of every frame at native resolution and depth."""

from __future__ import annotations

from processors.signals.scan_analyser import ScanAnalyser
from processors.signals.scan_fold import ScanFold
from processors.tasks.base import NATIVE, DecodeAnalyser, DecodeTask, Fold, TaskSpec
from schemas.plan import Job


class Scan:
    """The decode task ``scan``; what it finds is said in the modules that find it."""

    spec = TaskSpec(
        name="scan",
        version="1.0.0",
        kind="video",
        where="decode",
        rendition=NATIVE,
        summary="Interlaced pictures and their field order, pulldown and repeated frames, from every native frame",
        findings=tuple(f"video.{name}" for name in ("interlaced", "field_order", "telecine", "duplicate_frames")),
    )
    fold: Fold = ScanFold()

    def open(self, job: Job) -> DecodeAnalyser:
        """Begin one job."""
        return ScanAnalyser()


TASK: DecodeTask = Scan()
