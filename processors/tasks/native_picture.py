"""Native picture: black, freezes, bars, levels and light of every frame at native resolution and depth."""

from __future__ import annotations

from processors.signals.native_analyser import NativeAnalyser
from processors.signals.native_fold import NativeFold
from processors.tasks.base import NATIVE, DecodeAnalyser, DecodeTask, Fold, TaskSpec
from schemas.plan import Job


class NativePicture:
    """The decode task ``native-picture``; what it finds is said in the modules that find it."""

    spec = TaskSpec(
        name="native-picture",
        version="1.1.0",
        kind="video",
        where="decode",
        rendition=NATIVE,
        summary="Black, flash frames, freezes, letterbox, legal range and light level, from every native frame",
        findings=tuple(
            f"video.{name}" for name in ("black", "flash_frame", "freeze", "letterbox", "out_of_range", "bars", "slate")
        ),
    )
    fold: Fold = NativeFold()

    def open(self, job: Job) -> DecodeAnalyser:
        """Begin one job."""
        return NativeAnalyser(job.clock)


TASK: DecodeTask = NativePicture()
