"""The committed JSON Schemas are those of the models."""

from __future__ import annotations

import orjson
import pytest
from jsonschema import Draft202012Validator

from schemas import generate


@pytest.mark.parametrize("name", generate.schemas())
def test_committed_schema_is_the_model_s(name: str) -> None:
    body = generate.schemas()[name]
    Draft202012Validator.check_schema(orjson.loads(body))
    assert (generate.FOLDER / name).read_bytes() == body, "run python -m schemas.generate"


def test_no_schema_is_left_over() -> None:
    assert {path.name for path in generate.FOLDER.glob("*.json")} == set(generate.schemas())
