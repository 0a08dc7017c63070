"""What loses messages in Faust, and is therefore nowhere in the product: batches, sinks, agents of several coroutines."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import streams

LOSING_METHODS = {"noack", "noack_take", "take_with_timestamp", "through", "group_by"}
LOSING_OPTIONS = {"sink", "pattern"}


def losing(call: ast.Call) -> str | None:
    """What is wrong with a call, if anything."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    options = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if name in LOSING_METHODS or (name == "take" and "within" in options):
        return name
    if name == "agent" and LOSING_OPTIONS & options.keys():
        return "sink"
    concurrency = options.get("concurrency")
    return "concurrency" if concurrency is not None and ast.unparse(concurrency) != "1" else None


def test_no_such_pattern_is_in_the_product() -> None:
    assert losing(ast.parse("stream.take(5, within=1)", mode="eval").body) == "take"  # type: ignore[arg-type]
    sources = Path(inspect.getfile(streams)).parent.rglob("*.py")
    calls = [
        (path.name, node) for path in sources for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    ]
    assert {(name, losing(node)) for name, node in calls if losing(node)} == set()
