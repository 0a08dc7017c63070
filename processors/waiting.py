"""Signs of life while a process waits on a network, so that silence means the work stands still and not the network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGN_SECONDS = 0.5
MOST_SECONDS = 600.0
"""Whoever waits on one answer for longer gives no sign any more: a source that trickles must not hold a process for good."""

Sign = Callable[[], None]


@contextmanager
def signs_of_life(sign: Sign | None, *, every: float = SIGN_SECONDS, at_most: float = MOST_SECONDS) -> Iterator[None]:
    """Call ``sign`` from another thread every so many seconds while the body runs; never once it has ended."""
    if sign is None:
        yield
        return
    done = threading.Event()

    def give() -> None:
        deadline = time.monotonic() + at_most
        while not done.wait(every) and time.monotonic() < deadline:
            sign()

    thread = threading.Thread(target=give, name="signs-of-life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
