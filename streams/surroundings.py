"""Errors that say nothing of the message being worked on: the disk is full, Kafka is away, or an output topic refuses."""

from __future__ import annotations

import errno
import math

from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, RequestTimedOutError

REFUSED_SECONDS = 60.0
"""How long a record that an output topic refuses is tried again: settings get mended, but one record may also be too large."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})


def patience(error: BaseException, refused: float = REFUSED_SECONDS) -> float:
    """For how many seconds to wait and try the same message again before it is the message's failure.

    Without end where the disk has no room or Kafka does not answer: every other message would fare alike, and waiting loses
    nothing. ``refused`` where a topic does not take a record. 0 for every other error.
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        return math.inf
    if isinstance(error, KafkaTimeoutError | KafkaConnectionError | RequestTimedOutError):
        return math.inf
    if isinstance(error, KafkaError):
        return math.inf if error.retriable else refused
    return 0.0
