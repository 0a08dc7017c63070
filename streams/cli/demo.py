"""`dailies demo`: start a stack, ingest a sample that is rendered on the spot, show truth against found, stop."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from processors.policy import to_uri
from streams.cli import common, render
from streams.cli.ingest import exit_code, follow
from streams.client import Follower, Upload, publish
from streams.local.session import stack_up

if TYPE_CHECKING:
    from processors.sample import Truth


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack up afterwards.")] = False,
    data_dir: common.DataDir = None,
) -> None:
    """Watch a clip go through the real pipeline and compare what is found with what was put in."""
    console = Console()
    settings = common.settings(data_dir=data_dir)
    path = settings.data_dir / "sample" / "programme.mov"
    truth = _sample(path, console)
    with stack_up(settings, keep=keep, console=console) as bootstrap:
        upload = Upload(to_uri(str(path)))
        with closing(Follower(bootstrap)) as follower:
            begun = time.monotonic()
            publish(bootstrap, [upload])
            follow(follower, [upload], quiet=True)
            seconds = time.monotonic() - begun
        if upload.metadata is None:
            console.print(f"[red]the upload event was refused: {upload.refused}")
            raise typer.Exit(exit_code([upload]))
        render.show(console, upload.metadata)
        console.print(f"\nFrom upload event to final event: {seconds:.1f} s")
        missed = compare(console, truth, upload)
    raise typer.Exit(1 if missed else exit_code([upload]))


def _sample(path: Path, console: Console) -> Truth:
    """The rendered sample with its truth; rendered the first time."""
    from processors import sample

    if path.exists() and sample.truth_path(path).exists():
        return sample.Truth.read(sample.truth_path(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with Progress(console=console, transient=True) as bars:
        line = bars.add_task("Rendering a programme of 60 s: bars, slate, scenes, black, freeze, silence, credits", total=1.0)
        return sample.render(path, lambda share: bars.update(line, completed=share))


def compare(console: Console, truth: Truth, upload: Upload) -> int:
    """Print truth against found; how many rows disagree."""
    from processors import sample

    assert upload.metadata is not None
    rows = sample.compare(truth, upload.metadata)
    table = Table(title="Truth against found", title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in ("what", "put in", "found", ""):
        table.add_column(column)
    for row in rows:
        table.add_row(row.what, row.expected, row.found, "[green]ok[/]" if row.ok else "[red]differs[/]")
    console.print(table)
    return sum(not row.ok for row in rows)
