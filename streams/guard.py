"""The guard: the one place that decides when a message is done with. Every Faust agent runs inside it.

The order of one message, and what a kill between two steps leaves behind:

1. note the attempt on disk, where a ledger is given      (killed: it is tried again, and counted)
2. run the handler, which awaits the delivery of its results; on failure wait and go back to 1
3. attempts used up: the handler's ``given_up`` says so to whom it concerns, then the dead letter (killed: both again)
4. wait until every table's changelog is in Kafka          (killed: the message is handled again)
5. settle the message, which lets its offset be committed  (killed before the commit: the message is handled again)

What cannot be made safe (no dead letter can be written, a table's changelog is rejected, the GPU's context is lost) ends the
process at once, so that nothing further is committed; whoever supervises it starts another.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn, cast

import faust
from faust.types import EventT, StreamT

from schemas.errors import DailiesError, SetupError, WireError
from streams.attempts import AttemptLedger
from streams.deadletters import DeadLetters
from streams.durable import DurableTable
from streams.flow import Consumer
from streams.log import get_logger
from streams.record import Record
from streams.surroundings import patience

EXIT_SOFTWARE = 70
"""The exit status of a process that ended itself."""

Handler = Callable[[Record], Awaitable[None]]
GivenUp = Callable[[Record, BaseException, int], Awaitable[None]]
Agent = Callable[[StreamT[bytes]], Awaitable[None]]

logger = get_logger(__name__)


class ProcessLost(DailiesError):
    """The process can do no more work, whatever the message (a CUDA context after a fault): it must end."""


class Killed(DailiesError):
    """The message was begun as often as allowed, and each time the process ended before it was done."""


class Outcome(StrEnum):
    """How a message was settled."""

    DONE = "done"
    """The handler succeeded."""
    DEAD_LETTER = "dead_letter"
    """It was given up; its dead letter is in Kafka."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a message is tried and how long to wait before each further try, in seconds (the last one repeats).

    ``refused`` is for how long a record that an output topic refuses is tried, beyond the attempts. What is no fault of the
    message at all (:mod:`streams.surroundings`) is tried without end, and counts as no attempt.
    """

    attempts: int = 3
    waits: tuple[float, ...] = (0.2, 1.0, 5.0)
    refused: float = 0.0

    def wait(self, attempts: int) -> float:
        """The wait after that many attempts."""
        return self.waits[min(attempts, len(self.waits)) - 1]


def end_process(reason: str, error: BaseException) -> NoReturn:
    """End this process without acknowledging anything: no clean-up runs, so nothing is committed on the way out."""
    logger.critical("the process ends itself", reason=reason, error=repr(error), exc_info=error)
    logging.shutdown()
    os._exit(EXIT_SOFTWARE)


@dataclass(frozen=True, slots=True)
class Guard:
    """Runs handlers so that no message is lost, skipped or tried for ever. One instance serves all agents of an app.

    ``tables`` are flushed before each ack. ``ledger`` counts attempts across the deaths of the process. ``settled`` is told of
    each message that is done with, ``retried`` of each failed attempt that is followed by another (metrics and liveness hang
    on them).
    """

    app: faust.App
    stage: str
    dead_letters: DeadLetters
    retries: Retries = Retries()
    tables: Sequence[DurableTable[Any, Any]] = ()
    ledger: AttemptLedger | None = None
    settled: Callable[[Record, Outcome], None] | None = None
    retried: Callable[[str], None] | None = None
    end: Callable[[str, BaseException], NoReturn] = field(default=end_process)

    def __post_init__(self) -> None:
        for table in self.tables:
            if self.app.tables.get(table.name) is not table:
                raise SetupError(f"table {table.name} is unknown to its app and would never recover: make it with app.Table(…)")

    def agent(self, handle: Handler, *, given_up: GivenUp | None = None) -> Agent:
        """The body of an agent that runs ``handle`` on every record: ``app.agent(topic)(guard.agent(handle))``.

        ``handle`` must send with :func:`streams.app.publish`, which waits for the delivery. ``WireError`` from it
        goes to the dead letters at once, any other ``Exception`` after the retries; ``ProcessLost`` ends the process.
        ``given_up`` is awaited before the dead letter is written.
        """

        async def body(stream: StreamT[bytes]) -> None:
            async for event in stream.events():
                await self.process(event, handle, given_up)

        body.__name__ = getattr(handle, "__name__", "agent").lstrip("_")
        return body

    async def process(self, event: EventT[Any], handle: Handler, given_up: GivenUp | None = None) -> None:
        """Handle one event and settle it. Raises nothing but cancellation, which leaves it unsettled."""
        record = Record.from_event(event)
        outcome = await self._attempt(record, handle, given_up)
        for table in self.tables:
            try:
                await table.flushed()
            except Exception as error:  # the table in memory is ahead of its changelog: only a recovery mends that
                self.end(f"the changelog of table {table.name} was not delivered", error)
        if self.ledger is not None:
            self.ledger.done(record.delivery)
        cast(Consumer, self.app.consumer).settle(event.message)
        if self.settled is not None:
            self.settled(record, outcome)

    async def _attempt(self, record: Record, handle: Handler, given_up: GivenUp | None) -> Outcome:
        attempts = tries = 0
        waited = 0.0
        while True:
            attempts = self.ledger.begin(record.delivery) if self.ledger is not None else attempts + 1
            tries += 1
            error: Exception
            if attempts > self.retries.attempts:
                attempts, error = attempts - 1, Killed("each attempt ended the process")
                break
            try:
                await handle(record)
                return Outcome.DONE
            except ProcessLost as lost:
                self.end("it can do no more work", lost)
            except Exception as caught:  # nothing may leave an agent: Faust would skip the message and commit it
                error = caught
                self._log_failure(record, caught, attempts)
            limit, wait = patience(error, self.retries.refused), self.retries.wait(tries)
            if waited < limit:
                attempts -= 1
                if self.ledger is not None:
                    self.ledger.withdraw(record.delivery)
                # Of the patience with a refusal only waits after refusals are taken, not the time that Kafka was away.
                waited += wait if math.isfinite(limit) else 0.0
                await asyncio.sleep(wait)
                continue
            if isinstance(error, WireError) or attempts >= self.retries.attempts:
                break
            if self.retried is not None:
                self.retried(record.topic)
            await asyncio.sleep(self.retries.wait(attempts))
        await self._give_up(record, error, attempts, given_up)
        return Outcome.DEAD_LETTER

    async def _give_up(self, record: Record, error: Exception, attempts: int, given_up: GivenUp | None) -> None:
        try:
            if given_up is not None:
                await given_up(record, error, attempts)
            await self.dead_letters.send(record, stage=self.stage, attempts=attempts, error=error)
        except Exception as failure:  # with no trace of the message in Kafka it must not be acknowledged
            self.end(f"the dead letter of {record.place} was not delivered", failure)
        logger.error("gave a message up", place=record.place, attempts=attempts, error=repr(error))

    def _log_failure(self, record: Record, error: Exception, attempts: int) -> None:
        expected = isinstance(error, DailiesError)
        logger.warning(
            "an attempt failed", place=record.place, attempts=attempts, error=repr(error), exc_info=None if expected else error
        )
