"""Runs a command that dies with its parent: ``python tether.py PARENT_PID SIGNAL COMMAND…`` becomes the command.

The parent-death signal is set here, between fork and exec, because a ``preexec_fn`` is unsafe in a process with threads.
Only the standard library is imported, so that it costs some 15 ms. The kernel sends the signal when the *thread* that
started the process ends: start processes from the main thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def tethered(command: Sequence[str], sig: signal.Signals = signal.SIGKILL) -> list[str]:
    """The command line that runs ``command`` and sends it ``sig`` when this process ends, however it ends."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(sig)), *command]


def tie_to_parent(parent: int, sig: int) -> bool:
    """Asks the kernel for ``sig`` at the parent's death; False when the parent is gone already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    return os.getppid() == parent


def main() -> None:
    """Ties this process to its parent and becomes the command."""
    parent, sig, *command = sys.argv[1:]
    if not tie_to_parent(int(parent), int(sig)):
        os.kill(os.getpid(), int(sig))
    os.execvpe(command[0], command, os.environ)


if __name__ == "__main__":
    main()
