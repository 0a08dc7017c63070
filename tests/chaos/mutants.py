"""``python -m tests.chaos.mutants``: seeded mutants of small files, each of which has to end in one final event.

Without ``--stack`` they go through the sandboxed children, the plan, the folds and the aggregator in this process; with it
through Kafka and every role.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from schemas.events import ContentMetadata
from streams import log
from streams.settings import Settings
from tests import tools
from tests.chaos.crowd import SETTINGS, Crowd
from tests.chaos.excerpts import clips, generated
from tests.chaos.line import Line
from tests.chaos.mutate import Excerpt, Mutant, mutant
from tests.stack import Stack

LINES = 2
"""Mutants at a time in this process; the work is in their children."""


SAY_EACH = 500
"""How often a log, where no bar moves, is told how far it is."""


class Tally:
    """What the mutants ended in, and how fast. ``note`` may be called from any thread."""

    def __init__(self, progress: Progress, count: int) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._progress, self._bar = progress, progress.add_task("mutants", total=count)
        self._lock = threading.Lock()

    def note(self, event: ContentMetadata) -> None:
        """A mutant has ended."""
        with self._lock:
            self.outcomes[event.run.status, (event.run.reason or "").partition(":")[0]] += 1
            self._progress.advance(self._bar)
            done = self.outcomes.total()
        if not self._progress.console.is_terminal and done % SAY_EACH == 0:
            self.say(f"{done} mutants")

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def table(self) -> Table:
        """Outcomes by how often they came."""
        table = Table("status", "reason", "mutants")
        for (status, reason), count in self.outcomes.most_common():
            table.add_row(status, reason, str(count))
        return table


def excerpts() -> list[Excerpt]:
    """What is mutated: generated files, and the shared clips where they are."""
    found = list(generated())
    return [*found, *clips(tools.MEDIA)] if tools.MEDIA.is_dir() else found


def main(arguments: Sequence[str]) -> int:
    """Run mutants ``--seed`` to ``--seed + --count``; the exit status is 1 if one of them did not end as it must."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutants", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--stack", action="store_true", help="through Kafka and every role")
    asked = parser.parse_args(arguments)
    log.configure(Settings(log_level="error"))
    console = Console(stderr=True)
    sources = excerpts()
    made = (mutant(sources, seed) for seed in range(asked.seed, asked.seed + asked.count))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dailies-mutants-") as folder, Progress(*columns, console=console) as progress:
        tally = Tally(progress, asked.count)
        run = through_stack if asked.stack else in_process
        try:
            notes = run(made, Path(folder), tally)
        except AssertionError as error:
            console.print(f"[red]{error}", markup=True, highlight=False)
            notes = None
    seconds = time.monotonic() - begun
    console.print(tally.table())
    console.print(f"{tally.outcomes.total()} mutants of {asked.count} in {seconds:.0f} s; {notes or 'failed'}")
    return 0 if notes is not None else 1


def in_process(mutants: Iterator[Mutant], folder: Path, tally: Tally) -> str:
    """Through children, plan, folds and aggregator, a few at a time; gives what else is to be said."""
    lock = threading.Lock()

    def work(number: int) -> int:
        place = folder / str(number)
        place.mkdir()
        with Line(place) as line:
            while True:
                with lock:
                    made = next(mutants, None)
                if made is None:
                    return len(line.failures)
                before = len(line.failures)
                tally.note(line.run(made))
                for failure in line.failures[before:][-1:]:
                    tally.say(f"{made!r}: {failure}")

    with ThreadPoolExecutor(LINES) as pool:
        ended = sum(pool.map(work, range(LINES)))
    return f"{ended} attempts ended a child"


def through_stack(mutants: Iterator[Mutant], folder: Path, tally: Tally) -> str:
    """Through a stack of its own; gives what else is to be said."""
    with Stack(folder / "data", SETTINGS) as stack:
        crowd = Crowd(stack, folder / "mutants")
        crowd.run(mutants, tally.note)
    letters = ", ".join(f"{count} {error}" for error, count in crowd.letters.most_common()) or "none"
    return f"dead letters: {letters}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
