"""Runs of frames that were scanned alike: an even hand between what speaks for it and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from processors.signals.scan_rows import Row

CAP = 12
"""After so many frames of another kind in a row a run has ended."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of frames of one kind: raw ticks and rows, half-open, from the first of them to the last.

    ``held`` counts them; ``near`` and ``own`` sum their lesser alpha and delta; ``interlaced`` is the first one's own word.
    ``score`` is what the run has on its side; ``told`` the codes under which it is known outside.
    """

    start: int
    end: int
    row: int
    end_row: int
    interlaced: bool
    held: int = 0
    near: float = 0.0
    own: float = 0.0
    score: int = 0
    told: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the inverse is :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any] | None) -> Run | None:
        """The inverse of :meth:`to_json`; ``None`` of none."""
        return None if body is None else cls(**{**body, "told": tuple(body["told"])})


def follow(run: Run | None, row: Row, *, speaks: int) -> tuple[Run | None, Run | None]:
    """The run after the next row, and the one that has ended with it.

    ``speaks`` is 1 where the row is of the run's kind, -1 where it is of another, 0 where it says nothing: that ends no run
    and makes it no longer.
    """
    if speaks > 0:
        run = run or Run(row.start, row.start, row.row, row.row, row.interlaced)
        grown = replace(
            run,
            end=row.end,
            end_row=row.row + 1,
            held=run.held + 1,
            near=run.near + row.near,
            own=run.own + row.own,
            score=min(CAP, run.score + 1),
        )
        return grown, None
    if run is None or speaks == 0:
        return run, None
    return (replace(run, score=run.score - 1), None) if run.score > 1 else (None, run)
