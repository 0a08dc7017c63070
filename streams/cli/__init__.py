"""The command line: `dailies`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from schemas.errors import DailiesError
from streams import log
from streams.cli.common import code_version
from streams.cli.lazy import Commands

app = typer.Typer(
    name="dailies",
    cls=Commands,
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


def main() -> None:
    """Run the command line. Errors that Dailies raises on purpose are said in one line; exit status 1."""
    log.warnings_to_stderr()
    try:
        app()
    except DailiesError as error:
        typer.secho(f"dailies: {error}", fg="red", err=True)
        sys.exit(1)
