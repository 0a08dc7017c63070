"""What is no fault of a message is waited out: a full disk, a Kafka that is away, a topic that refuses records for a while."""

from __future__ import annotations

import errno
import math

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError, NotLeaderForPartitionError

from schemas.errors import WireError
from streams.surroundings import patience


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "no space left"),
        OSError(errno.EFBIG, "file too large"),
        KafkaTimeoutError(),
        KafkaConnectionError(),
        NotLeaderForPartitionError(),
    ],
)
def test_what_every_message_would_meet_is_waited_out(error: Exception) -> None:
    assert patience(error) == math.inf


def test_a_refused_record_has_its_time() -> None:
    assert patience(MessageSizeTooLargeError(), 7.0) == 7.0


@pytest.mark.parametrize("error", [ValueError(), WireError("no"), FileNotFoundError(errno.ENOENT, "gone")])
def test_a_messages_own_failure_is_no_matter_of_patience(error: Exception) -> None:
    assert patience(error) == 0.0
