"""`dailies dead-letters`: what could not be processed: list it, look at it, and give it another chance."""

from __future__ import annotations

import sys
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.json import JSON
from rich.table import Table
from rich.text import Text

from processors.policy import to_uri
from schemas.errors import Unprocessable
from schemas.ids import digest
from streams import letterbox, replay
from streams.cli import common
from streams.cli.ingest import exit_code, follow
from streams.client import Follower
from streams.letterbox import Letter
from streams.local.state import bootstrap_of
from streams.looks.printable import safe
from streams.secure import Cluster

SHORT = 12
"""Digits of an id that are shown in tables; any unique beginning is understood."""

dead_letters = typer.Typer(help="What could not be processed: list it, look at it, replay it.", no_args_is_help=True)

Asset = Annotated[str | None, typer.Option("--asset", help="Of this asset: its id, the start of it, its URI or path.")]
Error = Annotated[str | None, typer.Option("--error", help="Of this error, by its name, e.g. ChildCrashed.")]
Stage = Annotated[str | None, typer.Option("--stage", help="Of this stage or those that begin so, e.g. inference.")]


@dead_letters.command("list")
def list_letters(
    asset: Asset = None,
    error: Error = None,
    stage: Stage = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list on stdout, and nothing else there.")] = False,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """List the dead letters that are kept (30 days), the oldest first."""
    where = bootstrap_of(common.settings(bootstrap=bootstrap, data_dir=data_dir))
    found = letterbox.matching(_known(where), asset=_names(asset), error=error, stage=stage)
    if as_json:
        sys.stdout.write(orjson.dumps([_facts(letter) for letter in found]).decode() + "\n")
    elif not found:
        typer.echo("no dead letters" + (" match" if asset or error or stage else ""))
    else:
        Console().print(_table(found))


@dead_letters.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="A letter's id, or the start of it.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, and nothing else there.")] = False,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """Show everything that is known of a dead letter: why, where from, and the original with its headers."""
    where = bootstrap_of(common.settings(bootstrap=bootstrap, data_dir=data_dir))
    letter = letterbox.by_prefix(_known(where), name)
    headers = {name: value.decode(errors="backslashreplace") for name, value in letter.dead.original.headers.items()}
    if as_json:
        facts = _facts(letter) | {"headers": headers, "value": _value(letter)}
        sys.stdout.write(orjson.dumps(facts).decode() + "\n")
        return
    console = Console(markup=False, emoji=False, highlight=False)
    console.print(_facts_table(letter))
    table = Table("header", "value", title="The original's headers", title_justify="left", box=None, header_style="dim")
    for header, text in headers.items():
        table.add_row(safe(header), Text(safe(text), overflow="fold"))
    console.print(table)
    value = _value(letter)
    if "json" in value:
        console.print(JSON.from_data(value["json"], indent=2))
    else:
        console.print(f"{value['bytes']} bytes, digest {value['digest']}" + (", kept no longer" if value["referred"] else ""))


@dead_letters.command("replay")
def replay_letters(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="Letters by id, or the start of it.")] = None,
    asset: Asset = None,
    error: Error = None,
    stage: Stage = None,
    everything: Annotated[bool, typer.Option("--all", help="Every letter that was not replayed yet.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also letters that were replayed before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be published, and publish nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the final events, with a progress bar each.")] = False,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """Give what could not be processed another chance, once its cause is removed.

    An upload is published again. An asset with a job or a chunk that failed is analysed anew, as a new run with a final event
    of its own; a run of it that is under way is ended. Exit status 1 if something cannot be replayed; with --wait as `ingest`.
    """
    if not (ids or asset or error or stage or everything):
        raise typer.BadParameter("say which: ids, --asset, --error, --stage or --all")
    where = bootstrap_of(common.settings(bootstrap=bootstrap, data_dir=data_dir))
    known = letterbox.read(where)
    asked = replay.requests(where, {letter.asset for letter in known if letter.asset})
    known = _with_uris(known, asked)
    chosen = _chosen(known, ids or [], asset, error, stage, again=again)
    prepared = replay.prepare(chosen, known, asked, lambda letter: letterbox.original(where, letter))
    for line in prepared.refused:
        typer.secho(f"not replayed: {safe(line)}", fg="red", err=True)
    for one in prepared.todo:
        typer.echo(("would publish " if dry_run else "") + safe(one.what), err=not dry_run)
    if not dry_run and prepared.todo:
        status = _perform(where, prepared, wait=wait)
        if status and not prepared.refused:
            raise typer.Exit(status)
    if prepared.refused:
        raise typer.Exit(1)


def _perform(where: Cluster, prepared: replay.Replays, *, wait: bool) -> int:
    if not wait:
        replay.perform(where, prepared.todo)
        return 0
    with closing(Follower(where)) as follower:
        uploads = replay.perform(where, prepared.todo)
        follow(follower, uploads)
    return exit_code(uploads)


def _chosen(
    known: list[Letter], ids: list[str], asset: str | None, error: str | None, stage: str | None, *, again: bool
) -> list[Letter]:
    """The letters that are meant. Says so and exits with 1 if there are none."""
    some = {letter.id: letter for letter in (letterbox.by_prefix(known, name) for name in ids)}
    found = letterbox.matching(some.values() if ids else known, asset=_names(asset), error=error, stage=stage)
    fresh = [letter for letter in found if again or not letter.replays]
    if fresh:
        return fresh
    text = "no dead letter matches" if not found else f"replayed already: {', '.join(one.id[:SHORT] for one in found)}; --again"
    typer.secho(f"dailies: {text}", fg="red", err=True)
    raise typer.Exit(1)


def _known(where: Cluster) -> list[Letter]:
    """All letters, with the URI of their asset where one is known."""
    found = letterbox.read(where)
    nameless = {letter.asset for letter in found if letter.asset and not letter.uri}
    return _with_uris(found, replay.requests(where, nameless))


def _with_uris(letters: list[Letter], asked: dict[str, list[replay.Request]]) -> list[Letter]:
    uris = {asset: requests[-1].uri for asset, requests in asked.items() if requests}
    return [letter if letter.uri else replace(letter, uri=uris.get(letter.asset or "")) for letter in letters]


def _names(asset: str | None) -> list[str]:
    """What an asset may be meant by."""
    names = [] if asset is None else [asset]
    if asset is not None:
        with suppress(Unprocessable):
            names.append(to_uri(asset))
    return names


def _when(letter: Letter) -> str:
    return datetime.fromtimestamp(letter.when, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _table(found: list[Letter]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "when", "stage", "error", "asset", "attempts", "replayed"):
        table.add_column(column, justify="right" if column == "attempts" else "left", overflow="fold")
    for letter in found:
        dead = letter.dead
        about = Text(safe(letter.uri or letter.asset or dead.original.place))
        replayed = letter.replays[-1].at if letter.replays else "–"
        table.add_row(letter.id[:SHORT], _when(letter), dead.stage, dead.error, about, str(dead.attempts), replayed)
    return table


def _facts(letter: Letter) -> dict[str, Any]:
    dead, record = letter.dead, letter.dead.original
    return {
        "id": letter.id,
        "when": _when(letter),
        "stage": dead.stage,
        "error": dead.error,
        "message": dead.message,
        "attempts": dead.attempts,
        "asset": letter.asset,
        "uri": letter.uri,
        "run": letter.run,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": None if record.key is None else record.key.decode(errors="backslashreplace"),
        "replays": [{"at": one.at, "event": one.event} for one in letter.replays],
    }


def _facts_table(letter: Letter) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, fact in _facts(letter).items():
        if name == "replays":
            fact = ", ".join(f"{one.at} as {one.event}" for one in letter.replays)
        table.add_row(Text(name, style="dim"), Text("–" if fact in (None, "") else safe(str(fact)), overflow="fold"))
    return table


def _value(letter: Letter) -> dict[str, Any]:
    """The original's value: as JSON if it is, else by size and digest."""
    value = letter.dead.original.value
    if letter.dead.referred:
        reference = orjson.loads(value)
        return {"bytes": reference["bytes"], "digest": reference["digest"], "referred": True}
    found: dict[str, Any] = {"bytes": len(value), "digest": digest(value), "referred": False}
    with suppress(orjson.JSONDecodeError):
        found["json"] = orjson.loads(value)
    return found
