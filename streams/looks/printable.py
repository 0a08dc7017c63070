"""Events as they may be shown: what the makers of a file wrote into it must not drive a terminal."""

from __future__ import annotations

from typing import Any

from schemas.events import ContentMetadata


def printable(event: ContentMetadata) -> ContentMetadata:
    """The event with every character that is not printed (escape sequences, reversals of direction) as U+FFFD."""
    return ContentMetadata.model_validate(_clean(event.model_dump()))


def _clean(value: Any) -> Any:
    match value:
        case str():
            return value if value.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in value)
        case dict():
            return {_clean(key): _clean(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_clean(inner) for inner in value]
        case _:
            return value
