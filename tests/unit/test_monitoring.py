"""Alerts and dashboard: every metric and label in them is exported, every alert fires when it must and is explained."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from streams.health import Health
from streams.metrics import Aggregating, Common, Decoding, GpuMemory, Inferring, Planning
from tests.manifests import K8S, ROOT
from tests.tools import require_tool

MONITORING = K8S / "components" / "monitoring"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "info": ("_info",), "gauge": ("",)}
METRIC = re.compile(r"(?<![\w:])((?:dailies|process)_\w+)(?![\w:])(?:\{([^}]*)\})?")


@pytest.fixture(scope="module")
def rules() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]
    return found


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((MONITORING / "dailies.json").read_bytes())
    return found


@pytest.fixture(scope="module")
def exported() -> set[str]:
    registry = CollectorRegistry()
    Common(registry, Health(), "planner")
    Planning(registry)
    Inferring(registry)
    Aggregating(registry)
    Decoding(registry).budget(int, int, int)
    GpuMemory(registry, dict)
    families: list[Metric] = list(registry.collect())
    return {f"{family.name}{suffix}" for family in families for suffix in SUFFIXES[family.type]}


def expressions(rules: dict[str, Any], dashboard: dict[str, Any]) -> Iterator[str]:
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ()))


def test_every_metric_that_is_asked_for_is_exported(
    rules: dict[str, Any], dashboard: dict[str, Any], exported: set[str]
) -> None:
    asked = {found[1] for expression in expressions(rules, dashboard) for found in METRIC.finditer(expression)}
    assert len(asked) > 25
    assert asked <= exported


def test_recorded_series_are_those_that_alerts_use(rules: dict[str, Any]) -> None:
    recorded = {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    used = {name for group in rules["groups"] for rule in group["rules"] for name in re.findall(r"\w+:\w+:\w+", rule["expr"])}
    assert recorded == used


def test_every_alert_is_explained_and_has_a_severity(rules: dict[str, Any]) -> None:
    documented = (ROOT / "docs" / "kubernetes.md").read_text()
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    for alert in alerts:
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert set(alert["annotations"]) == {"summary", "description"}
        assert f"`{alert['alert']}`" in documented
    tested = yaml.safe_load((MONITORING / "tests" / "alerts.yaml").read_text())["tests"]
    fire = {case["alertname"] for test in tested for case in test["alert_rule_test"] if case.get("exp_alerts")}
    rest = {case["alertname"] for test in tested for case in test["alert_rule_test"] if not case.get("exp_alerts")}
    assert fire == rest == {alert["alert"] for alert in alerts}


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([require_tool("promtool"), *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_alerts_fire_when_they_must_and_only_then(rules: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    (tmp_path / "alerts.yaml").write_text((MONITORING / "tests" / "alerts.yaml").read_text())
    checked = promtool("check", "rules", "--lint-fatal", "rules.yaml", folder=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = promtool("test", "rules", "alerts.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_s_expressions_are_valid(dashboard: dict[str, Any], tmp_path: Path) -> None:
    """As rules, which promtool parses; Grafana's variables become what they stand for."""
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    made = [expression.replace("$__rate_interval", "1m").replace("$namespace", "dailies") for expression in asked]
    assert not any("$" in expression for expression in made)
    group = {"name": "board", "rules": [{"record": f"panel:{n}", "expr": e} for n, e in enumerate(made)]}
    (tmp_path / "board.yaml").write_text(yaml.safe_dump({"groups": [group]}))
    done = promtool("check", "rules", "--lint-fatal", "board.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_laid_out_without_overlaps(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
