"""What is said of scans, cadences and repeated frames: the drafts of their findings."""

from __future__ import annotations

from fractions import Fraction

from processors.findings import FindingDraft, shortly
from processors.signals.scan_cadence import Cadence
from processors.signals.scan_rows import BOTTOM_FIRST, FRAMES, TOP_FIRST
from processors.signals.scan_runs import Run
from processors.signals.scan_stutter import Repeat
from processors.tasks.base import StreamContext

FIELD_RATE = 40
"""From so many frames a second on pictures are repeated as fields are elsewhere: 2:3 and 2:2 are pulldown then."""
SPLIT = 1.1
"""Fields that fit those of the neighbouring frames so many times better than each other are of one picture with them."""

_draft = FindingDraft.of_rows
_ORDERS = {TOP_FIRST: "top field first", BOTTOM_FIRST: "bottom field first"}
_DECLARED = {
    "progressive": FRAMES,
    "top first": TOP_FIRST,
    "bottom first": BOTTOM_FIRST,
    "top coded first": TOP_FIRST,
    "bottom coded first": BOTTOM_FIRST,
}
"""The order that a stream states. FFmpeg's last two come from QuickTime's 9 and 14 for frames of interleaved lines: the first
line is the earlier one, or the later one.
"""


def scanned(stream: StreamContext, order: int, run: Run, before: int) -> list[FindingDraft]:
    """A run of interlaced frames: native fields, or progressive pictures whose fields lie in two frames.

    ``before`` is the order of the last such run, 0 without one.
    """
    length = stream.clock.seconds(run.end - run.start)
    if run.own > SPLIT * run.near:
        text = f"2:2 pulldown, fields of one picture in two frames, {_ORDERS[order]}, for {shortly(length)} s"
        found = [_draft("video.telecine", run, length, "s", text)]
    else:
        text = f"Interlaced, {_ORDERS[order]}, for {shortly(length)} s"
        found = [_draft("video.interlaced", run, length, "s", text)]
    contradiction = contradicts(stream, order, interlaced=run.interlaced) or _changed(order, before)
    return found if contradiction is None else [*found, _draft("video.field_order", run, length, "s", contradiction)]


def as_fields(stream: StreamContext, run: Run) -> list[FindingDraft]:
    """A run of progressive frames that call themselves interlaced."""
    length = stream.clock.seconds(run.end - run.start)
    text = f"2:2 pulldown, progressive pictures in interlaced frames, for {shortly(length)} s"
    return [_draft("video.telecine", run, length, "s", text)]


def repeating(stream: StreamContext, found: Cadence) -> list[FindingDraft]:
    """A stretch with a cadence of repeated fields or frames."""
    rate = Fraction(*stream.clock.frame_rate) if stream.clock.frame_rate else None
    length = stream.clock.seconds(found.end - found.start)
    what = found.what
    pulldown = what.fields or (":" in what.name and rate is not None and rate >= FIELD_RATE)
    rates = "" if rate is None else f", {_rate(rate * what.pictures / len(what.cycle))} pictures a second in {_rate(rate)}"
    times = f"; the cadence breaks {found.breaks} {'time' if found.breaks == 1 else 'times'}" if found.breaks else ""
    if not pulldown:
        name = f"in the cadence {what.name}" if ":" in what.name else what.name
        text = f"Frames repeat, {name}{rates}{times}"
        return [_draft("video.duplicate_frames", found, float(found.repeats), "frames", text)]
    name = what.name if what.fields else f"{what.name} pulldown by whole frames"
    drafts = [_draft("video.telecine", found, length, "s", f"{name}{rates}, for {shortly(length)} s{times}")]
    contradiction = contradicts(stream, what.order, interlaced=True) if what.fields else None
    return drafts if contradiction is None else [*drafts, _draft("video.field_order", found, length, "s", contradiction)]


def repeated(found: Repeat) -> FindingDraft:
    """Single frames shown again while the picture moves."""
    text = "1 frame repeats" if found.frames == 1 else f"{found.frames} frames repeat"
    return _draft("video.duplicate_frames", found, float(found.frames), "frames", f"{text} the one before in moving pictures")


def contradicts(stream: StreamContext, order: int, *, interlaced: bool) -> str | None:
    """What the stream states against the order that its pictures show; ``interlaced`` is a picture's own word."""
    declared = _DECLARED.get(stream.field_order or "")
    if declared == FRAMES:
        return None if interlaced else f"Declared progressive, scanned {_ORDERS[order]}"
    return None if declared in (None, order) else f"Declared {_ORDERS[declared]}, scanned {_ORDERS[order]}"


def _changed(order: int, before: int) -> str | None:
    return f"Changes from {_ORDERS[before]} to {_ORDERS[order]}" if before and before != order else None


def _rate(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")
