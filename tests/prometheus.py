"""A real Prometheus that scrapes a stack as the manifests' PodMonitor would, and evaluates the manifests' rules."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from streams.local.ports import LOOPBACK, free_ports
from streams.local.tether import tethered
from tests.manifests import K8S
from tests.tools import end_all, require_tool
from tests.waiting import until

RULES = K8S / "components" / "monitoring" / "rules.yaml"
SECONDS = 120.0
"""How long a scrape or an alert may take on a busy machine."""


class Prometheus:
    """Scrapes once a second. The rules' expressions are the manifests'; what they wait ``for`` is not waited for."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        """``targets``: the health URL of each workload."""
        folder.mkdir(parents=True)
        (port,) = free_ports(1)
        self._url = f"http://{LOOPBACK}:{port}"
        self._folder = folder
        rules: dict[str, Any] = yaml.safe_load(RULES.read_text())["spec"]
        for group in rules["groups"]:
            group["interval"] = "1s"
            group["rules"] = [{name: value for name, value in rule.items() if name != "for"} for rule in group["rules"]]
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        scraped = [
            {"targets": [url.removeprefix("http://")], "labels": {"namespace": "dailies", "workload": name, "pod": f"{name}-0"}}
            for name, url in targets.items()
        ]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "dailies", "static_configs": scraped}],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self._command = [require_tool("prometheus"), "--config.file=prometheus.yaml", "--storage.tsdb.path=data"]
        self._command.append(f"--web.listen-address={LOOPBACK}:{port}")
        self._made: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        with (self._folder / "log").open("wb") as log:
            self._made.append(subprocess.Popen(tethered(self._command), stdout=log, stderr=log, cwd=self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        end_all(self._made)

    def query(self, expression: str) -> dict[str, float]:
        """An instant query's values by workload; none while Prometheus starts."""
        body = self._get("query", query=expression)
        return {one["metric"].get("workload", ""): float(one["value"][1]) for one in body.get("result", ())}

    def firing(self) -> set[tuple[str, str]]:
        """Names of the alerts that fire, each with its workload or role."""
        found = [alert["labels"] for alert in self._get("alerts").get("alerts", ()) if alert["state"] == "firing"]
        return {(labels["alertname"], labels.get("workload") or labels.get("role", "")) for labels in found}

    def await_alert(self, name: str, about: str) -> None:
        """Wait until an alert fires."""
        until(lambda: (name, about) in self.firing(), f"{name} fires for {about}", SECONDS)

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        url = f"{self._url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)["data"]
                return found
        except OSError:
            return {}
