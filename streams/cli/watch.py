"""`dailies watch` and `cancel`: what happens to assets while they are in progress."""

from __future__ import annotations

import sys
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from processors.policy import to_uri
from schemas import cloudevents
from schemas.errors import Unprocessable
from schemas.events import ContentMetadata
from schemas.plan import Cancel
from schemas.reactions import Progress, Reaction
from schemas.types import SCHEMA_OF, EventType
from streams import topics
from streams.cli import common, render
from streams.local.state import bootstrap_of
from streams.looks.timeline import when
from streams.producer import Deliveries, make_producer
from streams.watch import Heard, Watcher, concerns, planned

PHASE = {"new": "yellow", "update": "dim", "end": "cyan", "merged": "dim", "withdrawn": "dim strike"}
ENDS = {topics.REACTIONS.name, topics.METADATA.name}
ACTION = {"hold": "bold red", "review": "bold yellow", "none": "dim"}


def watch(
    asset: Annotated[str | None, typer.Argument(help="Only this one: its id, the start of it, its URI or path.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every event as it travels, one a line.")] = False,
    beginning: Annotated[bool, typer.Option("--from-beginning", help="What is kept of the last days first.")] = False,
    until_done: Annotated[bool, typer.Option("--until-done", help="End with the asset's final event.")] = False,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """Show reactions as they come: findings with the rules they cross and what to do about them. Ctrl-C ends it."""
    where = bootstrap_of(common.settings(bootstrap=bootstrap, data_dir=data_dir))
    if until_done and asset is None:
        raise typer.BadParameter("--until-done needs an asset")
    names = [] if asset is None else [asset, *_as_uri(asset)]
    console = Console(highlight=False)
    ended: set[str] = set()
    with suppress(KeyboardInterrupt), Watcher(where, beginning=beginning) as watcher:
        for heard in watcher.heard():
            if heard is None or (names and not any(concerns(heard.event, name) for name in names)):
                continue
            _say(console, heard, as_json=as_json)
            ended |= _ends(heard.event)
            if until_done and len(ended) == len(ENDS):
                return


def cancel(
    asset: Annotated[str, typer.Argument(help="An asset's id, the start of it, its URI, or a local file's path.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the final event.")] = "by request",
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """End an asset as it is: its final event is incomplete, with what is missing named. One that has ended stays as it is."""
    where = bootstrap_of(common.settings(bootstrap=bootstrap, data_dir=data_dir))
    found = next((known for name in [asset, *_as_uri(asset)] if (known := planned(where, name)) is not None), None)
    if found is None:
        typer.echo(f"no asset {asset!r} was planned in the last days: nothing to cancel", err=True)
        raise typer.Exit(1)
    order = Cancel(asset=found[0], run=found[1], reason=reason)
    head = cloudevents.headers(
        id=str(uuid.uuid4()),
        type=EventType.CANCEL,
        source="dailies/cli",
        subject=order.asset,
        time=datetime.now(UTC).isoformat(),
        schema=SCHEMA_OF[EventType.CANCEL],
    )
    deliveries = Deliveries(make_producer(where))
    deliveries.produce(topics.ASSETS.name, key=order.asset.encode(), value=order.model_dump_json().encode(), headers=head)
    deliveries.flush_all()
    typer.echo(f"asked to end asset {order.asset}, run {order.run}")


def _as_uri(asset: str) -> list[str]:
    try:
        return [to_uri(asset)]
    except Unprocessable:
        return []


def _ends(event: Reaction | Progress | ContentMetadata) -> set[str]:
    """Which of the two topics has said its last word. Where there was no plan there are no reactions."""
    if isinstance(event, ContentMetadata):
        return {topics.METADATA.name} if event.coverage.streams else ENDS
    return {topics.REACTIONS.name} if isinstance(event, Progress) and event.stage == "complete" else set()


def _say(console: Console, heard: Heard, *, as_json: bool) -> None:
    event = heard.event
    if as_json:
        sys.stdout.write(heard.value.decode() + "\n")
        sys.stdout.flush()
    elif isinstance(event, ContentMetadata):
        console.print(render.summary(event))
    else:
        console.print(_line(event))


def _about(event: Reaction) -> str:
    if event.finding is not None:
        return f"{event.finding.code}  {when(event.finding)}  {event.finding.text}"
    figure = event.measurement
    return "" if figure is None else f"{figure.id} of {figure.stream} is {figure.value:.2f} {figure.unit} already"


def _line(event: Reaction | Progress) -> Text:
    name = Text(event.asset.uri.rsplit("/", 1)[-1] + "  ", style="bold")
    if isinstance(event, Progress):
        return Text.assemble(name, (f"{event.stage} {event.progress:.0%}", "dim"))
    line = Text.assemble(name, (event.phase, PHASE[event.phase]), "  ", _about(event))
    if event.merged_into:
        line.append(f"  part of {event.merged_into}", style="dim")
    for rule in event.rules:
        if rule.suggested_action != "none":
            line.append(f"  → {rule.suggested_action}", style=ACTION[rule.suggested_action])
            line.append(f" ({rule.rule}, {rule.severity}, {rule.finality})", style="dim")
    return line
