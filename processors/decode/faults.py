"""What went wrong while a job was decoded, gathered without growing with the damage."""

from __future__ import annotations

from schemas.manifest import DecodeError

MAX_ENTRIES = 500
"""A manifest must stay a message, however damaged its stream is."""

MAX_MESSAGE = 200

CONCEALED = "concealed by the decoder"
"""The message of rows that the decoder marked corrupt."""


LOST = "no picture came out of the decoder"
"""The message of frames that are lost without an error."""

MANY = "many errors from here on"


class FaultLog:
    """Decode errors in order. Neighbours of one kind become one entry; beyond ``MAX_ENTRIES`` the last one grows."""

    def __init__(self) -> None:
        self._entries: list[DecodeError] = []

    def add(self, message: str, first: int, end: int, pts: int | None = None, end_pts: int | None = None) -> None:
        """Note that the rows ``[first, end)`` of the stream are affected; ``pts`` and ``end_pts`` are raw."""
        message = message[:MAX_MESSAGE]
        last = self._entries[-1] if self._entries else None
        full = len(self._entries) >= MAX_ENTRIES
        if last is None or not (full or (last.message == message and last.first <= first <= last.end)):
            self._entries.append(DecodeError(first=first, end=end, pts=pts, end_pts=end_pts, message=message))
            return
        grown = {"end": max(last.end, end), "end_pts": _latest(last.end_pts, end_pts), "times": last.times + 1}
        self._entries[-1] = last.model_copy(update=grown | ({"message": MANY} if last.message != message else {}))

    def entries(self) -> tuple[DecodeError, ...]:
        """What was noted."""
        return tuple(self._entries)


def _latest(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def describe(error: BaseException) -> str:
    """One line about an error of FFmpeg, without what differs from run to run."""
    text = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {text}"


def reraise_memory(error: BaseException) -> None:
    """Running out of memory is the process's matter, not the stream's: FFmpeg's own such error goes on up."""
    if isinstance(error, MemoryError):
        raise error
