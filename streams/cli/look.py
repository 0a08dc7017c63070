"""`dailies show`, `tasks`: what is known."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from processors import tasks as known
from processors.policy import to_uri
from schemas.errors import Unprocessable
from schemas.events import ContentMetadata
from streams.cli import common, render
from streams.client import find
from streams.local.state import bootstrap_of
from streams.looks.printable import printable
from streams.looks.timeline import timeline
from streams.settings import Settings


def show(
    asset: Annotated[str, typer.Argument(help="An asset's id, the start of it, its URI, or a local file's path.")],
    as_json: Annotated[bool, typer.Option("--json", help="The event as it stands on media.metadata.")] = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw shots, findings and the loudness curve.")] = True,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """Show what is known of an asset: its final event, drawn on a line of time and in tables."""
    event = known_event(common.settings(bootstrap=bootstrap, data_dir=data_dir), asset)
    if as_json:
        sys.stdout.write(event.model_dump_json() + "\n")
        return
    event = printable(event)
    console = Console(markup=False, emoji=False)
    render.show(console, event, plots=_plots(event, console) if plots else None)


def _plots(event: ContentMetadata, console: Console) -> RenderableType | None:
    """Shots, findings and loudness, where the terminal has the characters for it and there is something to draw."""
    if not event.clocks or not console.encoding.startswith("utf"):
        return None
    from streams.looks import curves, terminal  # these bring Parquet, which other commands do without

    found = curves.read_curves(event, columns=2 * console.width, tasks=("loudness",))
    return terminal.draw(timeline(event), found.curves, console.width)


def known_event(settings: Settings, asset: str) -> ContentMetadata:
    """The final event of an asset by its id, the start of it, its URI or a path. Says so and exits with 1 if there is none."""
    where = bootstrap_of(settings)
    event = find(where, asset)
    if event is None:
        with suppress(Unprocessable):
            event = find(where, to_uri(asset))
    if event is None:
        typer.echo(f"there is no final event of {asset!r} (yet); `dailies ingest --wait` waits for one", err=True)
        raise typer.Exit(1)
    return event


def tasks() -> None:
    """List the tasks: what each sees, and where it runs."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("task", "version", "where", "rendition", "context", "what it does"):
        table.add_column(column)
    for name, task in known.registry().items():
        spec = task.spec
        place = "decoder" if spec.where == "decode" else f"agent, group {spec.group}"
        context = f"{spec.before}+{spec.after}" + (f", grid {spec.grid}" if spec.grid > 1 else "")
        table.add_row(name, spec.version, place, spec.rendition, context, spec.summary)
    Console().print(table)
