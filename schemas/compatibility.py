"""What breaks between two releases of a JSON Schema, for those who read our events and for those who send us theirs.

Who reads an event with the old schema must understand every event of the new one: nothing that it relies on goes, and no value
comes that it does not know. Who sends an event by the old schema must still be accepted by the new one. So one question
is asked in two directions: is everything that is valid here also valid, and understood, there?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from schemas.types import SCHEMA_OF, EventType

Schema = Mapping[str, Any]

ANYTHING: Schema = {}


class Direction(Enum):
    """Who depends on an event's schema."""

    CONSUMED = auto()
    """Others send it: producers of the last release must still be accepted."""
    PUBLISHED = auto()
    """We send it: consumers of the last release must still understand it."""
    BOTH = auto()
    """Processes of both releases send it to each other while an upgrade is under way, or read what the last one has left."""


DIRECTIONS: Mapping[str, Direction] = {
    name: Direction.CONSUMED if kind == EventType.UPLOAD else Direction.BOTH for kind, name in SCHEMA_OF.items()
}
"""By file name. Final events are kept for ever and reactions for days: a new release reads those of the last one, too."""


def release_problems(old: Mapping[str, Schema], new: Mapping[str, Schema], directions: Mapping[str, Direction]) -> list[str]:
    """Everything that breaks between two releases, in words; their schemas are by file name."""
    found = [f"{name}: the schema is gone" for name in sorted(old.keys() - new.keys())]
    for name in sorted(old.keys() & new.keys()):
        found += [f"{name}: {problem}" for problem in problems(old[name], new[name], directions.get(name, Direction.BOTH))]
    return found


def problems(old: Schema, new: Schema, direction: Direction) -> list[str]:
    """What breaks from one version of a schema to the next, in words; nothing twice."""
    found: list[str] = []
    if old.get("$id") != new.get("$id"):
        found.append(f"$id is {new.get('$id')!r}, was {old.get('$id')!r}")
    if direction is not Direction.CONSUMED:
        found += _Reading(reader=old, writer=new, gone="is gone").all("$", old, new)
    if direction is not Direction.PUBLISHED:
        found += _Reading(reader=new, writer=old, gone="is no longer read").all("$", new, old)
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Reading:
    """Everything that ``writer`` allows, read by ``reader``. Both are whole schemas, for their ``$defs``."""

    reader: Schema
    writer: Schema
    gone: str
    """What is said of a field that only one of the two has."""

    def all(self, path: str, wide: Schema, narrow: Schema, seen: frozenset[tuple[str, str]] = frozenset()) -> list[str]:
        """Why something that ``narrow`` allows is not allowed, or not understood, by ``wide``."""
        pair = (wide.get("$ref", ""), narrow.get("$ref", ""))
        if all(pair):
            if pair in seen:
                return []
            seen |= {pair}
        wide, narrow = _resolved(self.reader, wide), _resolved(self.writer, narrow)
        if not wide.keys() - _WORDS:
            return []
        if "anyOf" in wide or "anyOf" in narrow:
            return self._alternatives(path, _alternatives(wide), _alternatives(narrow), seen)
        return [*_values(path, wide, narrow), *_bounds(path, wide, narrow), *self._inside(path, wide, narrow, seen)]

    def _alternatives(self, path: str, wide: list[Schema], narrow: list[Schema], seen: frozenset[tuple[str, str]]) -> list[str]:
        found: list[str] = []
        for one in narrow:
            tried = [self.all(path, other, one, seen) for other in wide]
            fewest = min(map(len, tried))
            found += next(these for these in tried if len(these) == fewest)
        return found

    def _inside(self, path: str, wide: Schema, narrow: Schema, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        yield from self._fields(path, wide, narrow, seen)
        for place, mine in enumerate(wide.get("prefixItems", ())):
            theirs = narrow.get("prefixItems", ())
            yield from self.all(f"{path}[{place}]", mine, theirs[place] if place < len(theirs) else _items(narrow), seen)
        if isinstance(wide.get("items"), Mapping) and "array" in _types(narrow):
            yield from self.all(f"{path}[]", wide["items"], _items(narrow), seen)

    def _fields(self, path: str, wide: Schema, narrow: Schema, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        mine, theirs = wide.get("properties", {}), narrow.get("properties", {})
        for name in sorted(set(wide.get("required", ())) - set(narrow.get("required", ()))):
            if name in theirs or self.gone != "is gone":
                yield f"{path}.{name} is required, and need not be there"
        for name in sorted(mine.keys() | theirs.keys()):
            if name in mine and name in theirs:
                yield from self.all(f"{path}.{name}", mine[name], theirs[name], seen)
            elif (name in mine) == (self.gone == "is gone"):
                yield f"{path}.{name} {self.gone}"
            elif name in theirs and wide.get("additionalProperties") is False:
                yield f"{path}.{name} is new, where no other fields may be"
        more, other = wide.get("additionalProperties", True), narrow.get("additionalProperties", True)
        if isinstance(more, Mapping) and isinstance(other, Mapping):
            yield from self.all(f"{path}.*", more, other, seen)
        elif more is False and other is not False:
            yield f"{path} may have other fields, where none were allowed"


_WORDS = {"title", "description", "default", "$schema", "$id", "$defs", "examples", "deprecated"}
"""What says nothing of values."""


def _resolved(root: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def _alternatives(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf", [schema]))


def _items(schema: Schema) -> Schema:
    items = schema.get("items", ANYTHING)
    return items if isinstance(items, Mapping) else ANYTHING


_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}


def _types(schema: Schema) -> set[str]:
    """The types that are named, else those of the values that are."""
    named = schema.get("type")
    if named is None:
        return {_NAMES[type(value)] for value in _enumerated(schema) or ()}
    return {named} if isinstance(named, str) else set(named)


def _values(path: str, wide: Schema, narrow: Schema) -> Iterator[str]:
    allowed, given = _types(wide), _types(narrow)
    if "number" in allowed:
        allowed.add("integer")
    if allowed and not given:
        yield f"{path} may be of any type, not only {', '.join(sorted(allowed))}"
    elif allowed and given - allowed:
        yield f"{path} may be of type {', '.join(sorted(given - allowed))}, not only {', '.join(sorted(allowed))}"
    known, told = _enumerated(wide), _enumerated(narrow)
    if known is not None and told is None:
        yield f"{path} may have any value, not only {known}"
    elif known is not None and told is not None and (unknown := [value for value in told if value not in known]):
        yield f"{path} may be {unknown}, not only {known}"


def _enumerated(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def _bounds(path: str, wide: Schema, narrow: Schema) -> Iterator[str]:
    checks: list[tuple[tuple[str, ...], Callable[[Any, Any], bool]]] = [
        (_LOWER, lambda mine, theirs: theirs >= mine),
        (_UPPER, lambda mine, theirs: theirs <= mine),
        (("pattern", "format", "multipleOf"), lambda mine, theirs: theirs == mine),
    ]
    for names, holds in checks:
        for name in names:
            if name in wide and (name not in narrow or not holds(wide[name], narrow[name])):
                yield f"{path}: {name} is {narrow.get(name)!r}, not {wide[name]!r}"
