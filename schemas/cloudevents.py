"""CloudEvents 1.0 in Kafka's binary mode: attributes as ``ce_`` headers, the data as the value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Headers = dict[str, bytes]

JSON = "application/json"
SAFETENSORS = "application/vnd.safetensors"
RAW = "application/octet-stream"


def headers(
    *, id: str, type: str, source: str, subject: str, time: str, schema: str | None = None, content_type: str = JSON
) -> Headers:
    """The headers of one event. ``time`` is RFC 3339; ``schema`` names the JSON Schema of the data."""
    found = {
        "ce_specversion": b"1.0",
        "ce_id": id.encode(),
        "ce_type": type.encode(),
        "ce_source": source.encode(),
        "ce_subject": subject.encode(),
        "ce_time": time.encode(),
        "content-type": content_type.encode(),
    }
    if schema is not None:
        found["ce_dataschema"] = schema.encode()
    return found


def as_mapping(raw: Mapping[str, bytes | str | None] | Iterable[tuple[str, bytes | str | None]] | None) -> Headers:
    """Kafka headers, in whichever form a client hands them out, as a dict of bytes; the last of a repeated name wins."""
    if raw is None:
        return {}
    pairs = raw.items() if isinstance(raw, Mapping) else raw
    return {k: v.encode() if isinstance(v, str) else bytes(v or b"") for k, v in pairs}
