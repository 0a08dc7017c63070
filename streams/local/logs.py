"""Log files of the local stack's processes: rotated by size at a start, and their last lines for an error message."""

from __future__ import annotations

from pathlib import Path

ROTATE_BYTES = 8 << 20
KEPT = 3


def rotate(log: Path, limit: int = ROTATE_BYTES, kept: int = KEPT) -> None:
    """Moves a log of at least ``limit`` bytes to ``.1``, older ones one up, and forgets the oldest; makes the folder."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if not log.exists() or log.stat().st_size < limit:
        return
    for number in range(kept - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.replace(log.with_name(f"{log.name}.1"))


def tail(log: Path, lines: int = 20, window: int = 16 << 10) -> str:
    """The last lines of a log, or a note that there are none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - window))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        text = ""
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"
