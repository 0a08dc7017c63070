"""Truth against found: what the sample holds, beside what the final event says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processors.sample.truth import Stretch, Transition, Truth
from schemas.events import ContentMetadata, Finding, Shot

FRAMES_OFF = 2
"""A boundary counts as found within so many frames."""
DRAWN = frozenset({"video.gamut"})
"""True of the sample, and not listed: its scenes are drawn without regard to what EBU R 103 allows R'G'B'."""

PICTURE_SECONDS = 0.041
"""A frame: how far an interval of picture may be off at either end."""
SOUND_SECONDS = 0.1
LOUDNESS_LU = 0.1


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison."""

    what: str
    expected: str
    found: str
    ok: bool


def compare(truth: Truth, metadata: ContentMetadata) -> list[Row]:
    """Every known thing with what was found of it, and at last what was found and is not there."""
    found = metadata.findings
    rows = [_frames(truth, metadata), _samples(truth, metadata), *_shots(truth.transitions, metadata.tracks.shots)]
    for name in ("bars", "slate", "freeze", "black"):
        rows += [_interval(name, s, found, (f"video.{name}",), PICTURE_SECONDS) for s in truth.still(name)]
    rows += [_letterbox(truth, s, found) for s in truth.letterbox]
    rows += [_interval("silence", s, found, ("audio.silence", "audio.mute"), SOUND_SECONDS) for s in truth.silence]
    rows += [_interval("clipping", s, found, ("audio.clipping",), SOUND_SECONDS) for s in truth.clipping]
    rows += [_loudness(truth, metadata), _false_alarms(truth, found)]
    return rows


def match(transitions: Sequence[Transition], boundaries: Iterable[int]) -> tuple[list[tuple[Transition, int]], list[int]]:
    """Pairs of a known transition and the boundary found for it, each used once, and the boundaries left over.

    A boundary is a new shot's first frame. It belongs to a cut within two frames of it, to a dissolve within or within two
    frames of its span.
    """
    left = sorted(boundaries)
    pairs: list[tuple[Transition, int]] = []
    for known in transitions:
        near = [b for b in left if known.start - FRAMES_OFF <= b <= known.end + FRAMES_OFF]
        if near:
            best = min(near, key=lambda b: abs(b - known.centre))
            left.remove(best)
            pairs.append((known, best))
    return pairs, left


def _frames(truth: Truth, metadata: ContentMetadata) -> Row:
    covered = metadata.coverage.video_frames
    count = covered.analysed if covered else 0
    return Row("frames analysed", str(truth.frames), str(count), count == truth.frames)


def _samples(truth: Truth, metadata: ContentMetadata) -> Row:
    covered = metadata.coverage.streams.get("a0")
    count = covered.analysed if covered else 0
    return Row("samples analysed", str(truth.samples), str(count), count == truth.samples)


def _shots(transitions: Sequence[Transition], shots: Sequence[Shot]) -> list[Row]:
    if not shots:
        return [Row("shot boundaries", str(len(transitions)), "no shots", False)]
    starts = {shot.start_frame: shot for shot in shots[1:] if shot.start_frame is not None}
    pairs, extra = match(transitions, starts)
    summary = f"{len(pairs)}" + (f", and {len(extra)} more at {', '.join(map(str, extra))}" if extra else "")
    missed = [str(t.centre) for t in transitions if t not in [known for known, _ in pairs]]
    if missed:
        summary += f"; not at {', '.join(missed)}"
    rows = [Row("shot boundaries", str(len(transitions)), summary, len(pairs) == len(transitions) and not extra)]
    for known in (t for t in transitions if t.kind == "gradual"):
        at = next((b for t, b in pairs if t == known), None)
        kind = starts[at].transition_in if at is not None else None
        text = f"{kind} at frame {at}" if at is not None else "nothing"
        rows.append(Row("dissolve", f"gradual, frames {known.start}-{known.end}", text, kind == "gradual"))
    return rows


def _interval(what: str, known: Stretch, findings: Sequence[Finding], codes: Sequence[str], tolerance: float) -> Row:
    best = _nearest(known, (f for f in findings if f.code in codes))
    ok = best is not None and _same(known, best, tolerance)
    return Row(what, _span(known.start, known.end), _span(best.start_seconds, best.end_seconds) if best else "nothing", ok)


def _letterbox(truth: Truth, known: Stretch, findings: Sequence[Finding]) -> Row:
    height = truth.height - 2 * truth.letterbox_lines
    expected = f"{_span(known.start, known.end)}, {truth.width}x{height}"
    best = _nearest(known, (f for f in findings if f.code == "video.letterbox"))
    if best is None:
        return Row("letterbox", expected, "nothing", False)
    size = f"{best.area.w}x{best.area.h}" if best.area else "no area"
    found = f"{_span(best.start_seconds, best.end_seconds)}, {size}"
    return Row("letterbox", expected, found, _same(known, best, PICTURE_SECONDS) and size == f"{truth.width}x{height}")


def _loudness(truth: Truth, metadata: ContentMetadata) -> Row:
    value = next((m.value for m in metadata.measurements if m.id == "loudness.integrated" and m.stream == "a0"), None)
    ok = value is not None and abs(value - truth.integrated_lufs) <= LOUDNESS_LU
    found = "nothing" if value is None else f"{value:.2f} LUFS"
    return Row("integrated loudness", f"{truth.integrated_lufs:.2f} LUFS", found, ok)


def _false_alarms(truth: Truth, findings: Sequence[Finding]) -> Row:
    known = {
        **{f"video.{name}": truth.still(name) for name in ("bars", "slate", "freeze", "black")},
        "video.letterbox": truth.letterbox,
        "audio.silence": truth.silence,
        "audio.mute": truth.silence,
        "audio.clipping": truth.clipping,
    }
    others = [f for f in findings if f.code not in DRAWN]
    alarms = [f for f in others if not any(_same(s, f, SOUND_SECONDS) for s in known.get(f.code, ()))]
    text = ", ".join(f"{f.code} {_span(f.start_seconds, f.end_seconds)}" for f in alarms)
    return Row("findings beside these", "none", text or "none", not alarms)


def _nearest(known: Stretch, findings: Iterable[Finding]) -> Finding | None:
    """The finding that shares most time with the stretch, if any does."""
    shared = [(min(f.end_seconds, known.end) - max(f.start_seconds, known.start), f) for f in findings]
    overlap, best = max(shared, key=lambda pair: pair[0], default=(0.0, None))
    return best if overlap > 0 else None


def _same(known: Stretch, found: Finding, tolerance: float) -> bool:
    return abs(known.start - found.start_seconds) <= tolerance and abs(known.end - found.end_seconds) <= tolerance


def _span(start: float, end: float) -> str:
    return f"{start:.2f}-{end:.2f} s"
