"""The chunk topics as an administrator sees them, while the broker has its troubles."""

from __future__ import annotations

import os
import signal
import time

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.chunklog import ChunkLog
from streams.topics import CHUNKS
from tests.kafka import BrokerFactory
from tests.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.chaos]

FROZEN_SECONDS = 14.0
"""Longer than the 9 s after which a controller takes a broker for dead."""

AWAKE_SECONDS = 10.0
TRIES = 3
"""Whether the broker's heartbeat or the controller's clock comes first when both wake is not ours to say."""

PLACES = [(CHUNKS["audio"].name, partition) for partition in range(CHUNKS["audio"].partitions)]


def test_a_broker_that_froze_is_asked_under_its_new_leader_epoch(new_broker: BrokerFactory) -> None:
    """A controller that wakes fences its broker: every partition has a leader anew, while connections stay."""
    broker = new_broker()
    log = ChunkLog(broker.bootstrap)
    refused: list[int] = []

    def starts() -> dict[tuple[str, int], int]:
        try:
            return log.starts(PLACES)
        except KafkaException as error:
            refused.append(error.args[0].code())
            return {}

    until(starts, "the first answer")
    refused.clear()
    for _ in range(TRIES):
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
        time.sleep(FROZEN_SECONDS)
        os.kill(broker.pid, signal.SIGCONT)
        deadline = time.monotonic() + AWAKE_SECONDS
        while time.monotonic() < deadline and KafkaError.FENCED_LEADER_EPOCH not in refused:
            starts()
        if KafkaError.FENCED_LEADER_EPOCH in refused:
            break
    assert KafkaError.FENCED_LEADER_EPOCH in refused, "the broker was never fenced"
    until(starts, "an answer after the broker woke")
