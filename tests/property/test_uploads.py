"""Upload events: keys survive their URL-encoding, and whatever comes either parses or is a wire error."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, quote_plus

import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import WireError
from schemas.uploads import Ignored, Uploads, parse_upload

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = ("uri", "Records", "specversion", "id", "time", "data", "data_base64", "tasks", "priority", "correlation")
STORES = ("kind", "bucket", "name", "message", "subscription", "type", "subject")
FIELDS = st.sampled_from((*NAMES, *STORES))


@given(TEXT.filter(lambda key: not key.endswith("/")), st.sampled_from([quote_plus, quote]))
def test_keys_survive_url_encoding(key: str, encode: Any) -> None:
    thing = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "in"}, "object": {"key": encode(key)}}}
    parsed = parse_upload(orjson.dumps({"Records": [thing]}))
    assert isinstance(parsed, Uploads)
    assert parsed[0].uri == f"s3://in/{key}"


@given(
    JSON | st.dictionaries(FIELDS, JSON),
    st.dictionaries(st.sampled_from(["ce_id", "ce_time", "ce_type", "content-type"]), st.binary(max_size=20)),
)
def test_whatever_comes_parses_or_is_a_wire_error(body: Any, headers: dict[str, bytes]) -> None:
    value = orjson.dumps(body)
    try:
        parsed = parse_upload(value, headers)
    except WireError:
        return
    assert isinstance(parsed, Ignored) or all(u.uri and u.id and u.time for u in parsed)
    assert parse_upload(value, headers) == parsed


@given(st.binary(max_size=200))
def test_bytes_that_are_no_json_are_a_wire_error(value: bytes) -> None:
    try:
        parse_upload(value)
    except WireError:
        return
    orjson.loads(value)
