"""The one place that makes Faust apps: every role's settings are the same, and none relies on Faust's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import faust
from faust.auth import Credentials, SSLCredentials
from faust.types import TopicT
from yarl import URL

from streams.durable import DurableTable
from streams.flow import Transport
from streams.groups import STATIC_SESSION_SECONDS
from streams.secure import Bootstrap, Security, cluster
from streams.settings import Settings
from streams.topics import MAX_MESSAGE_BYTES, MIB

BUFFERED_EVENTS = 16
"""Messages that wait in memory for each agent whose messages are small."""

BUFFERED_CHUNKS = 4
"""The same where one message is megabytes."""


def make_app(name: str, settings: Settings, *, bootstrap: Bootstrap, **overrides: Any) -> faust.App:
    """A Faust app of the consumer group ``name``, not yet started.

    ``bootstrap`` says where the cluster is and how to speak with it. ``overrides`` are Faust settings; a role of large messages
    passes ``stream_buffer_maxsize=BUFFERED_CHUNKS``. Topics are never created: ``dailies topics apply`` does that, the tables'
    changelogs among them.
    """
    folder = settings.data_dir.resolve() / "faust" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    there = cluster(bootstrap)
    options: dict[str, Any] = {
        "broker": [URL(f"kafka://{server.strip()}") for server in there.servers.split(",")],
        "broker_credentials": _credentials(there.security),
        "datadir": folder,
        "autodiscover": False,
        # What waits in memory, and when an offset is committed.
        "stream_buffer_maxsize": BUFFERED_EVENTS,
        "stream_wait_empty": True,
        "broker_commit_every": 1,
        "broker_commit_interval": 1.0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": MIB,
        # How fast a dead member is noticed, and how long a living one may take to finish its message.
        "broker_session_timeout": 10.0 if settings.instance_id is None else float(STATIC_SESSION_SECONDS),
        "consumer_group_instance_id": settings.instance_id,
        "broker_heartbeat_interval": 3.0,
        "broker_rebalance_timeout": 90.0,
        "broker_request_timeout": 90.0,
        "producer_request_timeout": 60.0,
        "producer_max_request_size": MAX_MESSAGE_BYTES,
        # All replicas, but not idempotent: after one refused record aiokafka's idempotent producer fails every later one
        # of that partition (OutOfOrderSequenceNumber). A repeated send does no harm here, and order is kept either way.
        "producer_acks": -1,
        "key_serializer": "raw",
        "value_serializer": "raw",
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "Table": DurableTable,
        "table_standby_replicas": 0,
        "web_enabled": False,
        "web_bind": "127.0.0.1",
        "web_tables_enabled": False,
    }
    app = faust.App(name, **(options | overrides))
    app.transport = Transport(app.conf.broker_consumer, app)
    return app


def _credentials(security: Security) -> Credentials | None:
    """What Faust hands to every consumer and producer that it makes."""
    context = security.context if security.tls else None
    if security.sasl:
        return faust.SASLCredentials(
            username=security.username, password=security.password(), mechanism=security.mechanism, ssl_context=context
        )
    return None if context is None else SSLCredentials(context)


def raw_topic(app: faust.App, *names: str) -> TopicT:
    """A topic object whose keys and values stay bytes: each role's typed codec decodes them inside the guard."""
    return app.topic(*names, key_type=bytes, value_type=bytes)


async def publish(
    app: faust.App,
    topic: str,
    key: bytes | None,
    value: bytes,
    headers: Mapping[str, bytes],
    *,
    partition: int | None = None,
) -> tuple[str, int, int]:
    """Send one record and wait until Kafka has it: its topic, partition and offset. Raises what the delivery raises.

    The one way to produce: Faust's own ``send`` returns when the record is queued, and its ``sink`` never waits.
    """
    sent = await (await app.producer.send(topic, key, value, partition, None, dict(headers)))
    return sent.topic, sent.partition, sent.offset
