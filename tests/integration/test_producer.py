"""The producer on a real broker: every record's place is known, and a refused one is never passed over."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas.errors import DeliveryFailed
from streams import admin
from streams.local.broker import Broker
from streams.local.ports import free_ports
from streams.producer import Delivered, Deliveries, make_producer
from streams.topics import MAX_MESSAGE_BYTES, Topic

pytestmark = pytest.mark.kafka

TOPIC = Topic("test.producer", 8, "any")


@pytest.fixture(scope="module")
def bootstrap(kafka: Broker) -> Iterator[str]:
    admin.apply(kafka.bootstrap, [TOPIC])
    return kafka.bootstrap


def test_a_full_queue_is_waited_for_and_every_place_is_known(bootstrap: str) -> None:
    deliveries = Deliveries(make_producer(bootstrap, **{"queue.buffering.max.messages": 5}))
    for n in range(200):
        deliveries.produce(TOPIC.name, key=b"one", value=b"%d" % n, headers={}, token=n)
    places = deliveries.flush_all(60)
    offsets = [places[n].offset for n in range(200)]
    assert offsets == list(range(offsets[0], offsets[0] + 200))


def test_keys_land_where_faust_puts_them(bootstrap: str) -> None:
    deliveries = Deliveries(make_producer(bootstrap))
    keys = [f"asset-{n}/v0/{n}/7".encode() for n in range(100)]
    for key in keys:
        deliveries.produce(TOPIC.name, key=key, value=b"", headers={}, token=key)
    places = deliveries.flush_all(60)
    partitions = list(range(TOPIC.partitions))
    assert [places[key].partition for key in keys] == [DefaultPartitioner()(key, partitions, partitions) for key in keys]


@pytest.mark.parametrize("value", [b"abc", bytearray(b"abc"), memoryview(b"abc"), np.frombuffer(b"abc", np.uint8)])
def test_any_buffer_is_taken_and_a_report_says_where_it_is(bootstrap: str, value: object) -> None:
    reports: list[Delivered | None] = []
    deliveries = Deliveries(make_producer(bootstrap))
    deliveries.produce(TOPIC.name, key=b"k", value=value, headers={"h": b"v"}, token="it", on_report=reports.append)
    assert [deliveries.flush_all(60)["it"]] == reports


def test_what_the_client_refuses_fails_at_once(bootstrap: str) -> None:
    reports: list[Delivered | None] = []
    deliveries = Deliveries(make_producer(bootstrap))
    with pytest.raises(DeliveryFailed, match=TOPIC.name):
        deliveries.produce(TOPIC.name, key=b"k", value=bytes(MAX_MESSAGE_BYTES + 1), headers={}, on_report=reports.append)
    assert reports == [None]


def test_what_the_broker_refuses_fails_the_flush_and_all_that_follows(bootstrap: str) -> None:
    admin.apply(bootstrap, [small := Topic("test.producer.small", 1, "any")])
    deliveries = Deliveries(make_producer(bootstrap, **{"message.max.bytes": 2 * MAX_MESSAGE_BYTES}))
    deliveries.produce(small.name, key=b"k", value=b"good", headers={}, token="good")
    deliveries.produce(small.name, key=b"k", value=bytes(MAX_MESSAGE_BYTES + 1), headers={}, token="bad")
    with pytest.raises(DeliveryFailed, match="too large"):
        deliveries.flush_all(60)
    with pytest.raises(DeliveryFailed, match="too large"):
        deliveries.produce(small.name, key=b"k", value=b"late", headers={})


def test_a_broker_that_is_away_fails_the_flush_in_time() -> None:
    (port,) = free_ports(1)
    deliveries = Deliveries(make_producer(f"127.0.0.1:{port}"))
    deliveries.produce(TOPIC.name, key=b"k", value=b"v", headers={})
    with pytest.raises(DeliveryFailed, match="not acknowledged"):
        deliveries.flush_all(0.2)


def test_a_cancelled_flush_ends() -> None:
    (port,) = free_ports(1)
    cancelled = threading.Event()
    deliveries = Deliveries(make_producer(f"127.0.0.1:{port}"), cancelled=cancelled.is_set)
    deliveries.produce(TOPIC.name, key=b"k", value=b"v", headers={})
    cancelled.set()
    with pytest.raises(DeliveryFailed, match="given up"):
        deliveries.flush_all()
