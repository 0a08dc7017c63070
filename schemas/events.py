"""The events that subscribers read: content metadata and reactions. CloudEvents 1.0 in Kafka binary mode, JSON data."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from schemas import versions
from schemas.clock import Clock
from schemas.plan import AssetRef, Correlation, Wire
from schemas.profiles import Layer
from schemas.technical import ActiveArea, Technical

SCHEMA_VERSION = "1.0.0"

Outcome = Literal["pass", "fail", "review", "not_evaluated"]
Severity = Literal["info", "minor", "major", "blocker"]
Status = Literal["complete", "incomplete", "unprocessable"]


class Run(Wire):
    """One analysis of one asset."""

    id: str
    status: Status
    reason: str | None = None
    plan_version: str
    caused_by: str
    code: str


class Coverage(Wire):
    """How much of one stream was looked at: frames of video, samples of sound.

    ``expected = decoded + missing`` and ``decoded = analysed + concealed + failed``.
    """

    expected: int
    decoded: int
    analysed: int
    concealed: int = 0
    failed: int = 0
    missing: int = 0

    @model_validator(mode="after")
    def _adds_up(self) -> Coverage:
        if self.expected != self.decoded + self.missing:
            raise ValueError(f"expected {self.expected} is not decoded {self.decoded} + missing {self.missing}")
        if self.decoded != self.analysed + self.concealed + self.failed:
            raise ValueError("decoded is not analysed + concealed + failed")
        return self


class ChunkCoverage(Wire):
    """Cells by outcome."""

    expected: int
    ok: int
    failed: int
    skipped: int


class Gap(Wire):
    """A part of a stream that was not analysed, and why."""

    stream: str
    clock: str
    start: int | None
    end: int | None
    task: str | None = None
    reason: str


class AssetCoverage(Wire):
    """How much of the asset was looked at."""

    video_frames: Coverage | None
    streams: dict[str, Coverage]
    chunks: ChunkCoverage
    gaps: tuple[Gap, ...] = ()


class Measurement(Wire):
    """One figure of one stream. ``value`` is null, with a ``reason``, where it could not be measured."""

    id: str
    stream: str
    presentation: str | None = None
    channel: int | None = None
    value: float | None
    unit: str
    reliable: bool = True
    reason: str | None = None
    method: str
    by: str

    @model_validator(mode="after")
    def _null_has_reason(self) -> Measurement:
        if self.value is None and not self.reason:
            raise ValueError(f"measurement {self.id} is null without a reason")
        return self


class Span(Wire):
    """A half-open stretch of a stream's time, with what people read beside the ticks."""

    clock: str
    start: int
    end: int
    start_frame: int | None = None
    end_frame: int | None = None
    start_seconds: float
    end_seconds: float
    start_tc: str | None = None
    end_tc: str | None = None


class Shot(Span):
    """One shot. ``transition_in`` and ``transition_out`` are ``cut``, ``gradual`` or null at the asset's ends."""

    transition_in: Literal["cut", "gradual"] | None
    transition_out: Literal["cut", "gradual"] | None
    confidence: float | None
    by: str


class TrackRef(Wire):
    """A track that is too long for a message: how many entries it has, and where they are, as a JSON list."""

    count: int
    dataref: str


class Tracks(Wire):
    """What happens when. A track that is in ``elsewhere`` is empty here."""

    shots: tuple[Shot, ...] = ()
    speech: tuple[dict[str, Any], ...] = ()
    text: tuple[dict[str, Any], ...] = ()
    labels: tuple[dict[str, Any], ...] = ()
    objects: tuple[dict[str, Any], ...] = ()
    elsewhere: dict[str, TrackRef] = Field(default_factory=dict)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The tracks' names."""
        return tuple(name for name in cls.model_fields if name != "elsewhere")


class Finding(Span):
    """A fact about a stretch of a stream. Whether it matters is a profile's matter."""

    id: str
    code: str
    category: str
    term: str
    ebu_qc: str | None = None
    stream: str
    area: ActiveArea | None = None
    channels: tuple[int, ...] = ()
    value: float | None
    unit: str | None
    text: str
    by: str


class RuleResult(Wire):
    """One rule of a profile, applied.

    ``values`` are the limits of the op ``one_of``. A rule of severity ``info`` is advice, whatever its outcome.
    """

    rule: str
    code: str
    stream: str | None = None
    presentation: str | None = None
    op: str
    limit: float | None
    values: tuple[float, ...] = ()
    tolerance: float | None = None
    measured: float | None
    unit: str | None
    outcome: Outcome
    severity: Severity
    overridable: bool
    reason: str | None = None
    findings: tuple[str, ...] = ()


class Verdict(Wire):
    """What one delivery profile says: the worst outcome of its rules, but for advice.

    ``profile_sha256`` covers all of the profile's ``layers`` (base first; none where it had a name alone). ``reason``: why
    no rule was applied.
    """

    profile: str
    profile_sha256: str
    outcome: Outcome
    reason: str | None = None
    layers: tuple[Layer, ...] = ()
    rules: tuple[RuleResult, ...]


class Producer(Wire):
    """Who measured: a task with its version, parameters, weights and the time it took.

    ``version`` is the one that ran. Where workers of several ran (an upgrade was under way) it is the newest, and
    ``versions`` has all of them, the oldest first. ``looks_for`` are the codes of the findings that it could have made.
    """

    id: str
    name: str
    version: str
    versions: tuple[str, ...] = ()
    params: dict[str, Any] = Field(default_factory=dict)
    weights_sha256: str | None = None
    runtime: str
    seconds: float
    looks_for: tuple[str, ...] = ()


class SignalsRef(Wire):
    """Where the per-frame signals are (Parquet); null without a sidecar."""

    dataref: str | None


class ContentMetadata(Wire):
    """The one final event of an asset, type ``media.content-metadata.v1``, on media.metadata."""

    schema_version: str = SCHEMA_VERSION
    asset: AssetRef
    correlation: Correlation
    run: Run
    coverage: AssetCoverage
    clocks: dict[str, Clock]
    technical: Technical
    measurements: tuple[Measurement, ...] = ()
    tracks: Tracks = Tracks()
    findings: tuple[Finding, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    producers: tuple[Producer, ...] = ()
    signals: SignalsRef = SignalsRef(dataref=None)

    @field_validator("schema_version")
    @classmethod
    def _known(cls, version: str) -> str:
        return versions.known(version, SCHEMA_VERSION, "event")

    @model_validator(mode="after")
    def _invariants(self) -> ContentMetadata:
        if (self.run.status == "complete") != (not self.coverage.gaps and self.run.reason is None):
            raise ValueError("complete means no gap and no reason; anything else needs one")
        streams = self.coverage.streams
        for m in self.measurements:
            if m.value is not None and (m.stream not in streams or streams[m.stream].analysed == 0):
                raise ValueError(f"measurement {m.id} of stream {m.stream}, which has nothing analysed")
        makers = {p.id for p in self.producers}
        named = [m.by for m in self.measurements] + [f.by for f in self.findings] + [s.by for s in self.tracks.shots]
        if unknown := set(named) - makers:
            raise ValueError(f"{', '.join(sorted(unknown))} not among the producers")
        programmes = {p.id for p in self.technical.presentations}
        if unknown := {m.presentation for m in self.measurements if m.presentation is not None} - programmes:
            raise ValueError(f"{', '.join(sorted(unknown))} not among the presentations")
        known = {f.id for f in self.findings}
        if len(known) != len(self.findings):
            raise ValueError("two findings have one id")
        for verdict in self.verdicts:
            for rule in verdict.rules:
                if not set(rule.findings) <= known:
                    raise ValueError(f"rule {rule.rule} names a finding that is not there")
                if rule.outcome == "pass" and self.run.status != "complete":
                    raise ValueError(f"rule {rule.rule} passes on partial coverage")
        return self
