"""The benchmark of the native picture tasks: it times what it says it times."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from bench.picture import NATIVE_TASKS, measure
from tests.decoding import render


def test_it_gives_a_share_and_prints_a_table(tmp_path: Path) -> None:
    clip = render(tmp_path / "clip.mp4", frames=40, size=(160, 96))
    said = io.StringIO()
    share = measure(clip, rounds=2, tasks=("native-picture",), console=Console(file=said, width=200))
    text = said.getvalue()
    assert "40 frames, CPU time, median of 2 interleaved rounds" in text
    assert f"{share:.0%} of decoding alone" in text and share > 0
    assert "native-picture" in NATIVE_TASKS
