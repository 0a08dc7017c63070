"""Profiles in layers: a file that extends another says what it changes, adds and takes away.

What a rule that is not ``overridable`` asks for, no layer above it may ask less of.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from processors.profiles.file import Problem, ProfileFile, refused
from processors.profiles.model import NAME, RESERVED, Profile, Rule
from schemas.errors import ProfileError
from schemas.events import Severity
from schemas.profiles import Layer

Find = Callable[[str], Path]
"""The file of a profile's name. Raises ``ProfileError``."""

_KEYS = frozenset({"name", "title", "reference", "extends", "disable", "rules"})
_SEVERITIES: Sequence[Severity] = get_args(Severity)


def is_path(text: str) -> bool:
    """Whether a reference to a profile is a file's path: it has a slash, or ends in ``.toml``."""
    return "/" in text or text.endswith(".toml")


def load_layers(path: Path, find: Find) -> Profile:
    """The profile in a file, with what it extends. Raises ``ProfileError``, with file, line and reason of all that is wrong."""
    files = list(reversed(list(_chain(path, find))))
    merged = _Merged()
    for file in files:
        if problems := list(merged.add(file)):
            raise refused(problems)
    top = files[-1]
    if not merged.rules:
        raise refused([top.problem("rules: a profile needs at least one", key="disable")])
    return Profile(
        name=top.body["name"],
        title=merged.words["title"],
        reference=merged.words["reference"],
        sha256=digest([file.sha256 for file in files]),
        layers=tuple(Layer(name=file.body["name"], sha256=file.sha256) for file in files),
        rules=tuple(merged.rules.values()),
    )


def digest(files: Sequence[str]) -> str:
    """One layer's own digest; of several that of their files' digests in hexadecimal, base first, a line each."""
    return files[0] if len(files) == 1 else hashlib.sha256("".join(f"{file}\n" for file in files).encode()).hexdigest()


def _chain(path: Path, find: Find) -> Iterator[ProfileFile]:
    """A file and what it extends, one after the other."""
    seen: list[Path] = []
    while True:
        file = ProfileFile.read(path)
        seen.append(path.resolve())
        yield file
        base = file.body.get("extends")
        if base is None:
            return
        path = _base(file, base, find)
        if path.resolve() in seen:
            circle = " -> ".join(p.stem for p in [*seen[seen.index(path.resolve()) :], path])
            raise refused([file.problem(f"extends: a profile cannot extend itself: {circle}", key="extends")])


def _base(file: ProfileFile, base: object, find: Find) -> Path:
    if not isinstance(base, str):
        raise refused([file.problem("extends: the name or the relative path of one profile is needed", key="extends")])
    if not is_path(base):
        try:
            return find(base)
        except ProfileError as error:
            beside = f"; the file beside this one is '{base}.toml'" if (file.path.parent / f"{base}.toml").exists() else ""
            raise refused([file.problem(f"extends: {error}{beside}", key="extends")]) from error
    if Path(base).is_absolute():
        raise refused([file.problem("extends: a path is relative to this file", key="extends")])
    path = file.path.parent / base
    if not path.is_file():
        raise refused([file.problem(f"extends: there is no file {path}", key="extends")])
    return path


class _Merged:
    """What the layers so far amount to."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}
        self.rules: dict[str, Rule] = {}
        self._written: dict[str, dict[str, Any]] = {}
        self._names: set[str] = set()

    def add(self, file: ProfileFile) -> Iterator[Problem]:
        """Apply a layer; says what is wrong with it."""
        yield from self._head(file)
        own = str(file.body.get("name"))
        disabled = file.body.get("disable", [])
        if not isinstance(disabled, list) or not all(isinstance(name, str) for name in disabled):
            yield file.problem("disable: a list of rules' ids is needed", key="disable")
            return
        for name in dict.fromkeys(disabled):
            if (why := self._stays(name)) is not None:
                yield file.problem(f"disable: {why}", key="disable")
            else:
                del self.rules[name], self._written[name]
        rules = file.body.get("rules", [])
        if not isinstance(rules, list):
            yield file.problem("rules: a list of tables is needed ([[rules]])", key="rules")
            return
        if not rules and "extends" not in file.body:
            yield file.problem("rules: a profile needs at least one", key="rules")
        seen: set[str] = set()
        for number, rule in enumerate(rules):
            if not isinstance(rule, dict):
                yield file.problem("rules: a list of tables is needed ([[rules]])", key="rules")
            elif str(rule.get("id")) in seen:
                yield file.problem(f"id: two rules are called {rule['id']!r}", key="id", rule=number)
            elif rule.get("id") in disabled:
                yield file.problem(f"id: the same layer disables {rule['id']!r}", key="id", rule=number)
            else:
                yield from self._rule(file, own, number, rule)
                seen.update([str(rule["id"])] if "id" in rule else [])

    def _head(self, file: ProfileFile) -> Iterator[Problem]:
        body = file.body
        name = body.get("name")
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            yield file.problem("name: small letters, digits and hyphens are needed, a letter or digit first", key="name")
        elif name in RESERVED:
            yield file.problem(f"name: {name!r} is a word of the command line", key="name")
        elif name in self._names:
            yield file.problem(f"name: a profile that it extends is called {name!r}, too", key="name")
        else:
            self._names.add(name)
        for key in ("title", "reference"):
            if isinstance(body.get(key), str):
                self.words[key] = body[key]
            elif key in body or key not in self.words:
                yield file.problem(f"{key}: Field required" if key not in body else f"{key}: text is needed", key=key)
        if "sha256" in body:
            yield file.problem("sha256 is the file's own; leave it out", key="sha256")
        for key in sorted(body.keys() - _KEYS - {"sha256"}):
            yield file.problem(f"{key}: a profile has no such key; there are {', '.join(sorted(_KEYS))}", key=key)

    def _stays(self, name: str) -> str | None:
        """Why a rule cannot be taken away; None if it can."""
        if name not in self.rules:
            return f"no layer below has a rule {name!r}" + (f"; there are {', '.join(self.rules)}" if self.rules else "")
        return None if self.rules[name].overridable else self._fixed(name)

    def _fixed(self, name: str) -> str:
        return f"rule {name!r} of {self.rules[name].layers[-1]} is not overridable"

    def _rule(self, file: ProfileFile, own: str, number: int, written: dict[str, Any]) -> Iterator[Problem]:
        name = written.get("id")
        before = self.rules.get(name) if isinstance(name, str) else None
        body = {**self._written.get(str(name), {}), **written}
        if "layers" in written:
            yield file.problem("layers: Extra inputs are not permitted", key="layers", rule=number)
            return
        layers = (*(before.layers if before is not None else ()), own)
        try:
            rule = Rule.model_validate({**body, "layers": layers})
        except ValidationError as error:
            yield from _explain(file, number, error, alone=before is None and bool(self.rules))
            return
        if before is not None and not before.overridable and (weak := weakened(before, rule)):
            key, reason = weak
            yield file.problem(f"{key}: {self._fixed(rule.id)}, and {reason}", key=key, rule=number)
            return
        self.rules[rule.id], self._written[rule.id] = rule, body


def weakened(before: Rule, after: Rule) -> tuple[str, str] | None:
    """The key by which a rule asks less than before, and why it does; None if it asks as much or more."""
    if after.overridable:
        return "overridable", "stays so"
    for key, was, now in (
        ("code", before.code, after.code),
        ("unit", before.unit, after.unit if after.op != "none" else before.unit),
        ("per", before.per, after.per),
    ):
        if was != now:
            return key, f"{now!r} is something else than {was!r}"
    if _SEVERITIES.index(after.severity) < _SEVERITIES.index(before.severity):
        return "severity", f"{after.severity!r} is less than {before.severity!r}"
    if (before.outcome, after.outcome) == ("fail", "review"):
        return "outcome", "'review' is less than 'fail'"
    if (before.scope, after.scope) == ("asset", "programme"):
        return "scope", "'programme' is less than 'asset'"
    if after.when is not None and after.when != before.when:
        return "when", "it would apply to less"
    if not _inside(after, before):
        key = "op" if after.op != before.op else "limit" if after.limit != before.limit else "tolerance"
        return key if before.op != "one_of" else "values", f"{after.limited!r} allows what {before.limited!r} does not"
    return None


def _inside(inner: Rule, outer: Rule) -> bool:
    """Whether all that one rule allows, the other allows as well."""
    if inner.op == "none":
        return True
    if outer.op == "none":
        return False
    return all(any(low <= a and b <= high for low, high in _allowed(outer)) for a, b in _allowed(inner))


def _allowed(rule: Rule) -> list[tuple[float, float]]:
    """The values that a rule with limits allows, as closed intervals."""
    tolerance = rule.tolerance or 0.0
    low, high = -math.inf, math.inf
    if rule.op == "one_of":
        return [(value - tolerance, value + tolerance) for value in rule.values]
    assert rule.limit is not None
    if rule.op in (">=", "within"):
        low = rule.limit - tolerance
    if rule.op in ("<=", "within"):
        high = rule.limit + tolerance
    return [(low, high)]


def _explain(file: ProfileFile, number: int, error: ValidationError, *, alone: bool) -> Iterator[Problem]:
    """What is wrong with a rule, with the line of the key or of the rule. ``alone``: no layer below has one of its id."""
    for one in error.errors():
        where = [str(part) for part in one["loc"]]
        reason = one["msg"].removeprefix("Value error, ")
        if where and where[0] in _KEYS and one["type"] == "extra_forbidden":
            reason = "it belongs above the first [[rules]]"
        elif alone and one["type"] == "missing":
            reason += " (no layer below has a rule of this id: it is a new one)"
        named = f"{'.'.join(where)}: " if where else ""
        yield file.problem(f"{named}{reason}", key=where[0] if where else None, rule=number)
