"""Is a process still the one that was meant? A pid comes back; a pid with its start time does not."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None where there is none or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(pid: int, ticks: int) -> bool:
    """Whether the process that started at ``ticks`` still runs."""
    return start_ticks(pid) == ticks


def end(pid: int, ticks: int, timeout: float, sig: signal.Signals = signal.SIGTERM) -> bool:
    """Sends a signal to exactly this process and awaits its end; False when ``timeout`` seconds were not enough.

    Raises:
        PermissionError: the process belongs to somebody else.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        # The handle names one process for good: checked after opening, nothing can take its place.
        if not is_alive(pid, ticks):
            return True
        signal.pidfd_send_signal(handle, sig)
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        return bool(poller.poll(timeout * 1000))
    finally:
        os.close(handle)


def kill(pid: int, ticks: int) -> None:
    """Makes an end of exactly this process."""
    end(pid, ticks, timeout=10.0, sig=signal.SIGKILL)
