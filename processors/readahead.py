"""Byte ranges of a far object with few requests, as demuxers read: on and on, with looks at the start and the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MIB = 1 << 20

FIRST_BYTES = MIB
"""What is asked for at a place where nothing was read before: a guess that costs little where it is wrong."""
MOST_BYTES = 8 * MIB
"""The most that is asked for at once. A request that goes on where one ended asks for twice as much as that one, up to this."""
TAIL_BYTES = MIB
"""How much of the end is fetched with the first byte of it: indexes lie there (moov, cues, the footer of MXF)."""
SKIP_BYTES = MIB
"""Who skips less than this is still reading on: what is skipped is fetched too."""
KEPT_BYTES = 32 * MIB

Fetch = Callable[[int, int], bytes]


@dataclass(slots=True)
class _Span:
    start: int
    data: bytes
    used: int

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class ReadAhead:
    """The bytes of an object of ``size`` bytes; ``fetch(start, end)`` gives some of them, all or an exception.

    Several places may be read in turns, as those of streams that do not lie side by side: each keeps its own pace. The least
    recently read bytes beyond :data:`KEPT_BYTES` are dropped, the object's first and last ones never.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._spans: list[_Span] = []
        self._clock = 0

    def read(self, start: int, end: int) -> bytes:
        """The bytes ``[start, end)``, cut at the object's end."""
        end = min(end, self._size)
        parts = []
        while start < end:
            span = self._holding(start) or self._load(start, end)
            self._clock += 1
            span.used = self._clock
            parts.append(span.data[start - span.start : end - span.start])
            start += len(parts[-1])
        return b"".join(parts)

    def _holding(self, at: int) -> _Span | None:
        return next((span for span in self._spans if span.start <= at < span.end), None)

    def _load(self, at: int, wanted: int) -> _Span:
        start, length = self._place(at)
        end = min(self._size, max(start + length, min(wanted, at + MOST_BYTES)))
        following = min((span.start for span in self._spans if span.start > at), default=self._size)
        end = min(end, following)
        data = self._fetch(start, end)
        if len(data) != end - start:
            raise ConnectionError(f"{len(data)} bytes of {end - start} came")
        self._drop(len(data))
        span = _Span(start, data, self._clock)
        self._spans.append(span)
        return span

    def _place(self, at: int) -> tuple[int, int]:
        """Where to begin, and how many bytes to ask for."""
        if self._size <= 2 * FIRST_BYTES + TAIL_BYTES:
            return self._gap(at, 0), self._size
        before = max((span for span in self._spans if span.end <= at), key=lambda span: span.end, default=None)
        if before is not None and at - before.end <= SKIP_BYTES:
            return before.end, min(2 * len(before.data), MOST_BYTES) + at - before.end
        if at >= self._size - TAIL_BYTES:
            return self._gap(at, self._size - TAIL_BYTES), TAIL_BYTES
        return at, FIRST_BYTES

    def _gap(self, at: int, earliest: int) -> int:
        """The start of what is not there yet, from ``earliest`` on."""
        return max(earliest, *(span.end for span in self._spans if span.end <= at), 0)

    def _drop(self, coming: int) -> None:
        kept = sum(len(span.data) for span in self._spans) + coming
        for span in sorted(self._spans, key=lambda span: span.used):
            if kept <= KEPT_BYTES:
                return
            if span.start > 0 and span.end < self._size:
                self._spans.remove(span)
                kept -= len(span.data)
