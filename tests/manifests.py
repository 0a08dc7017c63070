"""The manifests as a cluster would get them: built by kustomize, as Python objects."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.tools import require_built

ROOT = Path(__file__).resolve().parent.parent
K8S = ROOT / "k8s"
OVERLAYS = sorted(path.parent for path in (K8S / "overlays").glob("*/kustomization.yaml"))
WORKLOADS = ("Deployment", "StatefulSet", "Job")

Manifest = dict[str, Any]


def build(folder: Path) -> str:
    """What kustomize makes of a folder: YAML."""
    done = subprocess.run([require_built("kustomize"), "build", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(text: str) -> list[Manifest]:
    """The objects in a stream of YAML."""
    return [found for found in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if found]


def conforms(text: str) -> subprocess.CompletedProcess[str]:
    """Ask kubeconform, strictly, with the committed schemas alone. A kind without a schema is an error."""
    where = str(K8S / "schemas" / "{{.ResourceKind}}{{.KindSuffix}}.json")
    command = [require_built("kubeconform"), "-strict", "-summary", "-schema-location", where]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def overlay(folder: Path, *components: str, patches: str = "") -> Path:
    """A kustomization beside the tree: the base with some components."""
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "namespace: dailies"]
    lines += ["resources:", f"  - {os.path.relpath(K8S / 'base', folder.resolve())}", "components:"]
    lines += [f"  - {os.path.relpath(K8S / 'components' / name, folder.resolve())}" for name in components]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kustomization.yaml").write_text("\n".join(lines) + "\n" + patches)
    return folder


def of_kind(found: list[Manifest], *kinds: str) -> Iterator[Manifest]:
    """Those of some kinds."""
    return (one for one in found if one["kind"] in kinds)


def named(found: list[Manifest], kind: str, name: str) -> Manifest:
    """The one of that kind and name."""
    (one,) = (one for one in of_kind(found, kind) if one["metadata"]["name"] == name)
    return one


def pod(workload: Manifest) -> Manifest:
    """A workload's pod specification."""
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def environment(found: list[Manifest], workload: Manifest) -> dict[str, str]:
    """The plain variables of a workload's container: of its config maps, then its own."""
    (container,) = pod(workload)["containers"]
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        if "configMapRef" in source:
            variables |= named(found, "ConfigMap", source["configMapRef"]["name"])["data"]
    return variables | {entry["name"]: entry["value"] for entry in container.get("env", ()) if "value" in entry}


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector takes these labels in."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(
        labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", ()) if e["operator"] == "In"
    )
