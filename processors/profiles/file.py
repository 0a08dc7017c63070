"""One profile file as it was written: its TOML, its digest, and the line of each thing in it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ProfileError

MAX_BYTES = 1 << 16
"""A profile is a page or two, and travels in every plan that names it."""

_HEAD = re.compile(r"\s*\[\[\s*rules\s*\]\]")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a profile cannot be used. ``line`` counts from 1; None where it is not about a line."""

    path: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}" if self.line else f"{self.path}: {self.reason}"

    @property
    def short(self) -> str:
        """The same without the folder, for those who need not know how this machine is laid out."""
        return str(Problem(Path(self.path.name), self.line, self.reason))


def refused(problems: Sequence[Problem]) -> ProfileError:
    """The error that says the first problem, and how many more there are."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ProfileError(f"{problems[0]}{more}", problems=tuple(map(str, problems)), public=f"{problems[0].short}{more}")


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A profile file that is TOML. ``body`` is what it says, with the numbers of its rules as floats."""

    path: Path
    text: str
    body: dict[str, Any]
    sha256: str

    @classmethod
    def read(cls, path: Path) -> ProfileFile:
        """Raises ``ProfileError``."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise refused([Problem(path, None, f"larger than {MAX_BYTES} bytes: no profile")])
            text = data.decode()
        except OSError as error:
            raise refused([Problem(path, None, error.strerror or str(error))]) from error
        except UnicodeDecodeError as error:
            raise refused([Problem(path, data[: error.start].count(b"\n") + 1, "not UTF-8")]) from error
        try:
            body = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise refused([_syntax(path, str(error), text)]) from error
        if isinstance(body.get("rules"), list):
            body["rules"] = [_numbers(rule) for rule in body["rules"]]
        return cls(path, text, body, hashlib.sha256(data).hexdigest())

    def problem(self, reason: str, *, key: str | None = None, rule: int | None = None) -> Problem:
        """A problem with a key: the file's own, or that of its ``rule``-th rule, counted from 0."""
        return Problem(self.path, self.line(key=key, rule=rule), reason)

    def line(self, *, key: str | None = None, rule: int | None = None) -> int:
        """The 1-based line of a key, else of its table's head, else 1."""
        lines = self.text.splitlines()
        heads = [n for n, line in enumerate(lines) if _HEAD.match(line)]
        start, end = 0, heads[0] if heads else len(lines)
        if rule is not None and rule < len(heads):
            start, end = heads[rule], heads[rule + 1] if rule + 1 < len(heads) else len(lines)
        written = re.compile(rf"\s*\[?\s*(rules\s*\.\s*)?[\"']?{re.escape(key)}[\"']?\s*[=.\]]") if key else None
        return next((n + 1 for n in range(start, end) if written and written.match(lines[n])), start + 1)


def _numbers(rule: Any) -> Any:
    """TOML integers where floats are meant, as floats; lists as tuples. Booleans are left to be refused."""
    if not isinstance(rule, dict):
        return rule
    changed: dict[str, Any] = {k: float(v) for k, v in rule.items() if k in ("limit", "tolerance") and type(v) is int}
    if isinstance(rule.get("values"), list):
        changed["values"] = tuple(float(v) if type(v) is int else v for v in rule["values"])
    if isinstance(rule.get("when"), dict):
        changed["when"] = _numbers(rule["when"])
    return rule | changed


def _syntax(path: Path, message: str, text: str) -> Problem:
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if found is None:
        return Problem(path, None, message)
    line = int(found[1]) if found[1] else max(1, len(text.splitlines()))
    return Problem(path, line, message[: found.start()])
