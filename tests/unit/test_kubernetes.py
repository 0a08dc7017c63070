"""The manifests: every overlay is valid by strict schemas, follows from the code, and is locked down."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.generate_manifests import COMPONENTS, FILES, MADE_OTHERWISE, text
from scripts.generate_schemas import CRDS, KUBERNETES
from streams.acls import acls, task_groups
from streams.cli.roles import Role
from streams.local.roles import slots
from streams.roles import STOP_SECONDS
from streams.settings import Settings
from streams.topics import TOPICS
from tests.cluster import control_plane
from tests.manifests import (
    OVERLAYS,
    ROOT,
    WORKLOADS,
    Manifest,
    build,
    conforms,
    environment,
    named,
    objects,
    of_kind,
    overlay,
    pod,
    selects,
)
from tests.tools import BUILT

OTHERS = {
    "existing-cluster": ("external-kafka", "kafka-scram", "bucket"),
    "shared-cache": ("strimzi", "kafka-scram", "bucket", "gpu", "cache-volume"),
    "mutual-tls": ("strimzi", "keda", "kafka-mtls", "bucket", "monitoring"),
}
"""Combinations of components that no overlay has."""

PROCESSES = {"-".join(filter(None, (slot.role, slot.group))): slot for slot in slots()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("overlays")
    mixed = {name: overlay(folder / name, *components) for name, components in OTHERS.items()}
    return {path.name: build(path) for path in OVERLAYS} | {name: build(path) for name, path in mixed.items()}


@pytest.fixture(scope="module")
def all_of_them(built: dict[str, str]) -> dict[str, list[Manifest]]:
    return {name: objects(made) for name, made in built.items()}


NAMES = [*(path.name for path in OVERLAYS), *OTHERS]


@pytest.fixture(params=NAMES)
def found(request: pytest.FixtureRequest, all_of_them: dict[str, list[Manifest]]) -> list[Manifest]:
    return all_of_them[request.param]


def workloads(found: list[Manifest]) -> Iterator[Manifest]:
    return of_kind(found, *WORKLOADS)


@pytest.mark.parametrize("path", FILES)
def test_generated_manifests_are_what_the_code_says(path: str) -> None:
    assert (COMPONENTS / path).read_text() == text(path), "run python -m scripts.generate_manifests"


@pytest.mark.parametrize("name", NAMES)
def test_every_overlay_is_valid_by_strict_schemas(name: str, built: dict[str, str]) -> None:
    done = conforms(built[name])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("terminationGracePeriodSeconds: 60", "terminationGracePeriod: 60"),
        ("partitions: 8", "partitions: eight"),
        ("  maxUnavailable: 1\n", "  maxUnavailable: 1\n  minimum: 1\n"),
        ("pollingInterval: 15", "pollingIntervall: 15"),
        ("podMetricsEndpoints:", "endpoints:"),
        ("kind: KafkaNodePool", "kind: KafkaPool"),
    ],
)
def test_the_schemas_refuse_what_is_wrong(right: str, wrong: str, built: dict[str, str]) -> None:
    assert right in built["production"]
    assert conforms(built["production"].replace(right, wrong, 1)).returncode == 1


def test_topics_are_those_that_the_code_declares(all_of_them: dict[str, list[Manifest]]) -> None:
    for found in (all_of_them[path.name] for path in OVERLAYS):
        specs = {one["metadata"]["name"]: one["spec"] for one in of_kind(found, "KafkaTopic")}
        assert specs == {topic.name: {"partitions": topic.partitions, "config": topic.config()} for topic in TOPICS}


def test_every_process_of_a_stack_is_a_workload_that_the_command_line_takes(found: list[Manifest]) -> None:
    roles = {one["metadata"]["name"]: one for one in of_kind(found, "Deployment", "StatefulSet")}
    assert set(roles) == set(PROCESSES)
    for name, slot in PROCESSES.items():
        (container,) = pod(roles[name])["containers"]
        assert container["args"] == ["run", Role(slot.role).value, *(["--group", slot.group] if slot.group else [])]
    assert {slot.group for slot in slots() if slot.group} == set(task_groups())


def test_pods_are_restricted(found: list[Manifest]) -> None:
    (namespace,) = of_kind(found, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in workloads(found):
        spec = pod(workload)
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["runAsUser"] >= 10000
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec)
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= {"emptyDir", "secret", "persistentVolumeClaim"}, volume


def test_service_accounts_are_each_role_s_own_and_hold_no_token(found: list[Manifest]) -> None:
    accounts = {one["metadata"]["name"]: one for one in of_kind(found, "ServiceAccount")}
    users = [pod(workload)["serviceAccountName"] for workload in workloads(found)]
    assert sorted(users) == sorted(accounts)
    assert not any(account["automountServiceAccountToken"] for account in accounts.values())
    assert not list(of_kind(found, "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"))


def test_roles_write_where_there_is_a_volume_only(found: list[Manifest]) -> None:
    for workload in workloads(found):
        (container,) = pod(workload)["containers"]
        volumes = {volume["name"]: volume for volume in pod(workload)["volumes"]}
        writable = {m["mountPath"] for m in container["volumeMounts"] if "secret" not in volumes[m["name"]]}
        variables = environment(found, workload)
        assert {variables["DAILIES_DATA_DIR"], variables["HOME"], "/tmp"} <= writable
        assert variables.get("XDG_CACHE_HOME", "/tmp") in writable
        # Attempts outlive the container, and the pod's death ends the volume: no pod holds another's.
        data = next(m["name"] for m in container["volumeMounts"] if m["mountPath"] == variables["DAILIES_DATA_DIR"])
        assert "emptyDir" in volumes[data]


def test_every_role_is_probed_as_it_answers(found: list[Manifest]) -> None:
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        (container,) = pod(workload)["containers"]
        variables = environment(found, workload)
        (port,) = container["ports"]
        assert (port["name"], str(port["containerPort"])) == ("health", variables["DAILIES_HEALTH_PORT"])
        assert variables["DAILIES_HEALTH_BIND"] == "0.0.0.0"
        asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {kind: get["path"] for kind, get in asked.items()} == {
            "startup": "/ready",
            "liveness": "/live",
            "readiness": "/ready",
        }
        assert {get["port"] for get in asked.values()} == {"health"}


def test_a_pod_has_longer_to_end_than_its_role_takes(found: list[Manifest]) -> None:
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        assert pod(workload)["terminationGracePeriodSeconds"] >= STOP_SECONDS + 20


def test_every_role_has_a_budget_of_disruptions_a_priority_and_requests(found: list[Manifest]) -> None:
    budgets = list(of_kind(found, "PodDisruptionBudget"))
    priorities = {one["metadata"]["name"] for one in of_kind(found, "PriorityClass")}
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert selects(workload["spec"]["selector"], labels)
        assert len([b for b in budgets if selects(b["spec"]["selector"], labels)]) == 1
        assert pod(workload)["priorityClassName"] in priorities
        (container,) = pod(workload)["containers"]
        assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"]["requests"])
        assert {"memory", "ephemeral-storage"} <= set(container["resources"]["limits"])
        scratch = sum(_bytes(v["emptyDir"]["sizeLimit"]) for v in pod(workload)["volumes"] if "emptyDir" in v)
        assert scratch <= _bytes(container["resources"]["limits"]["ephemeral-storage"])


def test_variables_are_settings_with_values_that_they_take(
    found: list[Manifest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = {f"DAILIES_{name.upper()}" for name in Settings.model_fields}
    monkeypatch.chdir(tmp_path)
    for workload in workloads(found):
        names = {entry["name"] for entry in pod(workload)["containers"][0]["env"]}
        variables = environment(found, workload)
        ours = {name for name in names | set(variables) if name.startswith("DAILIES_")}
        assert ours <= known
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            settings = Settings()
        assert settings.health_port == 9600
        assert settings.schemes == ("s3", "https")


def test_decoders_know_their_own_cores_and_stay_under_their_limit(found: list[Manifest]) -> None:
    decoder = named(found, "Deployment", "decoder")
    variables = environment(found, decoder)
    resources = pod(decoder)["containers"][0]["resources"]
    children, each = int(variables["DAILIES_DECODERS"]), int(variables["DAILIES_DECODE_MEMORY_BYTES"])
    assert children * each + (1 << 29) <= _bytes(resources["limits"]["memory"])
    most = children * max(
        [1, *(o["spec"]["maxReplicaCount"] for o in of_kind(found, "ScaledObject") if _target(o) == "decoder")]
    )
    planner = environment(found, named(found, "Deployment", "planner"))
    assert most >= int(planner["DAILIES_DECODERS"]) >= children


def _bytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) << {"Mi": 20, "Gi": 30}[unit]


def _target(scaled: Manifest) -> str:
    return str(scaled["spec"]["scaleTargetRef"]["name"])


def test_names_that_manifests_refer_to_exist(found: list[Manifest]) -> None:
    made = {(one["kind"], one["metadata"]["name"]) for one in found}
    # Strimzi's operators make these: a secret for each user, and the cluster's certificate.
    secrets = {one["metadata"]["name"] for one in of_kind(found, "KafkaUser")} | {"dailies-cluster-ca-cert"}
    if not secrets & {"dailies-planner"}:
        secrets |= {f"dailies-{role}" for role in acls()}
    for workload in workloads(found):
        for volume in pod(workload)["volumes"]:
            assert "secret" not in volume or volume["secret"]["secretName"] in secrets
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim is None or ("PersistentVolumeClaim", claim) in made
    for login in of_kind(found, "TriggerAuthentication"):
        assert {ref["name"] for ref in login["spec"]["secretTargetRef"]} <= secrets
        assert {("ConfigMap", ref["name"]) for ref in login["spec"].get("configMapTargetRef", ())} <= made


def test_each_role_has_its_own_user_s_secret_and_no_other(found: list[Manifest]) -> None:
    for workload in workloads(found):
        name = workload["metadata"]["name"]
        secrets = {volume["secret"]["secretName"] for volume in pod(workload)["volumes"] if "secret" in volume}
        assert secrets == {f"dailies-{name}", "dailies-cluster-ca-cert"}
        variables = environment(found, workload)
        if "DAILIES_KAFKA_SASL_USERNAME" in variables:
            entries = pod(workload)["containers"][0]["env"]
            order = [entry["name"] for entry in entries]
            assert order.index("ROLE") < order.index("DAILIES_KAFKA_SASL_USERNAME")
            assert variables["DAILIES_KAFKA_SASL_USERNAME"] == "dailies-$(ROLE)"
            assert workload["spec"]["template"]["metadata"]["labels"]["dailies.media/role"] == name


def test_users_are_those_of_the_access_table_and_log_in_as_the_listener_wants(found: list[Manifest]) -> None:
    for kafka in of_kind(found, "Kafka"):
        (listener,) = kafka["spec"]["kafka"]["listeners"]
        users = {one["metadata"]["name"]: one["spec"] for one in of_kind(found, "KafkaUser")}
        assert set(users) == {f"dailies-{role}" for role in acls() if role not in MADE_OTHERWISE}
        assert listener["tls"] is True
        assert {spec["authentication"]["type"] for spec in users.values()} == {listener["authentication"]["type"]}
        assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}


def test_workers_are_scaled_by_what_they_read_and_to_its_partitions_at_most(found: list[Manifest]) -> None:
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    for scaled in of_kind(found, "ScaledObject"):
        target = named(found, "Deployment", _target(scaled))
        assert "replicas" not in target["spec"]
        for trigger in scaled["spec"]["triggers"]:
            facts = trigger["metadata"]
            assert facts["consumerGroup"] == PROCESSES[_target(scaled)].consumer_group
            assert 0 <= scaled["spec"]["minReplicaCount"] <= 1
            assert scaled["spec"]["maxReplicaCount"] <= partitions[facts["topic"]]
            assert facts["limitToPartitionsWithLag"] == "true"


def test_nothing_comes_in_or_goes_out_unnamed(found: list[Manifest]) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(found, "NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    reach = {}
    for workload in workloads(found):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        mine = {name for name, spec in policies.items() if name != "default-deny" and selects(spec["podSelector"], labels)}
        reach[workload["metadata"]["name"]] = mine
        assert {"dns", "kafka"} <= mine
    outside = {name for name, mine in reach.items() if "buckets" in mine}
    assert outside == {"planner", "decoder", "aggregator"}
    private = policies["buckets"]["egress"][0]["to"][0]["ipBlock"]
    assert "169.254.0.0/16" in private["except"]


def test_only_who_reads_or_writes_buckets_has_their_credentials(found: list[Manifest]) -> None:
    holders = {
        workload["metadata"]["name"]
        for workload in workloads(found)
        for source in pod(workload)["containers"][0]["envFrom"]
        if "secretRef" in source
    }
    assert holders == {"planner", "decoder", "aggregator"}


def test_networks_alone_have_gpus(all_of_them: dict[str, list[Manifest]]) -> None:
    found = all_of_them["gpu"]
    with_gpu = {
        workload["metadata"]["name"]: pod(workload)
        for workload in workloads(found)
        if "nvidia.com/gpu" in pod(workload)["containers"][0]["resources"]["limits"]
    }
    assert set(with_gpu) == {"inference-networks"}
    spec = with_gpu["inference-networks"]
    assert {toleration["key"] for toleration in spec["tolerations"]} == {"nvidia.com/gpu"}
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {e["key"] for e in terms[0]["matchExpressions"]} >= {"nvidia.com/gpu.present", "kubernetes.io/arch"}
    assert environment(found, named(found, "Deployment", "inference-networks"))["DAILIES_DEVICE"] == "cuda"


def test_production_spreads_what_it_has_several_of(all_of_them: dict[str, list[Manifest]]) -> None:
    found = all_of_them["production"]
    assert named(found, "StatefulSet", "aggregator")["spec"]["replicas"] == 2
    for workload in workloads(found):
        keys = {c["topologyKey"] for c in pod(workload)["topologySpreadConstraints"]}
        assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    kafka = named(found, "Kafka", "dailies")["spec"]["kafka"]["config"]
    assert (kafka["default.replication.factor"], kafka["min.insync.replicas"]) == (3, 2)
    assert sum(pool["spec"]["replicas"] for pool in of_kind(found, "KafkaNodePool")) == 6


def test_images_are_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for path in [ROOT / "k8s" / "base", *OVERLAYS]:
        images: list[dict[str, Any]] = yaml.safe_load((path / "kustomization.yaml").read_text()).get("images", [])
        assert {image["newTag"] for image in images} <= {version}


def test_tools_are_of_the_versions_that_scripts_build() -> None:
    script = (ROOT / "scripts" / "install-test-tools.sh").read_text()
    minio = (ROOT / "scripts" / "minio.sh").read_text()
    for name, version in BUILT.items():
        assert f"-{version}\n" in minio if name == "minio" else f"build {name} {version} " in script
    script = (ROOT / "scripts" / "k8s-tools.sh").read_text()
    asked = {"kubernetes": f"v{control_plane.VERSION}", "kwok": control_plane.KWOK[1]}
    asked["keda"] = next(version for path, version, _ in CRDS if "keda" in path)
    assert all(f"\n{name}={version.removeprefix('v')}\n" in script for name, version in asked.items())
    assert KUBERNETES[1] == f"v{control_plane.VERSION}"
