"""The command line: `dailies`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from schemas.errors import DailiesError
from streams.cli import analysis, bench, deadletters, demo, export, ingest, look, roles, stack, watch
from streams.cli.common import code_version

app = typer.Typer(
    name="dailies",
    help="Exact, complete content metadata for every upload: an event-driven stream processor for media, on Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False) -> None:
    if version:
        typer.echo(code_version())
        raise typer.Exit


stack.register(app)
app.command(rich_help_panel="Assets")(ingest.ingest)
app.command(rich_help_panel="Assets")(watch.watch)
app.command(rich_help_panel="Assets")(look.show)
app.command(rich_help_panel="Assets")(export.export)
app.command(rich_help_panel="Assets")(watch.cancel)
app.add_typer(deadletters.dead_letters, name="dead-letters", rich_help_panel="Assets")
app.command(rich_help_panel="Assets")(analysis.analyse)
app.command(rich_help_panel="Assets")(demo.demo)
app.command(rich_help_panel="Reference")(look.tasks)
app.command(rich_help_panel="Reference")(look.profiles)
app.command(rich_help_panel="Local stack")(roles.run)
app.add_typer(bench.bench, name="bench", rich_help_panel="Reference")


def main() -> None:
    """Run the command line. Errors that Dailies raises on purpose are said in one line; exit status 1."""
    try:
        app()
    except DailiesError as error:
        typer.secho(f"dailies: {error}", fg="red", err=True)
        sys.exit(1)
