"""A decoder's client that has lost its brokers for good: the process ends, to be started again."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from confluent_kafka import KafkaException

from streams.decoder.source_of_jobs import LOST_SECONDS, JobSource
from streams.topics import SEGMENTS, SEGMENTS_URGENT

Told = Callable[[float, bool, bool], None]


@pytest.fixture
def told() -> Told:
    """``told(seconds, urgent, normal)``: what the two clients say of their brokers from there on; then the source is polled."""
    now = [0.0]
    source = JobSource("127.0.0.1:1", on_assigned=lambda: None, on_abandoned=lambda _: None, clock=lambda: now[0])

    def tell(seconds: float, urgent: bool, normal: bool) -> None:
        now[0] = seconds
        for topic, up in ((SEGMENTS_URGENT, urgent), (SEGMENTS, normal)):
            brokers = {"b": {"state": "UP" if up else "APIVERSION_QUERY"}}
            source._known(topic.name, orjson.dumps({"topics": {}, "brokers": brokers}).decode())
        source._check()

    return tell


def test_a_client_that_alone_reaches_no_broker_ends_the_process(told: Told) -> None:
    told(0, True, True)
    told(5, False, False)
    told(10, True, False)
    told(10 + LOST_SECONDS - 1, True, False)
    with pytest.raises(KafkaException, match=r"media\.segments reaches no broker"):
        told(10 + LOST_SECONDS, True, False)


def test_brokers_that_are_away_for_both_are_waited_for(told: Told) -> None:
    told(0, True, True)
    for seconds in (10, 1000):
        told(seconds, False, False)
    told(1001, True, False)
    told(1001 + LOST_SECONDS - 1, True, False)
    told(1001 + LOST_SECONDS, True, True)
    told(5000, True, True)
