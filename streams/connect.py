"""Connections for administration: a quiet admin client, and whether a cluster serves (a metadata answer, never a sleep)."""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

_QUIET = logging.getLogger("dailies.kafka-client")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


def admin_client(bootstrap: str, **config: Any) -> AdminClient:
    """An admin client that keeps its own connection trouble to itself: what it asks for raises anyway."""
    return AdminClient({"bootstrap.servers": bootstrap, "socket.connection.setup.timeout.ms": 2000, **config}, logger=_QUIET)


def cluster_id(bootstrap: str, timeout: float = 1.0) -> str | None:
    """The id of the cluster that answers there with at least one broker, or None."""
    try:
        client = admin_client(bootstrap, **{"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100})
        metadata = client.list_topics(timeout=timeout)
    except KafkaException:
        return None
    return str(metadata.cluster_id) if metadata.brokers else None
