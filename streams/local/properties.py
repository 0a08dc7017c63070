"""The settings of the local Kafka: one node in KRaft combined mode, for one machine and a small heap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.local.ports import LOOPBACK
from streams.topics import MAX_MESSAGE_BYTES, MIB

SEGMENT_BYTES = 16 * MIB
"""A log segment. Deleting records frees whole closed segments, so small ones give the disk back soon."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Another listener on a loopback port, for clients that reach it through a tunnel or a proxy, or speak another protocol.

    Kafka tells each client where to connect: these are told ``advertised`` (``host:port``), the tunnel's other end. The n-th of
    a broker is called ``TUNNELn`` in Kafka's properties.
    """

    port: int
    advertised: str
    protocol: str = "PLAINTEXT"


def server_properties(
    data: Path, port: int, controller_port: int, tunnels: Sequence[Tunnel] = (), more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Kafka's ``server.properties`` for a broker and controller on loopback; ``more`` adds to them, and wins."""
    inner = {"PLAINTEXT": f"{LOOPBACK}:{port}"} | {f"TUNNEL{n}": f"{LOOPBACK}:{t.port}" for n, t in enumerate(tunnels)}
    outer = {"PLAINTEXT": f"{LOOPBACK}:{port}"} | {f"TUNNEL{n}": t.advertised for n, t in enumerate(tunnels)}
    protocols = {f"TUNNEL{n}": t.protocol for n, t in enumerate(tunnels)}
    listeners = {**inner, "CONTROLLER": f"{LOOPBACK}:{controller_port}"}
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": _addresses(listeners),
        "advertised.listeners": _addresses(outer),
        "listener.security.protocol.map": ",".join(f"{name}:{protocols.get(name, 'PLAINTEXT')}" for name in listeners),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        # A static voter: its address lies here and not in the data, so another start may use another port.
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        **_one_node(),
        **_sizes(),
        **_prompt_deletion(),
        **(more or {}),
    }


def _addresses(listeners: Mapping[str, str]) -> str:
    return ",".join(f"{name}://{address}" for name, address in listeners.items())


def _one_node() -> dict[str, str]:
    """Everything internal with one replica and few partitions; no wait for members that will not come."""
    return {
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "2",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "2",
        "group.initial.rebalance.delay.ms": "0",
    }


def _sizes() -> dict[str, str]:
    """The largest record of any topic passes; buffers fit the heap."""
    return {
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.response.max.bytes": str(2 * MAX_MESSAGE_BYTES),
        "log.cleaner.dedupe.buffer.size": str(16 * MIB),
    }


def _prompt_deletion() -> dict[str, str]:
    """Records that were deleted leave the disk within seconds, not after the default minutes."""
    return {
        "log.segment.bytes": str(SEGMENT_BYTES),
        "log.index.size.max.bytes": str(MIB),
        "log.initial.task.delay.ms": "5000",
        "log.retention.check.interval.ms": "5000",
        "log.segment.delete.delay.ms": "1000",
    }


def render(properties: Mapping[str, str]) -> str:
    """Java's properties syntax; a backslash in a value (a path) is doubled."""
    return "".join(f"{key}={value}\n" for key, value in properties.items()).replace("\\", "\\\\")
