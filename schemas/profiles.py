"""A delivery profile as it travels in a plan: what an asset will be judged by, rule by rule, whatever becomes of its files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Carried(BaseModel):
    """Base of what a profile is made of: immutable. Unknown fields are those of a newer version, and are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Layer(Carried):
    """One file of a profile; ``sha256`` is the file's."""

    name: str
    sha256: str


class ConditionData(Carried):
    """Where a rule applies: ``code`` is a measurement id, ``op`` one of ``<``, ``<=``, ``>``, ``>=``."""

    code: str
    op: str
    limit: float
    unit: str


class RuleData(Carried):
    """One rule. ``layers`` are the names of the files that made it what it is, base first."""

    id: str
    code: str
    op: str
    limit: float | None = None
    tolerance: float | None = None
    values: tuple[float, ...] = ()
    unit: str | None = None
    outcome: str
    severity: str
    overridable: bool
    scope: str = "asset"
    per: str = "stream"
    when: ConditionData | None = None
    summary: str | None = None
    layers: tuple[str, ...] = ()


class ProfileData(Carried):
    """A profile with all layers applied, base first in ``layers``.

    ``sha256`` of one layer is its file's; of several it is that of their files' digests in hexadecimal, base first, a line
    each.
    """

    name: str
    title: str
    reference: str
    sha256: str
    layers: tuple[Layer, ...] = ()
    rules: tuple[RuleData, ...]
