"""Topics are made on a cluster whose only broker is fenced for a moment."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.errors import BrokerError
from streams import admin
from streams.topics import REACTIONS, UPLOADS

FENCED = (
    "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their log directories cordoned."
)
TOO_FEW = "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached"


class Cluster:
    """Refuses a topic as often as it is told to, with a reason."""

    def __init__(self, reason: str, refusals: dict[str, int]) -> None:
        self.reason, self.refusals = reason, refusals

    def create_topics(self, new: Sequence[NewTopic], **_: Any) -> dict[str, Future[None]]:
        return {topic.topic: self._answer(topic.topic) for topic in new}

    def _answer(self, name: str) -> Future[None]:
        answer = Future[None]()
        if self.refusals.get(name, 0):
            self.refusals[name] -= 1
            answer.set_exception(KafkaException(KafkaError(KafkaError.INVALID_REPLICATION_FACTOR, self.reason)))
        else:
            answer.set_result(None)
        return answer


def test_a_fenced_broker_is_waited_for() -> None:
    cluster = Cluster(FENCED, {REACTIONS.name: 2})
    assert admin._create(cast(AdminClient, cluster), [UPLOADS, REACTIONS]) == [UPLOADS.name, REACTIONS.name]
    assert cluster.refusals == {REACTIONS.name: 0}


def test_too_few_brokers_are_not() -> None:
    with pytest.raises(BrokerError, match="replication factor of 3 cannot be reached"):
        admin._create(cast(AdminClient, Cluster(TOO_FEW, {UPLOADS.name: 1})), [UPLOADS])


def test_a_broker_that_stays_fenced_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "VISIBLE_SECONDS", 0.2)
    with pytest.raises(BrokerError, match="All brokers are currently fenced"):
        admin._create(cast(AdminClient, Cluster(FENCED, {UPLOADS.name: 10**6})), [UPLOADS])
