"""Counts attempts on disk before the work starts, so that work which kills its process is known when it comes back."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from schemas.ids import digest


class AttemptLedger:
    """Attempts by key, one small file each: a line is appended at each beginning, and the file goes when the work is done.

    A killed process leaves its file behind; whoever is given the same work next, on the same ``folder``, finds it. Nothing
    is synced: this outlives the process, not the machine. ``limit`` is how many attempts there may be.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.limit = limit
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self, key: str) -> int:
        """Note an attempt; returns how many there are, this one included. More than ``limit``: do not try again."""
        line = (key.replace("\n", " ") + "\n").encode()
        descriptor = os.open(self._path(key), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, line)
            return os.fstat(descriptor).st_size // len(line)
        finally:
            os.close(descriptor)

    def done(self, key: str) -> None:
        """Forget a key: the work is done, or given up for good."""
        self._path(key).unlink(missing_ok=True)

    def withdraw(self, key: str) -> None:
        """Take the last attempt back: it was ended from outside (a shutdown, a rebalance) and proves nothing of the work."""
        length = len((key.replace("\n", " ") + "\n").encode())
        path = self._path(key)
        with suppress(FileNotFoundError):
            size = path.stat().st_size - length
            if size > 0:
                os.truncate(path, size)
            else:
                path.unlink()

    def _path(self, key: str) -> Path:
        return self._folder / digest(key.encode())
