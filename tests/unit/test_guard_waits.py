"""What the guard waits out counts as no attempt of the message; what is the message's own does."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import faust
import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from streams.attempts import AttemptLedger
from streams.deadletters import DeadLetters
from streams.guard import Guard, Outcome, Retries
from streams.record import Record

RECORD = Record(topic="t", partition=0, offset=7, key=None, value=b"v", headers={})
FULL = OSError(errno.ENOSPC, "no space left on device")


class Letters:
    """Dead letters, with what was said of each."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Exception]] = []

    async def send(self, record: Record, *, attempts: int, error: Exception, **_: Any) -> None:
        self.sent.append((attempts, error))


class Bench:
    """A guard that keeps its attempts on disk, and a handler that raises one error after the other, then none."""

    def __init__(self, folder: Path, refused: float = 60.0) -> None:
        self.letters = Letters()
        self.ledger = AttemptLedger(folder, 2)
        self.guard = Guard(
            cast(faust.App, None), "test", cast(DeadLetters, self.letters), Retries(2, (0.001,), refused), ledger=self.ledger
        )

    def outcome(self, errors: Iterator[Exception]) -> Outcome:
        async def handle(record: Record) -> None:
            for error in errors:
                raise error.with_traceback(None)  # or what is logged of it grows with each attempt

        return asyncio.run(self.guard._attempt(RECORD, handle, None))


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **options: Bench(tmp_path, **options)


@pytest.mark.parametrize("error", [FULL, KafkaTimeoutError(), MessageSizeTooLargeError()])
def test_what_is_waited_out_is_no_attempt(bench: Callable[..., Bench], error: Exception) -> None:
    made = bench()
    assert made.outcome(iter([error] * 7)) is Outcome.DONE
    assert made.letters.sent == []
    assert made.ledger.begin(RECORD.delivery) == 1 + 1  # the one that succeeded, and this one


def test_the_messages_own_errors_are_counted_between_them(bench: Callable[..., Bench]) -> None:
    made, own = bench(), ArithmeticError("its own")
    assert made.outcome(iter([FULL, own, FULL, FULL, own, FULL])) is Outcome.DEAD_LETTER
    assert made.letters.sent == [(2, own)]


def test_a_record_that_stays_refused_is_given_up(bench: Callable[..., Bench]) -> None:
    made, refused = bench(refused=0.004), MessageSizeTooLargeError()
    assert made.outcome(iter([refused] * 100)) is Outcome.DEAD_LETTER
    assert made.letters.sent == [(2, refused)]


def test_the_time_that_kafka_is_away_is_no_time_of_refusal(tmp_path: Path) -> None:
    made, refused = Bench(tmp_path, refused=0.008), MessageSizeTooLargeError()

    def errors() -> Iterator[Exception]:
        yield refused
        time.sleep(0.1)  # a request that the broker did not answer
        yield KafkaTimeoutError()
        yield from [refused] * 5

    assert made.outcome(errors()) is Outcome.DONE
    assert made.letters.sent == []
