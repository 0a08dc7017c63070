"""`dailies export`: what is known of an asset as a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal

from schemas.events import ContentMetadata
from streams.cli import common
from streams.cli.look import known_event
from streams.looks.formats import FORMATS, Format
from streams.looks.printable import safe
from streams.looks.timeline import name_of

STDOUT = Path("-")
LONGEST_NAME = 100


def _format(name: str) -> str:
    if name not in FORMATS:
        raise typer.BadParameter(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    return name


def export(
    asset: Annotated[str, typer.Argument(help="An asset's id, the start of it, its URI, or a local file's path.")],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            callback=_format,
            metavar="|".join(FORMATS),
            help="; ".join(f"{f.name}: {f.summary}" for f in FORMATS.values()),
        ),
    ] = "json",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to, - for stdout. By default json goes to stdout, html to NAME.html here.",
            metavar="PATH",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """Write what is known of an asset as a file: its final event as JSON, or as a page to look at and send on.

    The page is one file that works without a network: timeline, findings, verdicts and measurements, and as far as sidecar and
    source can still be read, curves and pictures; it says what is missing.
    """
    settings = common.settings(bootstrap=bootstrap, data_dir=data_dir)
    event = known_event(settings, asset)
    chosen = FORMATS[format]
    target = output or _default(chosen, event)
    if target != STDOUT and target.exists() and not force:
        _fail(f"{target} exists; --force replaces it")
    errors = Console(stderr=True, markup=False, highlight=False)
    with errors.status(f"Exporting {safe(name_of(event))} as {chosen.name} …"):
        exported = chosen.write(event, settings)
    if target == STDOUT:
        typer.echo(exported.text.encode(), nl=False)
    else:
        _write(target, exported.text, force=force)
        errors.print(f"{target}  {decimal(target.stat().st_size)}", soft_wrap=True)
    for note in exported.notes:
        errors.print(safe(note), style="yellow", soft_wrap=True)


def _default(chosen: Format, event: ContentMetadata) -> Path:
    """A file in the working folder named after the asset, whatever its maker called it."""
    if chosen.suffix is None:
        return STDOUT
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", name_of(event)).strip("._-")[:LONGEST_NAME]
    return Path(f"{stem or event.asset.id}{chosen.suffix}")


def _write(target: Path, text: str, *, force: bool) -> None:
    try:
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:  # it came while the export was made
        _fail(f"{target} exists; --force replaces it")
    except OSError as error:
        _fail(f"{target} cannot be written: {error.strerror}")


def _fail(message: str) -> None:
    typer.echo(f"dailies: {message}", err=True)
    raise typer.Exit(1)
