"""What subscribers hear while an asset is in progress: findings as they become certain, and how far it is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.events import Finding, Measurement, RuleResult
from schemas.plan import AssetRef, Correlation, Wire


class Watermark(Wire):
    """How far a stream is analysed without a hole."""

    clock: str
    contiguous_to: int


class RuleReaction(RuleResult):
    """A rule on what is known so far."""

    finality: Literal["irrevocable", "provisional"]
    suggested_action: Literal["hold", "review", "none"]


class Reaction(Wire):
    """A finding as it comes, or a figure that crosses a limit for good; type ``media.reaction.v1``, on media.reactions."""

    asset: AssetRef
    correlation: Correlation
    seq: int
    run: str
    phase: Literal["new", "update", "end", "merged", "withdrawn"]
    watermark: Watermark
    finding: Finding | None
    measurement: Measurement | None = None
    merged_into: str | None = None
    rules: tuple[RuleReaction, ...] = ()

    @model_validator(mode="after")
    def _about_one_thing(self) -> Reaction:
        if (self.finding is None) == (self.measurement is None):
            raise ValueError("a reaction is about a finding or about a measurement")
        return self


class Progress(Wire):
    """How far an asset is, type ``media.reaction.v1``, on media.reactions, at most once a second."""

    asset: AssetRef
    correlation: Correlation
    run: str
    stage: Literal["planned", "decoding", "analysing", "complete"]
    progress: float = Field(ge=0, le=1)
