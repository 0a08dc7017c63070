"""What a delivery profile is, and how one is read from TOML."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from processors.findings import VOCABULARY
from schemas.errors import ProfileError
from schemas.events import Severity

MEASUREMENTS = frozenset(
    [f"loudness.{name}" for name in ("integrated", "range", "max_momentary", "max_short_term", "true_peak")]
    + [f"audio.{name}" for name in ("peak", "rms", "noise_floor", "dc_offset", "correlation")]
    + [f"video.{name}" for name in ("frames", "luma_mean", "out_of_range_ratio", "si", "ti", "max_cll", "max_fall")]
    + [f"video.{name}" for name in ("blockiness", "blur")]
    + [f"video.{name}_p95" for name in ("blockiness", "blur", "noise", "banding", "gamut_ratio")]
    + [f"video.{name}" for name in ("noise", "banding", "gamut_ratio", "si_median", "ti_median", "flash.pattern_area")]
    + [f"video.flash.{kind}_{name}" for kind in ("luminance", "red") for name in ("rate", "transitions", "extended")]
)
"""The measurement ids that a rule may be about."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_FOLDER = Path(__file__).parent


class Rule(BaseModel):
    """One limit. ``code`` is a measurement id (one result a stream) or a finding code (``none``, or ``<=`` on each value)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = Field(min_length=1)
    code: str
    op: Literal["<=", ">=", "within", "none"]
    limit: float | None = None
    tolerance: float | None = Field(None, ge=0)
    unit: str | None = None
    outcome: Literal["fail", "review"]
    severity: Severity
    overridable: bool
    scope: Literal["asset", "programme"] = "asset"
    summary: str | None = None

    @property
    def on_finding(self) -> bool:
        """Whether the rule is about findings, not about a measurement."""
        return self.code in VOCABULARY

    @property
    def kind(self) -> Literal["video", "audio"] | None:
        """The kind of stream that the rule is about; ``None``: the asset as a whole."""
        head = self.code.partition(".")[0]
        return "video" if head == "video" else "audio" if head in ("audio", "loudness") else None

    @model_validator(mode="after")
    def _fits(self) -> Rule:
        if self.code not in VOCABULARY and self.code not in MEASUREMENTS:
            raise ValueError(f"there is no measurement and no finding {self.code!r}")
        if self.on_finding and self.op not in ("none", "<="):
            raise ValueError(f"a rule on findings has the op 'none' or '<=', not {self.op!r}")
        if not self.on_finding and self.op == "none":
            raise ValueError("the op 'none' is for findings")
        if (self.limit is None) != (self.op == "none"):
            raise ValueError("a limit is needed, except with the op 'none'")
        if self.op == "within" and self.tolerance is None:
            raise ValueError("the op 'within' needs a tolerance")
        if self.op != "none" and self.unit is None:
            raise ValueError("a limit needs a unit")
        if self.scope == "programme" and not self.on_finding:
            raise ValueError("the scope 'programme' is for findings")
        return self


class Profile(BaseModel):
    """A delivery profile. ``sha256`` is its file's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    reference: str
    sha256: str
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Profile:
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen:
                raise ValueError(f"two rules are called {rule.id!r}")
            seen.add(rule.id)
        return self


def names() -> tuple[str, ...]:
    """The profiles that come with Dailies."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load(name_or_path: str | Path) -> Profile:
    """A profile that comes with Dailies, by name, or one from a TOML file, by path.

    A string with a slash or the suffix ``.toml`` is a path. Raises ``ProfileError``, with file, line and reason.
    """
    if isinstance(name_or_path, Path) or "/" in name_or_path or name_or_path.endswith(".toml"):
        return _read(Path(name_or_path))
    return load_named(name_or_path)


def load_named(name: str) -> Profile:
    """A profile that comes with Dailies, by name alone: for names that come from outside. Raises ``ProfileError``."""
    if not _NAME.fullmatch(name) or name not in names():
        raise ProfileError(f"there is no profile {name!r}; there are {', '.join(names())}")
    return _read(_FOLDER / f"{name}.toml")


def _read(path: Path) -> Profile:
    try:
        data = path.read_bytes()
        text = data.decode()
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: not UTF-8") from error
    try:
        body = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(_syntax(path, str(error))) from error
    rules = body.get("rules")
    if isinstance(rules, list):
        body["rules"] = tuple(_numbers(rule) for rule in rules)
    if "sha256" in body:
        raise ProfileError(f"{path}:{_line(text, None, 'sha256')}: sha256 is the file's own; leave it out")
    try:
        return Profile.model_validate({**body, "sha256": hashlib.sha256(data).hexdigest()})
    except ValidationError as error:
        raise ProfileError(_explain(path, text, error)) from error


def _numbers(rule: Any) -> Any:
    """TOML integers where a float is meant, as floats; booleans are left to be refused."""
    if not isinstance(rule, dict):
        return rule
    return {k: float(v) if k in ("limit", "tolerance") and type(v) is int else v for k, v in rule.items()}


def _syntax(path: Path, message: str) -> str:
    found = re.search(r" \(at line (\d+), column \d+\)$", message)
    return f"{path}:{found[1]}: {message[: found.start()]}" if found else f"{path}: {message}"


def _explain(path: Path, text: str, error: ValidationError) -> str:
    """The first reason, with the line of the rule's key, of the rule, or of the file."""
    first = error.errors()[0]
    where = first["loc"]
    rule = where[1] if len(where) > 1 and where[0] == "rules" and isinstance(where[1], int) else None
    key = str(where[-1]) if where and isinstance(where[-1], str) else None
    named = f"{key}: " if key else ""
    reason = first["msg"].removeprefix("Value error, ")
    return f"{path}:{_line(text, rule, key)}: {named}{reason}"


def _line(text: str, rule: int | None, key: str | None) -> int:
    """The 1-based line of a key, else of its table's head, else 1."""
    lines = text.splitlines()
    heads = [n for n, line in enumerate(lines) if re.match(r"\s*\[\[\s*rules\s*\]\]", line)]
    start, end = 0, heads[0] if heads else len(lines)
    if rule is not None and rule < len(heads):
        start, end = heads[rule], heads[rule + 1] if rule + 1 < len(heads) else len(lines)
    for n in range(start, end):
        if key and re.match(rf"\s*{re.escape(key)}\s*=", lines[n]):
            return n + 1
    return start + 1
