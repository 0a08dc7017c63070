"""Writes the manifests that follow from the code: Kafka's topics and users for Strimzi, and what KEDA scales by.

    python -m scripts.generate_manifests

A test holds the committed files equal to what this writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from streams.acls import Acl, acls, task_groups
from streams.groups import DECODERS, PLANNERS, inference_group
from streams.topics import SEGMENTS, SEGMENTS_URGENT, TOPICS, UPLOADS, Topic

COMPONENTS = Path(__file__).resolve().parent.parent / "k8s" / "components"
HEADER = "# Written by `python -m scripts.generate_manifests` from {sources}. Not to be edited.\n"

CLUSTER = "dailies"
"""The Strimzi cluster's name; its bootstrap service and the secret of its certificate are called after it."""

MADE_OTHERWISE = {"topics"}
"""Principals that Strimzi needs no user for: its topic operator makes the topics."""

Manifest = dict[str, Any]


def topics() -> list[Manifest]:
    """A KafkaTopic for each topic. Replicas are the cluster's default, as with ``dailies topics apply``."""
    return [
        _manifest("kafka.strimzi.io/v1", "KafkaTopic", topic.name, {"partitions": topic.partitions, "config": topic.config()})
        for topic in TOPICS
    ]


def users() -> list[Manifest]:
    """A KafkaUser for each role, named ``dailies-ROLE``; how it proves who it is the overlay says."""
    return [
        _manifest(
            "kafka.strimzi.io/v1",
            "KafkaUser",
            f"dailies-{role}",
            {"authorization": {"type": "simple", "acls": [_rule(rule) for rule in rules]}},
        )
        for role, rules in acls().items()
        if role not in MADE_OTHERWISE
    ]


def _rule(rule: Acl) -> Manifest:
    pattern = "prefix" if rule.prefix else "literal"
    resource = {"type": rule.resource, "name": rule.name, "patternType": pattern}
    return {"resource": resource, "operations": [operation.value for operation in rule.operations], "host": "*"}


def scaled_objects() -> list[Manifest]:
    """A ScaledObject for each role without state, on the lag of each topic that its group reads.

    A worker's share of the lag (``lagThreshold``) is for a decoder its two children, for a planner a handful of probes, for
    signals two jobs' lead over their readers (``streams/decoder/pace.py``), for networks half a minute of chunks.
    """
    jobs = (SEGMENTS, SEGMENTS_URGENT)
    workers = [_scaled("planner", PLANNERS, [UPLOADS], share=5), _scaled("decoder", DECODERS, jobs, share=2)]
    shares = {"signals": 16}
    return workers + [
        _scaled(f"inference-{group}", inference_group(group), some, share=shares.get(group, 32), quick=True)
        for group, some in task_groups().items()
    ]


def _scaled(name: str, group: str, some: Iterable[Topic], *, share: int, quick: bool = False) -> Manifest:
    read = list(some)
    shrinking = {"stabilizationWindowSeconds": 600, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}]}
    growing = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}
    spec = {
        "scaleTargetRef": {"name": name},
        "pollingInterval": 15,
        "cooldownPeriod": 600,
        "minReplicaCount": 1,
        "maxReplicaCount": max(topic.partitions for topic in read),
        # Where the lag cannot be read, whoever works goes on.
        "fallback": {"failureThreshold": 4, "replicas": 1, "behavior": "currentReplicasIfHigher"},
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": growing, "scaleDown": shrinking}}},
        "triggers": [_trigger(group, topic, share, quick) for topic in read],
    }
    return _manifest("keda.sh/v1alpha1", "ScaledObject", name, spec, labels={})


def _trigger(group: str, topic: Topic, share: int, quick: bool) -> Manifest:
    """``quick``: who commits every few seconds, so that a partition which does not move is stuck, and no work for more."""
    metadata = {
        "bootstrapServers": f"{CLUSTER}-kafka-bootstrap.dailies.svc:9093",
        "consumerGroup": group,
        "topic": topic.name,
        "lagThreshold": str(share),
        # No producer here has transactions, so that no marker stays behind as a lag of 1: one record is work.
        "activationLagThreshold": "0",
        "offsetResetPolicy": "earliest",
        "allowIdleConsumers": "false",
        "limitToPartitionsWithLag": "true",
        "excludePersistentLag": str(quick).lower(),
        "tls": "enable",
    }
    return {"type": "kafka", "metadata": metadata, "authenticationRef": {"name": "kafka"}}


def _manifest(version: str, kind: str, name: str, spec: Manifest, labels: dict[str, str] | None = None) -> Manifest:
    labels = {"strimzi.io/cluster": CLUSTER} if labels is None else labels
    meta = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}


FILES = {
    "strimzi/topics.yaml": (topics, "streams/topics.py"),
    "strimzi/users.yaml": (users, "streams/acls.py"),
    "keda/scaledobjects.yaml": (scaled_objects, "streams/topics.py and the tasks' groups"),
}


def text(path: str) -> str:
    """What a file is to hold."""
    make, sources = FILES[path]
    body: str = yaml.safe_dump_all(make(), sort_keys=False, width=120)
    return HEADER.format(sources=sources) + body


def main() -> None:
    """Write them all."""
    for path in FILES:
        (COMPONENTS / path).write_text(text(path), encoding="utf-8")


if __name__ == "__main__":
    main()
