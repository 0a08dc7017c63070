"""Waiting for signals: a stop request and a child's death both end a wait at once."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType
from typing import Self

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Notes stop signals while it is entered, and wakes ``wait`` for them and for SIGCHLD. Main thread only."""

    def __init__(self) -> None:
        self.stops = 0
        """How many stop signals came: one asks for an orderly end, a second one for haste."""

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._old = {sig: signal.getsignal(sig) for sig in (*STOPPING, signal.SIGCHLD)}
        for sig in STOPPING:
            # Who started us with hang-ups ignored (nohup) wants to keep it so.
            if self._old[sig] is not signal.SIG_IGN:
                signal.signal(sig, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for sig, handler in self._old.items():
            signal.signal(sig, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> None:
        """Returns after ``seconds``, or as soon as a signal comes."""
        select.select([self._read], [], [], seconds)
        try:
            while os.read(self._read, 512):
                pass
        except BlockingIOError:
            return

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stops += 1
