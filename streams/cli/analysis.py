"""`dailies analyse`: the same tasks and folds without Kafka, in one process. The reference that the pipeline must equal."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from streams.cli import common, render
from streams.cli.ingest import EXIT_INCOMPLETE, EXIT_UNPROCESSABLE
from streams.looks.printable import printable

EXIT = {"complete": 0, "incomplete": EXIT_INCOMPLETE, "unprocessable": EXIT_UNPROCESSABLE}


def analyse(
    file: Annotated[str, typer.Argument(help="A file's path, or a URI.")],
    tasks: Annotated[str | None, typer.Option("--tasks", help="Only these tasks, separated by commas.", metavar="T,…")] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", help="Judge by these profiles: names, or paths of TOML files; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The metadata as JSON on stdout.")] = False,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda.")] = None,
) -> None:
    """Analyse one file without Kafka: one segment, one call of every fold. Exit status as for ingest."""
    from processors.analyse import analyse as run_analysis  # brings the decoder, which the other commands do without

    settings = common.settings(device=device)
    judges = [settings.shelf().load(name) for name in profile] if profile else None
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        line = bars.add_task(file.rsplit("/", 1)[-1], total=1.0)
        event = run_analysis(
            file,
            code=common.code_version(),
            policy=settings.source_policy(),
            tasks_wanted=[t.strip() for t in tasks.split(",")] if tasks else None,
            profiles=judges,
            device=settings.device,
            limits=settings.media_limits(),
            report=lambda share: bars.update(line, completed=share),
        )
    if as_json:
        sys.stdout.write(event.model_dump_json() + "\n")
    else:
        render.show(Console(markup=False, emoji=False), printable(event))
    raise typer.Exit(EXIT[event.run.status])
