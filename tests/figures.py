"""The table that accuracy tests print: what was measured, what the reference says, and the difference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest


@dataclass(slots=True)
class Figures:
    """Rows ``(what, ours, reference, unit)``, printed where a run's output is not captured any more."""

    title: str
    rows: list[tuple[str, float, float, str]] = field(default_factory=list)

    def add(self, what: str, ours: float, reference: float, unit: str = "") -> None:
        """One row."""
        self.rows.append((what, ours, reference, unit))

    def __str__(self) -> str:
        wide = max((len(what) for what, *_ in self.rows), default=0)
        head = f"{self.title}\n{'':{wide}}  {'ours':>9} {'reference':>10} {'difference':>11}"
        lines = [f"{w:{wide}}  {ours:9.3f} {ref:10.3f} {ours - ref:+11.3f} {unit}" for w, ours, ref, unit in self.rows]
        worst = max((abs(ours - ref) for _, ours, ref, _ in self.rows), default=0.0)
        return "\n".join([head, *lines, f"{len(self.rows)} figures, the largest difference is {worst:.3f}"])


@contextmanager
def printed(title: str, request: pytest.FixtureRequest) -> Iterator[Figures]:
    """A table that is printed at the end, past pytest's capture."""
    figures = Figures(title)
    yield figures
    capture = request.config.pluginmanager.getplugin("capturemanager")
    if figures.rows and capture is not None:
        with capture.global_and_fixture_disabled():
            print(f"\n{figures}")
