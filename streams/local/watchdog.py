"""Watches a role from outside: asks whether it lives, never waits for the answer, says when it was silent for too long."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future

import orjson

Address = tuple[str, int]
"""Host and port where a role answers."""

EVERY_SECONDS = 5.0
"""How often a role is asked; oftener where the patience is short."""

ANSWER_SECONDS = 3.0
"""How long one answer may take; less where the patience is short."""

START_SECONDS = 240.0
"""What is added to the patience while a role starts: to load a model may hold up its every thread on a busy machine."""

FAILURES = 3
"""So many answers in a row must fail, however long they took."""

Ask = Callable[[Address, float], str | None]


def ask(address: Address, timeout: float) -> str | None:
    """Ask a role whether it lives: None if it does, else why not. Raises nothing; ``timeout`` is in seconds."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        connection.request("GET", "/live")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return f"it gives no answer ({error!r})"
    finally:
        connection.close()
    return None if response.status == http.client.OK else _reason(response.status, body)


def _reason(status: int, body: bytes) -> str:
    try:
        return str(orjson.loads(body)["reason"])
    except (ValueError, KeyError, TypeError):
        return f"it answers with status {status}"


class Watchdog:
    """The watch over one process. :meth:`look` is called again and again, and returns at once.

    ``patience`` is how long, in seconds, a role may give no answer, or say that it is not alive; ``executor`` asks, in threads
    of its own; ``clock`` gives monotonic seconds.
    """

    def __init__(
        self, patience: float, executor: Executor, *, ask: Ask = ask, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience = patience
        self._every, self._timeout = min(EVERY_SECONDS, patience / 4), min(ANSWER_SECONDS, patience / 4)
        self._executor = executor
        self._ask = ask
        self._clock = clock
        self._reset(None)

    def _reset(self, address: Address | None) -> None:
        self._address = address
        self._asked: Future[str | None] | None = None
        self._asked_at = -self._every
        self._failing_since: float | None = None
        self._failures = 0

    def look(self, address: Address | None, *, starting: bool = False) -> str | None:
        """Why the process at this address is to be started again; None while there is no reason, or no address."""
        if address != self._address:
            self._reset(address)
        if address is None:
            return None
        now = self._clock()
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            if (why := asked.result()) is not None:
                return self._failed(why, now, self._patience + (START_SECONDS if starting else 0.0))
            self._failing_since, self._failures = None, 0
        if self._asked is None and now - self._asked_at >= self._every:
            self._asked_at = now
            self._asked = self._executor.submit(self._ask, address, self._timeout)
        return None

    def _failed(self, why: str, now: float, patience: float) -> str | None:
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = self._asked_at
        silent = now - self._failing_since
        return f"not alive for {silent:.0f} s: {why}" if self._failures >= FAILURES and silent >= patience else None
