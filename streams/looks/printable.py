"""Events as they may be shown: what the makers of a file wrote into it must not drive a terminal."""

from __future__ import annotations

from typing import Any

from schemas.events import ContentMetadata


def printable(event: ContentMetadata) -> ContentMetadata:
    """The event with every character that is not printed (escape sequences, reversals of direction) as U+FFFD."""
    return ContentMetadata.model_validate(_clean(event.model_dump()))


def safe(text: str) -> str:
    """The text with every character that is not printed as U+FFFD."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def _clean(value: Any) -> Any:
    match value:
        case str():
            return safe(value)
        case dict():
            return {_clean(key): _clean(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_clean(inner) for inner in value]
        case _:
            return value
