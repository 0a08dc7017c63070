"""Imports point one way: streams → processors → schemas."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "schemas": {"schemas"},
    "processors": {"schemas", "processors"},
    "streams": {"schemas", "processors", "streams", "bench"},
}
KAFKA = {"faust", "mode", "aiokafka", "confluent_kafka"}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        heads = {name.split(".")[0] for name in _imports(path)}
        wrong = (heads & {"schemas", "processors", "streams", "bench", "tests"}) - MAY_IMPORT[package]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"
        if package != "streams":
            assert not heads & KAFKA, f"{path.relative_to(ROOT)} speaks Kafka"


@pytest.mark.parametrize(
    "module",
    [
        "processors.decode.child",
        "processors.probe.child",
        "processors.thumbnails",
        "processors.tasks.shots",
        "processors.tasks.artefacts",
    ],
)
def test_decode_side_is_free_of_torch(module: str) -> None:
    code = f"import sys, {module}, processors.tasks; processors.tasks.registry(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_error_tree_is_drawn_as_it_is() -> None:
    import schemas.errors as errors

    drawn = [
        line.strip("│ ├└─").split()[0] for line in (errors.__doc__ or "").splitlines() if "─" in line or "DailiesError" in line
    ]
    real = [name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, Exception)]
    assert sorted(drawn) == sorted(real)


def test_a_task_s_module_is_called_as_the_task() -> None:
    from processors import tasks

    for name, task in tasks.registry().items():
        assert tasks.task(name) is task
        assert type(task).__module__ == f"{tasks.__name__}.{name.replace('-', '_')}"
