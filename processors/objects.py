"""Sources that are read by byte ranges, with few requests, and with patience where the other side is away for a while."""

from __future__ import annotations

import errno
import io
import random
import time
from collections.abc import Callable
from typing import TypeVar

from processors.readahead import ReadAhead
from processors.source import Source
from processors.waiting import Sign, signs_of_life

T = TypeVar("T")

PATIENCE_SECONDS = 300.0
"""For how long an object store that does not answer, or is busy, is asked again. Probing has a limit of its own."""
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 10.0


def patiently(ask: Callable[[], T], *, seconds: float = PATIENCE_SECONDS) -> T:
    """What ``ask`` gives; it is asked again where it raises a ``ConnectionError`` or ``TimeoutError``, for so many seconds.

    The waits grow from 0.2 s to 10 s and are spread at random, so that the clients of a store that comes back do not all
    come at once. Raises what the last try raised.
    """
    deadline = time.monotonic() + seconds
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            return ask()
        except (ConnectionError, TimeoutError):
            if time.monotonic() + wait > deadline:
                raise
        time.sleep(wait * random.uniform(0.5, 1.0))
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


class RangedSource(Source):
    """A source of ``size`` bytes that ``fetch(start, end)`` gives in pieces; at most 40 MiB of them are kept."""

    def __init__(self, uri: str, size: int, version: str, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self.uri = uri
        self.name = uri.partition("?")[0].rpartition("/")[2]
        self.size = size
        self._size = size
        self.version = version
        self._at = 0
        self._fetch_part = fetch
        self._sign: Sign | None = None
        self._cache = ReadAhead(self._missing, size)

    def while_waiting(self, sign: Sign) -> None:
        """Call ``sign`` now and then while an answer is waited for."""
        self._sign = sign

    def _missing(self, start: int, end: int) -> bytes:
        with signs_of_life(self._sign):
            return self._fetch_part(start, end)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; before the start it gives ``-EINVAL``, for which see :meth:`FileSource.seek`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            return -errno.EINVAL
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Up to ``size`` bytes; none at the end."""
        end = self._size if size is None or size < 0 else min(self._size, self._at + size)
        data = self._cache.read(self._at, end)
        self._at += len(data)
        return data
