"""A Kubernetes control plane without nodes: etcd, API server, controller manager, scheduler; kwok plays the nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.local.jars import cache_dir
from streams.local.ports import LOOPBACK, free_ports
from tests.lab import wait_for
from tests.manifests import Manifest

VERSION = "1.37.2"
KWOK = ("sigs.k8s.io/kwok", "v0.8.0")
"""As in ``scripts/k8s-tools.sh``."""

STAGES = ("node/fast/node-*.yaml", "node/heartbeat-with-lease/node-*.yaml", "pod/fast/pod-*.yaml")

KEY = "accounts.key"
TOKEN = "cluster-admin-of-this-test"


def program(name: str) -> str:
    """What ``scripts/k8s-tools.sh`` has built."""
    path = cache_dir() / "tools" / f"k8s-{VERSION}" / name
    if not path.exists():
        pytest.fail(f"{name} is not built: scripts/k8s-tools.sh builds it (make k8s)")
    return str(path)


@dataclass
class ControlPlane:
    """A running one. Everything that it has started ends with it."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    server: str = ""

    @property
    def kubeconfig(self) -> Path:
        """For clients: the administrator's."""
        return self.folder / "kubeconfig"

    def start(self, name: str, *arguments: str, **environment: str) -> None:
        """Start one of the programs, its output in a log of its name."""
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [program(name), *arguments]
            made = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **environment}, cwd=self.folder, start_new_session=True
            )
        self.processes.append(made)

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl; ``text`` is its standard input."""
        command = [program("kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def get(self, *arguments: str) -> Any:
        """What ``kubectl get`` says, as objects."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def apply(self, *found: Manifest) -> None:
        """Apply objects, by the server."""
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=yaml.safe_dump_all(found))

    def end(self) -> None:
        """End every process, the last one first."""
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """An API server that answers, and nothing else yet."""
    plane = ControlPlane(folder)
    try:
        _serve(plane)
        yield plane
    finally:
        plane.end()


def _serve(plane: ControlPlane) -> None:
    client, peer, port = free_ports(3)
    etcd = f"http://{LOOPBACK}:{client}"
    ring = f"http://{LOOPBACK}:{peer}"
    plane.start(
        *("etcd", "--data-dir", str(plane.folder / "etcd"), "--listen-client-urls", etcd, "--advertise-client-urls", etcd),
        *("--listen-peer-urls", ring, "--initial-advertise-peer-urls", ring, "--initial-cluster", f"default={ring}"),
    )
    key = plane.folder / KEY
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    (plane.folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    plane.start(
        *("kube-apiserver", f"--etcd-servers={etcd}", f"--bind-address={LOOPBACK}", f"--secure-port={port}"),
        *("--endpoint-reconciler-type=none", f"--cert-dir={plane.folder / 'certificates'}", "--authorization-mode=RBAC"),
        *("--service-cluster-ip-range=10.96.0.0/16", "--service-account-issuer=https://kubernetes.default.svc"),
        *(f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"),
        f"--token-auth-file={plane.folder / 'tokens.csv'}",
    )
    plane.server = f"https://{LOOPBACK}:{port}"
    plane.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(plane.server)))
    wait_for(lambda: plane.kubectl("get", "--raw", "/readyz", check=False).stdout == "ok", "the API server", 120)


def _kubeconfig(server: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }


def nodes(plane: ControlPlane, kwok: Path) -> None:
    """Three zones of one node each, one node more with GPUs that others are kept off; kwok says that they live.

    ``kwok`` is the folder of its module, which holds the stages that its nodes and pods go through.
    """
    made = [_node(f"node-{zone}", zone) for zone in "abc"]
    gpu = _node("node-gpu", "a", {"nvidia.com/gpu": "4"})
    gpu["metadata"]["labels"]["nvidia.com/gpu.present"] = "true"
    gpu["spec"] = {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule", "value": "present"}]}
    # Who makes pods of workloads, and gives them nodes.
    known = f"--kubeconfig={plane.kubeconfig}"
    key = f"--service-account-private-key-file={plane.folder / KEY}"
    plane.start("kube-controller-manager", known, key, "--leader-elect=false", "--secure-port=0")
    plane.start("kube-scheduler", known, "--leader-elect=false", "--secure-port=0")
    # Not applied by the server, which would leave out what the nodes have.
    plane.kubectl("create", "-f", "-", text=yaml.safe_dump_all([*made, gpu]))
    stages = [file for pattern in STAGES for file in sorted((kwok / "kustomize" / "stage").glob(pattern))]
    assert len(stages) > len(STAGES)
    options = ["--manage-all-nodes=true", f"--node-ip={LOOPBACK}", *(f"--config={path}" for path in stages)]
    plane.start("kwok", f"--kubeconfig={plane.kubeconfig}", *options)
    ready = '{.items[*].status.conditions[?(@.type=="Ready")].status}'
    wait_for(lambda: plane.kubectl("get", "nodes", "-o", f"jsonpath={ready}").stdout.split() == ["True"] * 4, "the nodes", 60)


def _node(name: str, zone: str, extra: Manifest | None = None) -> Manifest:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": zone,
    }
    room = {"cpu": "32", "memory": "128Gi", "ephemeral-storage": "500Gi", "pods": "110", **(extra or {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": room, "capacity": room},
    }
