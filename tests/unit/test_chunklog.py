"""What the budget asks Kafka, with a client that fails as librdkafka's does."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.chunklog import ChunkLog

PLACE = ("media.chunks.audio", 0)


class Admin:
    """Answers list_offsets with one error for as long as it lives, or with 7."""

    def __init__(self, code: int | None) -> None:
        self.code = code

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Any]]:
        answers = {tp: Future[Any]() for tp in asked}
        for future in answers.values():
            if self.code is None:
                future.set_result(SimpleNamespace(offset=7))
            else:
                future.set_exception(KafkaException(KafkaError(self.code)))
        return answers


def log_of(monkeypatch: pytest.MonkeyPatch, *codes: int | None) -> ChunkLog:
    """A log whose clients fail with these codes, one client after the other."""
    clients = iter([Admin(code) for code in codes])
    monkeypatch.setattr(ChunkLog, "_connected", lambda _: next(clients))
    return ChunkLog("nowhere:1")


@pytest.mark.parametrize("code", [KafkaError.FENCED_LEADER_EPOCH, KafkaError._TIMED_OUT])
def test_an_old_leaders_epoch_is_cured_by_another_client(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    log = log_of(monkeypatch, code, None)
    with pytest.raises(KafkaException):
        log.starts([PLACE])
    assert log.starts([PLACE]) == {PLACE: 7}


def test_other_errors_keep_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(monkeypatch, KafkaError._ALL_BROKERS_DOWN)
    for _ in range(3):
        with pytest.raises(KafkaException):
            log.starts([PLACE])
