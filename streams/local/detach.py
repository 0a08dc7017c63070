"""A supervisor in its own session: started so that it outlives the terminal, and ended by ``down``."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from schemas.errors import SetupError
from streams.local import pids, state
from streams.local.logs import rotate, tail
from streams.local.state import StackState
from streams.local.supervisor import StartFailed
from streams.settings import Settings

POLL_SECONDS = 0.05
DOWN_SECONDS = 90.0


def command(
    settings: Settings, *, workers: Mapping[str, int] | None = None, port: int | None = None, tied: bool = False
) -> list[str]:
    """The command line of a supervisor; a ``tied`` one ends with the process that starts it."""
    line = [sys.executable, "-m", "streams.cli", "up", "--tied" if tied else "--untied"]
    line += ["--data-dir", str(settings.data_dir.resolve())]
    line += ["--bootstrap", settings.bootstrap] if settings.bootstrap else []
    line += ["--port", str(port)] if port else []
    return line + [word for role, count in (workers or {}).items() for word in ("--workers", f"{role}={count}")]


def up(command: Sequence[str], data_dir: Path, on_change: Callable[[StackState], None] | None = None) -> StackState:
    """Starts ``command``, which runs a supervisor on ``data_dir``, and returns when its stack is ready.

    Ending this call (Ctrl-C) leaves the stack starting; ``down`` ends it.

    Raises:
        AlreadyUp: a stack runs on the folder.
        SetupError: it did not come up; with the cause.
    """
    data_dir = data_dir.resolve()
    with state.sole_owner(data_dir):
        state.forget(data_dir)
    log = data_dir / "logs" / "supervisor.log"
    rotate(log)
    with log.open("ab") as out:
        process = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    seen: StackState | None = None
    while True:
        ended = process.poll() is not None
        now = state.read(data_dir)
        if now is not None and now.pid == process.pid and now != seen:
            seen = now
            if on_change is not None:
                on_change(now)
        if seen is not None and seen.state == "ready":
            return seen
        if ended:
            raise StartFailed((seen and seen.error) or f"the supervisor ended while starting. The end of {log}:\n{tail(log)}")
        time.sleep(POLL_SECONDS)


def down(data_dir: Path, timeout: float = DOWN_SECONDS) -> StackState | None:
    """Ends the folder's stack and returns what it was, or None where nothing was up.

    Raises:
        SetupError: it belongs to somebody else.
    """
    running = state.running(data_dir)
    if running is None:
        return None
    try:
        if not pids.end(running.pid, running.started, timeout):
            # Every process of the stack dies with its supervisor, so even this leaves nothing behind.
            pids.kill(running.pid, running.started)
    except PermissionError as error:
        raise SetupError(f"the stack in {data_dir} belongs to another user (supervisor {running.pid}).") from error
    return running
