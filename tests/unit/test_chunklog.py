"""What the budget asks Kafka, with a client that fails as librdkafka's does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.chunklog import ChunkLog
from streams.connect import answer

PLACE = ("media.chunks.audio", 0)


class Admin:
    """Answers every request with one error for as long as it lives, or as a cluster does."""

    def __init__(self, code: int | None) -> None:
        self.code = code

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Any]]:
        return {tp: self._answer(offset=7) for tp in asked}

    def describe_consumer_groups(self, asked: Sequence[str], **_: Any) -> dict[str, Future[Any]]:
        return {group: self._answer(members=["one", "two"]) for group in asked}

    def delete_records(self, asked: Sequence[TopicPartition], **_: Any) -> dict[TopicPartition, Future[Any]]:
        return {tp: self._answer(low_watermark=tp.offset) for tp in asked}

    def _answer(self, **found: Any) -> Future[Any]:
        future = Future[Any]()
        if self.code is None:
            future.set_result(SimpleNamespace(**found))
        else:
            future.set_exception(KafkaException(KafkaError(self.code)))
        return future


def log_of(monkeypatch: pytest.MonkeyPatch, *codes: int | None) -> ChunkLog:
    """A log whose clients fail with these codes, one client after the other."""
    clients = iter([Admin(code) for code in codes])
    monkeypatch.setattr(ChunkLog, "_connected", lambda _: next(clients))
    return ChunkLog("nowhere:1")


@pytest.mark.parametrize("code", [KafkaError.FENCED_LEADER_EPOCH, KafkaError._TIMED_OUT])
@pytest.mark.parametrize(
    ("ask", "found"),
    [
        (lambda log: log.starts([PLACE]), {PLACE: 7}),
        (lambda log: log.members(["decoders"]), {"decoders": 2}),
        (lambda log: log.delete({PLACE: 3}), {PLACE: 3}),
    ],
)
def test_a_client_that_lost_its_way_is_replaced(
    monkeypatch: pytest.MonkeyPatch, code: int, ask: Callable[[ChunkLog], object], found: object
) -> None:
    log = log_of(monkeypatch, code, None)
    with pytest.raises(KafkaException):
        ask(log)
    assert ask(log) == found


def test_other_errors_keep_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(monkeypatch, KafkaError._ALL_BROKERS_DOWN)
    for _ in range(3):
        with pytest.raises(KafkaException):
            log.starts([PLACE])


def test_a_client_that_gives_no_answer_is_a_request_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.connect.GRACE_SECONDS", 0.0)
    with pytest.raises(KafkaException, match="no answer") as raised:
        answer(Future(), 0.01)
    assert raised.value.args[0].code() == KafkaError._TIMED_OUT
