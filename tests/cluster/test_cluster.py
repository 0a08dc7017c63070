"""The manifests on a real API server: accepted, admitted under Pod Security, scheduled, and scaled on real lag. `make k8s`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scripts.generate_schemas import CRDS, module, strimzi
from streams.groups import DECODERS
from streams.topics import SEGMENTS
from tests.cluster.control_plane import KWOK, ControlPlane, control_plane, nodes
from tests.kafka import BrokerFactory
from tests.lab import Lab, wait_for
from tests.manifests import K8S, OVERLAYS, Manifest, build, named, objects, of_kind, pod

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("cluster")
    with control_plane(folder) as made:
        definitions = list(strimzi(folder))
        for path, version, where in CRDS:
            for file in sorted((module(path, version) / where).glob("*.yaml")):
                made.kubectl("apply", "--server-side", "-f", str(file))
        made.apply(*definitions)
        made.kubectl("apply", "--server-side", "-f", str(K8S / "base" / "namespace.yaml"))
        made.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield made


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_the_server_takes_every_overlay(plane: ControlPlane, overlay: Path) -> None:
    done = plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", text=build(overlay))
    assert "Warning" not in done.stderr
    assert len(done.stdout.splitlines()) == len(objects(build(overlay)))


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_pods_are_admitted_where_only_restricted_ones_are(plane: ControlPlane, overlay: Path) -> None:
    """Workloads are never refused for their pods, so each pod is sent by itself, and one that is not restricted beside it."""
    found = objects(build(overlay))
    plane.apply(*of_kind(found, "PriorityClass", "ServiceAccount"))
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        alone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "dailies"}, "spec": pod(workload)}
        plane.kubectl("create", "--dry-run=server", "-f", "-", text=yaml.safe_dump(alone))
        del alone["spec"]["containers"][0]["securityContext"]
        refused = plane.kubectl("create", "--dry-run=server", "-f", "-", text=yaml.safe_dump(alone), check=False)
        assert "violates PodSecurity" in refused.stderr


def test_pods_are_spread_and_gpus_go_to_networks(plane: ControlPlane) -> None:
    nodes(plane, module(*KWOK))
    (overlay,) = (path for path in OVERLAYS if path.name == "gpu")
    found = objects(build(overlay))
    plane.apply(*(one for one in found if one["kind"] != "ScaledObject"))

    def running() -> list[Manifest]:
        pods = plane.get("pods", "-n", "dailies", "-l", "app.kubernetes.io/part-of=dailies")["items"]
        return [one for one in pods if one["status"].get("phase") == "Running"]

    wait_for(lambda: len(running()) == 6, "five roles, and a second aggregator")
    where = {(one["metadata"]["labels"]["dailies.media/role"], one["spec"]["nodeName"]) for one in running()}
    assert {node for role, node in where if role == "inference-networks"} == {"node-gpu"}
    assert {role for role, node in where if node == "node-gpu"} == {"inference-networks"}
    assert len({node for role, node in where if role == "aggregator"}) == 2
    budget = ("pdb", "aggregator", "-n", "dailies")
    wait_for(lambda: plane.get(*budget)["status"]["disruptionsAllowed"] == 1, "the budget of disruptions", 60)
    assert _evicted(plane, "aggregator-0")
    assert not _evicted(plane, "aggregator-1")


def _evicted(plane: ControlPlane, name: str) -> bool:
    order = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "dailies"}}
    path = f"/api/v1/namespaces/dailies/pods/{name}/eviction"
    done = plane.kubectl("create", "--raw", path, "-f", "-", text=yaml.safe_dump(order), check=False)
    assert done.returncode == 0 or "disruption budget" in done.stderr, done.stderr
    return done.returncode == 0


def test_keda_scales_a_decoder_on_real_lag(plane: ControlPlane, new_broker: BrokerFactory, tmp_path: Path) -> None:
    """From none to one where a job waits, the rest left to the autoscaler that KEDA makes; to none again when it is done."""
    lab = Lab(new_broker().bootstrap, tmp_path)
    (overlay,) = (path for path in OVERLAYS if path.name == "production")
    found = objects(build(overlay))
    scaled = named(found, "ScaledObject", "decoder")
    scaled["spec"] |= {"minReplicaCount": 0, "pollingInterval": 1, "cooldownPeriod": 2}
    for trigger in scaled["spec"]["triggers"]:
        del trigger["authenticationRef"]
        trigger["metadata"] |= {"bootstrapServers": lab.bootstrap, "tls": "disable"}
    decoder = named(found, "Deployment", "decoder")
    decoder["spec"]["replicas"] = 0
    plane.apply(decoder, scaled)
    _keda(plane)

    def replicas() -> int:
        return int(plane.get("deployment", "decoder", "-n", "dailies")["spec"]["replicas"])

    wait_for(
        lambda: plane.kubectl("get", "hpa", "-n", "dailies", "keda-hpa-decoder", check=False).returncode == 0, "the HPA", 60
    )
    bounds = plane.get("hpa", "keda-hpa-decoder", "-n", "dailies")["spec"]
    assert bounds["maxReplicas"] == SEGMENTS.partitions
    assert bounds["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 600
    assert replicas() == 0
    lab.send(SEGMENTS, [(b"job", b"{}")])
    wait_for(lambda: replicas() == 1, "the first decoder", 60)
    _read_to_the_end(lab)
    wait_for(lambda: replicas() == 0, "no decoder", 60)


def _read_to_the_end(lab: Lab) -> None:
    from confluent_kafka import Consumer, TopicPartition

    member = Consumer({"bootstrap.servers": lab.bootstrap, "group.id": DECODERS})
    member.commit(
        offsets=[TopicPartition(SEGMENTS.name, p, end) for p, end in enumerate(lab.ends(SEGMENTS))], asynchronous=False
    )
    member.close()


def _keda(plane: ControlPlane) -> None:
    """KEDA's operator outside of the cluster. What it serves to its metrics adapter wants a certificate; nobody asks it."""
    certificates = plane.folder / "keda"
    certificates.mkdir()
    line = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=keda-operator.keda.svc"]
    line += ["-keyout", "tls.key", "-out", "tls.crt"]
    subprocess.run(line, cwd=certificates, check=True, capture_output=True)
    (certificates / "ca.crt").write_bytes((certificates / "tls.crt").read_bytes())
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}})
    options = ["--metrics-bind-address=:0", "--health-probe-bind-address=:0", "--metrics-service-bind-address=:0"]
    options += [f"--cert-dir={certificates}", "--zap-log-level=info"]
    environment = {
        "KUBECONFIG": str(plane.kubeconfig),
        "WATCH_NAMESPACE": "",
        "POD_NAMESPACE": "keda",
        "POD_NAME": "keda-operator",
    }
    plane.start("keda", *options, **environment)
