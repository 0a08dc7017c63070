"""`dailies ingest`: publish upload events, and with --wait follow them to their final event."""

from __future__ import annotations

import sys
import uuid
from contextlib import closing
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from processors.policy import to_uri
from processors.profiles.layers import is_path
from streams.cli import common, render
from streams.client import Follower, Upload, publish
from streams.local.state import bootstrap_of

EXIT_INCOMPLETE = 3
EXIT_UNPROCESSABLE = 4

AWAY = "Kafka does not answer. It has the uploads: waiting for it to come back (Ctrl-C ends the waiting, not the analysis) …"
BACK = "Kafka is back."


def _names(profiles: list[str] | None) -> list[str] | None:
    for name in profiles or ():
        if is_path(name):
            raise typer.BadParameter(
                f"{name!r} is a path, and the planner looks profiles up by name: put the file into a folder of "
                "DAILIES_PROFILES, or judge by it afterwards with `dailies judge`"
            )
    return profiles


def ingest(
    uris: Annotated[list[str], typer.Argument(help="URIs, or paths of local files.", metavar="URI…")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the final events, with a progress bar each.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --wait: one metadata object a line on stdout.")] = False,
    task: Annotated[list[str] | None, typer.Option("--task", help="Only these tasks; may be repeated.")] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", callback=_names, help="Judge by the profiles of these names; may be repeated."),
    ] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Before everything that is not urgent.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Analyse anew what was analysed, or cancelled, before; a run under way is ended.")
    ] = False,
    correlation: Annotated[
        list[str] | None, typer.Option("--correlation", help="KEY=VALUE, e.g. delivery_id=D-88; echoed in every event.")
    ] = None,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """Publish upload events. What was analysed before is answered with its event, unless --again.

    Exit status with --wait: 0 complete, 3 incomplete, 4 unprocessable.
    """
    where = bootstrap_of(common.settings(bootstrap=bootstrap, data_dir=data_dir))
    uploads = [Upload(to_uri(uri)) for uri in uris]
    request = {
        "tasks": task,
        "profiles": profile,
        "priority": "urgent" if urgent else None,
        "correlation": common.pairs(correlation),
        "reanalysis": {"cause": f"asked for again by {uuid.uuid4()}"} if again else None,
    }
    if not wait:
        publish(where, uploads, **request)
        for upload in uploads:
            typer.echo(f"{upload.id}  {upload.uri}")
        return
    with closing(Follower(where)) as follower:
        publish(where, uploads, **request)
        follow(follower, uploads, as_json=as_json)
    raise typer.Exit(exit_code(uploads))


def follow(follower: Follower, uploads: list[Upload], *, as_json: bool = False, quiet: bool = False) -> None:
    """Wait for the uploads' ends with a bar each; results go to stdout as they come, bars to stderr."""
    errors = Console(stderr=True)
    out = Console()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    with Progress(*columns, TextColumn("{task.fields[stage]}"), TimeElapsedColumn(), console=errors) as bars:
        lines = {u.id: bars.add_task(u.uri.rsplit("/", 1)[-1], total=1.0, stage=u.stage) for u in uploads}
        said: set[str] = set()
        away = False
        while len(said) < len(uploads):
            follower.step(uploads)
            if away != follower.away:
                away = follower.away
                errors.print(f"[yellow]{AWAY if away else BACK}")
            for upload in uploads:
                bars.update(lines[upload.id], completed=upload.progress, stage=upload.stage)
                if upload.ended and upload.id not in said:
                    said.add(upload.id)
                    bars.stop_task(lines[upload.id])
                    if not quiet:
                        _say(upload, out, errors, as_json=as_json)


def _say(upload: Upload, out: Console, errors: Console, *, as_json: bool) -> None:
    if upload.metadata is None:
        errors.print(f"[red]{upload.uri}: the upload event was refused: {upload.refused}")
    elif as_json:
        sys.stdout.write(orjson.dumps(upload.metadata.model_dump(mode="json")).decode() + "\n")
        sys.stdout.flush()
    else:
        out.print(render.summary(upload.metadata))


def exit_code(uploads: list[Upload]) -> int:
    """The worst of all: 0 complete, 3 incomplete, 4 unprocessable (or refused)."""
    found = {"unprocessable" if u.metadata is None else u.metadata.run.status for u in uploads}
    if "unprocessable" in found:
        return EXIT_UNPROCESSABLE
    return EXIT_INCOMPLETE if "incomplete" in found else 0
