"""`dailies show`, `tasks`, `profiles`: what is known."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from processors import profiles as delivery
from processors import tasks as known
from processors.source import to_uri
from schemas.errors import Unprocessable
from streams.cli import common, render
from streams.client import find
from streams.local.state import bootstrap_of


def show(
    asset: Annotated[str, typer.Argument(help="An asset's id, the start of it, its URI, or a local file's path.")],
    as_json: Annotated[bool, typer.Option("--json", help="The event as it stands on media.metadata.")] = False,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """Show what is known of an asset: its final event."""
    where = bootstrap_of(common.settings(bootstrap=bootstrap, data_dir=data_dir))
    event = find(where, asset)
    if event is None:
        try:
            event = find(where, to_uri(asset))
        except Unprocessable:
            event = None
    if event is None:
        typer.echo(f"there is no final event of {asset!r} (yet); `dailies ingest --wait` waits for one", err=True)
        raise typer.Exit(1)
    if as_json:
        sys.stdout.write(event.model_dump_json() + "\n")
    else:
        render.show(Console(), event)


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


def profiles(
    names: Annotated[list[str] | None, typer.Argument(help="Profiles to explain; names, or paths of TOML files.")] = None,
) -> None:
    """List the delivery profiles, or explain some: every rule with its limit."""
    console = Console()
    for name in names or delivery.names():
        profile = delivery.load(name)
        console.print(f"[bold]{profile.name}[/]  {profile.title} [dim]({profile.reference})[/]")
        if names:
            table = Table(box=None, pad_edge=False, header_style="dim")
            for column in ("rule", "about", "limit", "if crossed", "severity", "overridable"):
                table.add_column(column)
            for rule in profile.rules:
                tolerance = "" if rule.tolerance is None else f" ± {rule.tolerance:g}"
                limit = rule.op if rule.limit is None else f"{rule.op} {rule.limit:g}{tolerance} {rule.unit or ''}"
                table.add_row(rule.id, rule.code, limit, rule.outcome, rule.severity, "yes" if rule.overridable else "no")
            console.print(table)
