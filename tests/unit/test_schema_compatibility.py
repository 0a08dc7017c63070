"""Today's schemas against the last release's, and that each kind of break is noticed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import generate, release
from schemas.compatibility import Direction, problems, release_problems
from schemas.types import SCHEMA_OF

SCHEMA: dict[str, Any] = {
    "$id": "https://example.com/event.json",
    "type": "object",
    "required": ["id", "status", "place"],
    "properties": {
        "id": {"type": "string", "maxLength": 10},
        "kind": {"const": "film"},
        "status": {"enum": ["complete", "incomplete"]},
        "count": {"type": "number", "minimum": 0},
        "title": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "place": {"$ref": "#/$defs/Place"},
        "others": {"type": "array", "items": {"$ref": "#/$defs/Place"}},
        "rate": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}], "minItems": 2, "maxItems": 2},
        "by_name": {"type": "object", "additionalProperties": {"type": "integer"}},
        "any": {"title": "Any"},
    },
    "$defs": {
        "Place": {
            "type": "object",
            "required": ["x"],
            "properties": {"x": {"type": "integer"}, "inner": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]}},
        }
    },
}

Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]
"""Changes a schema, given its properties and those of a place."""

BOTH, IN, OUT = {Direction.CONSUMED, Direction.PUBLISHED}, {Direction.CONSUMED}, {Direction.PUBLISHED}

BREAKS: dict[str, tuple[Change, set[Direction]]] = {
    "a field is removed": (lambda s, p, q: p.pop("count"), BOTH),
    "a required field is removed": (lambda s, p, q: (p.pop("id"), s["required"].remove("id")), BOTH),
    "a field is renamed": (lambda s, p, q: p.update(heading=p.pop("title")), BOTH),
    "a nested field is removed": (lambda s, p, q: q.pop("inner"), BOTH),
    "a type is narrowed": (lambda s, p, q: p["count"].update(type="integer"), IN),
    "a type is widened": (lambda s, p, q: q["x"].update(type="number"), OUT),
    "a type is another": (lambda s, p, q: q["x"].update(type="string"), BOTH),
    "null is no longer allowed": (lambda s, p, q: p.update(title={"type": "string"}), IN),
    "null is allowed": (lambda s, p, q: p.update(id={"anyOf": [p["id"], {"type": "null"}]}), OUT),
    "an enum loses a value": (lambda s, p, q: p["status"]["enum"].pop(), IN),
    "an enum gets a value": (lambda s, p, q: p["status"]["enum"].append("unprocessable"), OUT),
    "an enum becomes free": (lambda s, p, q: p.update(status={"type": "string"}), OUT),
    "a field becomes required": (lambda s, p, q: s["required"].append("count"), IN),
    "a new field is required": (lambda s, p, q: (p.update(new={"type": "string"}), s["required"].append("new")), IN),
    "a nested field becomes required": (lambda s, p, q: (q.update(y={}), s["$defs"]["Place"]["required"].append("y")), IN),
    "a field need not be there": (lambda s, p, q: s["required"].remove("id"), OUT),
    "a const is another": (lambda s, p, q: p["kind"].update(const="episode"), BOTH),
    "the id is another": (lambda s, p, q: s.update({"$id": "https://example.com/other.json"}), BOTH),
    "a bound is tighter": (lambda s, p, q: p["id"].update(maxLength=5), IN),
    "a bound is looser": (lambda s, p, q: p["count"].update(minimum=-1), OUT),
    "a tuple is longer": (lambda s, p, q: p["rate"].update(maxItems=3), OUT),
    "a tuple's member is another": (lambda s, p, q: p["rate"]["prefixItems"][1].update(type="string"), BOTH),
    "a list's items are others": (lambda s, p, q: p["others"].update(items={"type": "string"}), BOTH),
    "a map's values are others": (lambda s, p, q: p["by_name"].update(additionalProperties={"type": "string"}), BOTH),
    "other fields are refused": (lambda s, p, q: s.update(additionalProperties=False), IN),
    "what was anything is something": (lambda s, p, q: p["any"].update(type="string"), IN),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda s, p, q: None,
    "a new field that need not be there": lambda s, p, q: p.update(new={"type": "string"}),
    "a new nested field": lambda s, p, q: q.update(y={"type": "integer"}),
    "words": lambda s, p, q: (s.update(title="Event", description="One."), p["id"].update(description="its name")),
    "another default": lambda s, p, q: p["title"].update(default="untitled"),
    "a definition by another name": lambda s, p, q: (
        s["$defs"].update(Spot=s["$defs"]["Place"]),
        p["place"].update({"$ref": "#/$defs/Spot"}),
    ),
}


def changed(change: Change) -> dict[str, Any]:
    schema = copy.deepcopy(SCHEMA)
    change(schema, schema["properties"], schema["$defs"]["Place"]["properties"])
    return schema


@pytest.mark.parametrize("name", BREAKS)
def test_each_kind_of_break_is_noticed_where_it_breaks(name: str) -> None:
    change, where = BREAKS[name]
    for direction in (Direction.CONSUMED, Direction.PUBLISHED):
        assert bool(problems(SCHEMA, changed(change), direction)) is (direction in where), direction
    assert problems(SCHEMA, changed(change), Direction.BOTH)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nothing_is_let_be(name: str) -> None:
    assert problems(SCHEMA, changed(HARMLESS[name]), Direction.BOTH) == []


def test_a_schema_that_is_gone_is_noticed() -> None:
    assert release_problems({"a.json": SCHEMA}, {"b.json": SCHEMA}, {}) == ["a.json: the schema is gone"]


def test_a_problem_says_where_and_what() -> None:
    (said,) = problems(SCHEMA, changed(lambda s, p, q: q.pop("inner")), Direction.PUBLISHED)[:1]
    assert said == "$.others[].inner is gone"


def test_a_release_is_kept() -> None:
    assert release.released()
    assert set(release.schemas_of(release.released()[-1])) <= set(SCHEMA_OF.values())


def test_today_s_schemas_break_nothing_of_the_last_release() -> None:
    """A break needs a type of its own (``….v2``). Before a version is out: ``python -m schemas.release --replace``."""
    assert release.breaking() == []


@pytest.mark.parametrize(
    ("name", "field"),
    [("content-metadata.json", "findings"), ("plan.json", "jobs"), ("upload.json", "priority"), ("job.json", "agents")],
)
def test_a_field_that_goes_from_a_real_schema_is_noticed(name: str, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = generate.schemas()
    body = orjson.loads(made[name])
    del body["properties"][field]
    monkeypatch.setattr(generate, "schemas", lambda: made | {name: orjson.dumps(body)})
    assert any(problem.startswith(f"{name}: $.{field} ") for problem in release.breaking())


def test_a_release_is_frozen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(release, "FOLDER", tmp_path)
    assert release.breaking() == []
    assert release.main([]) == 0
    (version,) = release.released()
    assert release.schemas_of(version) == release.today()
    assert release.main([]) == 1
    assert "stay as they are" in capsys.readouterr().err
    (tmp_path / version / "gone.json").write_text("{}")
    assert release.main(["--replace"]) == 0
    assert "gone.json: the schema is gone" in capsys.readouterr().err
    assert release.schemas_of(version) == release.today()
