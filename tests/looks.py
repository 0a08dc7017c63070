"""Events made up for tests of how they look: any number of shots and findings, any words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from processors.spans import span_fields
from schemas.clock import Clock
from schemas.events import (
    AssetCoverage,
    ChunkCoverage,
    ContentMetadata,
    Coverage,
    Finding,
    Gap,
    Measurement,
    Producer,
    RuleResult,
    Run,
    Shot,
    Tracks,
    Verdict,
)
from schemas.plan import AssetRef, Correlation
from schemas.technical import Technical, TechnicalStream

RATE = 25
CLOCK = Clock(tick=(1, 25), frame_rate=(25, 1), start_timecode="10:00:00:00")
SOUND = Clock(tick=(1, 48_000))
HOSTILE = '</script><script>window.hurt=1</script><img src=x onerror="window.hurt=1"><!--&lt;{{7*7}}%{x}\''

MINE = """\
name = "mine"
title = "Mine"
reference = "R"

[[rules]]
id = "loud-enough"
code = "loudness.integrated"
op = ">="
limit = {limit}
unit = "LUFS"
outcome = "fail"
severity = "major"
overridable = false
"""
"""A profile of one's own with one rule, to be given its ``limit``."""


def made(
    frames: int = 250,
    *,
    cuts: Sequence[int] = (),
    findings: Sequence[Finding] = (),
    verdicts: Sequence[Verdict] = (),
    gaps: Sequence[Gap] = (),
    uri: str = "file:///clips/film.mov",
    **changes: Any,
) -> ContentMetadata:
    """An event of one picture and one sound stream with shots between ``cuts``."""
    samples = frames * 48_000 // RATE
    facts: dict[str, Any] = {
        "asset": AssetRef(id="asset1", uri=uri, version="v1", bytes=9123),
        "correlation": Correlation(),
        "run": Run(
            id="run1",
            status="incomplete" if gaps else "complete",
            reason=gaps[0].reason if gaps else None,
            plan_version="1.0.0",
            caused_by="u1",
            code="test",
        ),
        "coverage": AssetCoverage(
            video_frames=covered(frames),
            streams={"v0": covered(frames), "a0": covered(samples)},
            chunks=ChunkCoverage(expected=4, ok=4, failed=0, skipped=0),
            gaps=tuple(gaps),
        ),
        "clocks": {"v0": CLOCK, "a0": SOUND},
        "technical": Technical(
            container="mov",
            duration=frames / RATE,
            streams=(
                TechnicalStream(id="v0", index=0, kind="video", codec="h264", decision="analysed", width=320, height=180),
                TechnicalStream(id="a0", index=1, kind="audio", codec="aac", decision="analysed", rate=48_000, channels=2),
            ),
        ),
        "measurements": (
            Measurement(id="loudness.integrated", stream="a0", value=-23.0, unit="LUFS", method="ITU-R BS.1770-5", by="p1"),
        ),
        "tracks": Tracks(shots=tuple(shot(a, b) for a, b in zip([0, *cuts], [*cuts, frames], strict=True)) if cuts else ()),
        "findings": tuple(findings),
        "verdicts": tuple(verdicts),
        "producers": (Producer(id="p1", name="loudness", version="1.0.0", runtime="numpy", seconds=0.5),),
    }
    return ContentMetadata(**{**facts, **changes})


def covered(units: int) -> Coverage:
    return Coverage(expected=units, decoded=units, analysed=units)


def shot(first: int, end: int) -> Shot:
    times = span_fields("v0", CLOCK, first, end, first, end)
    return Shot(**times, transition_in="cut" if first else None, transition_out="cut", confidence=0.9, by="p1")


def finding(id: str, first: int, end: int, code: str = "video.black", text: str = "Black", stream: str = "v0") -> Finding:
    clock, times = (CLOCK, (first, end, first, end)) if stream == "v0" else (SOUND, (first * 1920, end * 1920))
    return Finding(
        **span_fields(stream, clock, *times),
        id=id,
        code=code,
        category="c",
        term="t",
        stream=stream,
        value=1.0,
        unit="s",
        text=text,
        by="p1",
    )


def verdict(*rules: tuple[str, str, Sequence[str]], profile: str = "house") -> Verdict:
    """A verdict of rules (outcome, severity, ids of findings)."""
    found = tuple(
        RuleResult(
            rule=f"rule{number}",
            code="video.black",
            op="<=",
            limit=2.0,
            measured=2.5,
            unit="s",
            outcome=outcome,
            severity=severity,
            overridable=True,
            findings=tuple(findings),
        )
        for number, (outcome, severity, findings) in enumerate(rules)
    )
    return Verdict(profile=profile, profile_sha256="0" * 64, outcome="review", rules=found)


def unprocessable(reason: str = "not_media: it is text") -> ContentMetadata:
    return ContentMetadata(
        asset=AssetRef(id="asset2", uri="s3://in/notes.txt", version=""),
        correlation=Correlation(delivery_id="D-88"),
        run=Run(id="r", status="unprocessable", reason=reason, plan_version="1", caused_by="u", code="test"),
        coverage=AssetCoverage(video_frames=None, streams={}, chunks=ChunkCoverage(expected=0, ok=0, failed=0, skipped=0)),
        clocks={},
        technical=Technical(container=None, duration=None),
    )
