"""What a delivery profile is: rules with limits on measurements and findings."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from processors.findings import VOCABULARY
from schemas.events import Severity
from schemas.profiles import ConditionData, Layer, ProfileData, RuleData

MEASUREMENTS = frozenset(
    [f"loudness.{name}" for name in ("integrated", "range", "max_momentary", "max_short_term", "true_peak")]
    + [f"audio.{name}" for name in ("peak", "rms", "noise_floor", "dc_offset", "correlation")]
    + [f"audio.{name}" for name in ("clicks", "hum", "bandwidth", "bandwidth_ratio", "bit_depth", "padded_bits")]
    + [f"audio.{name}" for name in ("downmix_loss", "head_seconds", "tail_seconds")]
    + [f"audio.{name}" for name in ("sample_rate", "bit_rate", "duration", "channels")]
    + [f"video.{name}" for name in ("frames", "luma_mean", "out_of_range_ratio", "si", "ti", "max_cll", "max_fall")]
    + [f"video.{name}" for name in ("blockiness", "blur")]
    + [f"video.{name}_p95" for name in ("blockiness", "blur", "noise", "banding", "gamut_ratio")]
    + [f"video.{name}" for name in ("noise", "banding", "gamut_ratio", "si_median", "ti_median", "flash.pattern_area")]
    + [f"video.artefact.{name}_share" for name in ("macroblocks", "dropout", "combing", "upscaled", "compression", "timecode")]
    + [f"video.flash.{kind}_{name}" for kind in ("luminance", "red") for name in ("rate", "transitions", "extended")]
    + [f"video.{name}" for name in ("interlaced_ratio", "duplicate_ratio", "cadence_breaks")]
    + ["video.first_pts", "audio.first_pts", "video.vfr_ratio", "video.edited_out"]
)
"""The measurement ids that a rule may be about."""

NAME = r"[a-z0-9][a-z0-9-]*"
"""What a profile may be called: its name becomes a file's, and never a path."""

RESERVED = frozenset({"check"})
"""Names that no profile has: ``dailies profiles check`` is something else."""

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def shown(unit: str | None) -> str:
    """A unit as people read it, behind its number: nothing for a plain number or a count."""
    return "" if unit in (None, "1", "count") else f" {unit}"


def allowed(op: str, limit: float | None, values: tuple[float, ...], tolerance: float | None, unit: str | None) -> str:
    """What a rule allows, in words."""
    if op == "none":
        return "none"
    limits = " ".join(f"{value:g}" for value in values) if limit is None else f"{limit:g}"
    return f"{op} {limits}{'' if tolerance is None else f' ± {tolerance:g}'}{shown(unit)}"


class Condition(ConditionData):
    """Where a rule applies: to what has a figure of ``code`` for which this holds, such as little speech."""

    model_config = _STRICT

    op: Literal["<", "<=", ">", ">="]

    @model_validator(mode="after")
    def _fits(self) -> Condition:
        if self.code not in MEASUREMENTS:
            raise ValueError(f"there is no measurement {self.code!r}")
        return self

    def __str__(self) -> str:
        return f"{self.code} {self.op} {self.limit:g}{shown(self.unit)}"

    def holds(self, value: float) -> bool:
        """Whether a figure meets it."""
        if self.op in ("<", ">"):
            return value < self.limit if self.op == "<" else value > self.limit
        return value <= self.limit if self.op == "<=" else value >= self.limit


class Rule(RuleData):
    """One limit. ``code`` is a measurement id or a finding code (``none``, or ``<=`` on each value).

    ``per`` says what there is one result of: each ``stream`` (its worst figure), or each audio ``presentation``. A rule of
    severity ``info`` is advice: it is named where it is crossed, and decides no verdict.
    """

    model_config = _STRICT

    id: str = Field(min_length=1)
    op: Literal["<=", ">=", "within", "one_of", "none"]
    tolerance: float | None = Field(None, ge=0)
    outcome: Literal["fail", "review"]
    severity: Severity
    scope: Literal["asset", "programme"] = "asset"
    per: Literal["stream", "presentation"] = "stream"
    when: Condition | None = None

    @property
    def on_finding(self) -> bool:
        """Whether the rule is about findings, not about a measurement."""
        return self.code in VOCABULARY

    @property
    def kind(self) -> Literal["video", "audio"] | None:
        """The kind of stream that the rule is about; ``None``: the asset as a whole."""
        head = self.code.partition(".")[0]
        return "video" if head == "video" else "audio" if head in ("audio", "loudness", "speech") else None

    @property
    def advice(self) -> bool:
        """Whether it decides no verdict."""
        return self.severity == "info"

    @property
    def limited(self) -> str:
        """The limit in words, such as ``within -23 ± 0.2 LUFS``; ``none`` where no finding is allowed."""
        return allowed(self.op, self.limit, self.values, self.tolerance, self.unit)

    @model_validator(mode="after")
    def _fits(self) -> Rule:
        if self.code not in VOCABULARY and self.code not in MEASUREMENTS:
            raise ValueError(f"there is no measurement and no finding {self.code!r}")
        if self.on_finding and self.op not in ("none", "<="):
            raise ValueError(f"a rule on findings has the op 'none' or '<=', not {self.op!r}")
        if not self.on_finding and self.op == "none":
            raise ValueError("the op 'none' is for findings")
        if bool(self.values) != (self.op == "one_of"):
            raise ValueError("values are needed with the op 'one_of', and with no other")
        if (self.limit is None) != (self.op in ("none", "one_of")):
            raise ValueError("a limit is needed, except with the ops 'none' and 'one_of'")
        if self.op == "within" and self.tolerance is None:
            raise ValueError("the op 'within' needs a tolerance")
        if self.op != "none" and self.unit is None:
            raise ValueError("a limit needs a unit")
        if self.scope == "programme" and not self.on_finding:
            raise ValueError("the scope 'programme' is for findings")
        if self.per == "presentation" and (self.on_finding or self.kind != "audio"):
            raise ValueError("per 'presentation' is for measurements of sound")
        if self.when is not None and self.on_finding:
            raise ValueError("a condition ('when') is for rules on measurements")
        return self


class Profile(ProfileData):
    """A delivery profile, all layers applied."""

    model_config = _STRICT

    name: str = Field(pattern=f"^{NAME}$")
    layers: tuple[Layer, ...] = ()
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Profile:
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen:
                raise ValueError(f"two rules are called {rule.id!r}")
            seen.add(rule.id)
        return self
