"""Reports in child processes: no piece is lost or done twice where a child dies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.accuracy.children import each


def double(number: int, folder: str, deadly: Sequence[int]) -> int:
    """Twice the number; the first time that a deadly one is seen, the process ends instead."""
    mark = Path(folder) / str(number)
    if number in deadly and not mark.exists():
        mark.touch()
        os._exit(9)
    return 2 * number


def test_every_piece_is_done_though_children_die(tmp_path: Path) -> None:
    found = list(each(double, {n: (n, str(tmp_path), (2,)) for n in range(6)}, workers=1))
    assert sorted(found) == [(n, 2 * n) for n in range(6)]
    assert (tmp_path / "2").exists()


def test_what_a_piece_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(each(divmod, {0: (1, 0)}, workers=1))
