"""``dailies up``, ``down``, ``status`` and ``topics``: the local stack and its cluster's topics."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from streams import admin, log
from streams.cli import common
from streams.connect import cluster_id
from streams.local import detach, state
from streams.local.lag import lags
from streams.local.progress import Progress
from streams.local.roles import parse_workers
from streams.local.state import AlreadyUp, ProcessState, StackState
from streams.local.supervisor import Supervisor
from streams.secure import Cluster, Security

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, and nothing else there.")]

FIELDS = ("role", "pid", "state", "lag", "name", "restarts", "problem", "health")
"""What ``status --json`` says of each process."""

ANSWER_SECONDS = 10.0
"""How long a cluster that is not ours may take to answer: a handshake over TLS on a busy machine takes more than a second."""

topics = typer.Typer(help="The cluster's topics: make them what they should be, or look at them.", no_args_is_help=True)


def up(
    detached: Annotated[bool, typer.Option("--detach", help="Return when everything is ready and leave it running.")] = False,
    workers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=N", help="How many processes of a role, or of a task group (signals, networks); repeatable."
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Kafka's port; a free one by default.")] = None,
    data_dir: common.DataDir = None,
    bootstrap: common.Bootstrap = None,
    tied: Annotated[bool, typer.Option("--tied/--untied", hidden=True)] = True,
) -> None:
    """Start Kafka and the processes of every role, and keep them running until Ctrl-C or `dailies down`."""
    settings = common.settings(data_dir=data_dir, bootstrap=bootstrap)
    named = state.named_cluster(settings)
    counts = parse_workers(workers or ())
    with Progress(Console()) as progress:
        if not detached:
            log.configure(settings)
            Supervisor(
                settings.data_dir,
                bootstrap=named,
                workers=counts,
                port=port,
                watchdog_seconds=settings.watchdog_seconds,
                say=progress.say,
                on_change=progress,
            ).run(tied=tied)
            return
        try:
            detach.up(detach.command(settings, workers=counts, port=port), settings.data_dir, progress)
        except AlreadyUp as error:
            # What was asked for is so: not a failure of a script that starts the stack to be sure of it.
            progress.say(str(error))


def down(data_dir: common.DataDir = None) -> None:
    """End the stack; Kafka's data stay."""
    folder = common.settings(data_dir=data_dir).data_dir
    was = detach.down(folder)
    typer.echo(f"nothing was up in {folder.resolve()}" if was is None else f"ended the stack in {folder.resolve()}")


def status(as_json: Json = False, data_dir: common.DataDir = None) -> None:
    """Show every process of the stack: its state, and how many records its consumer group is behind.

    Exits with 1 when nothing is up.
    """
    settings = common.settings(data_dir=data_dir)
    folder = settings.data_dir
    stack = state.running(folder)
    entries = [] if stack is None else _entries(stack, Security.of(settings))
    if as_json:
        typer.echo(json.dumps([{key: entry[key] for key in FIELDS} for entry in entries]))
    elif stack is None:
        typer.echo(f"nothing is up in {folder.resolve()}: `dailies up` starts it")
    else:
        Console().print(_table(stack, entries))
    if stack is None:
        raise typer.Exit(1)


@topics.command("apply")
def topics_apply(
    add_partitions: Annotated[bool, typer.Option(help="Add partitions where some are missing: keys move.")] = False,
    data_dir: common.DataDir = None,
    bootstrap: common.Bootstrap = None,
) -> None:
    """Create missing topics and correct settings that differ."""
    done = admin.apply(
        state.bootstrap_of(common.settings(data_dir=data_dir, bootstrap=bootstrap)), add_partitions=add_partitions
    )
    for name in done.created:
        typer.echo(f"created {name}")
    for name, config in done.corrected.items():
        typer.echo(f"corrected {name}: {', '.join(f'{key}={value}' for key, value in config.items())}")
    for name, (before, after) in done.grown.items():
        typer.echo(f"added partitions to {name}: {before} before, {after} now")
    if not done.changed:
        typer.echo("every topic is as declared")


@topics.command("describe")
def topics_describe(as_json: Json = False, data_dir: common.DataDir = None, bootstrap: common.Bootstrap = None) -> None:
    """Show the declared topics as they exist."""
    found = admin.describe(state.bootstrap_of(common.settings(data_dir=data_dir, bootstrap=bootstrap)))
    if as_json:
        typer.echo(json.dumps([{"name": d.name, "partitions": d.partitions, "config": d.config} for d in found.values()]))
        return
    table = Table("topic", "partitions", "clean-up", "retention (ms)", "largest record (bytes)")
    for topic in found.values():
        config = topic.config
        table.add_row(
            topic.name, str(topic.partitions), config["cleanup.policy"], config["retention.ms"], config["max.message.bytes"]
        )
    Console().print(table)


def _entries(stack: StackState, security: Security) -> list[dict[str, Any]]:
    """One entry a process, Kafka's first, also where it is not ours to run."""
    there = Cluster(stack.bootstrap, security) if stack.bootstrap else None
    behind = lags(there, [p.group for p in stack.processes if p.group]) if there else {}
    processes = list(stack.processes)
    if there and not any(process.role == "kafka" for process in processes):
        answers = cluster_id(there, ANSWER_SECONDS) is not None
        processes.insert(0, ProcessState("kafka", there.servers, None, "ready" if answers else "failed", 0, ""))
    return [
        {
            "role": process.role,
            "name": process.name,
            "pid": process.pid,
            "state": process.state,
            "restarts": process.restarts,
            "lag": behind.get(process.group) if process.group else None,
            "log": process.log,
            "problem": process.problem,
            "health": process.health,
        }
        for process in processes
    ]


def _table(stack: StackState, entries: list[dict[str, Any]]) -> Table:
    table = Table(title=f"Kafka at {stack.bootstrap or '(starting)'}", title_justify="left")
    for heading in ("process", "pid", "state", "restarts", "lag"):
        table.add_column(heading, justify="left" if heading in ("process", "state") else "right")
    colours = {"ready": "green", "starting": "yellow", "failed": "red"}
    for entry in entries:
        name, pid, condition, restarts, lag = (entry[key] for key in ("name", "pid", "state", "restarts", "lag"))
        coloured = f"[{colours[condition]}]{condition}[/]"
        table.add_row(name, str(pid or "–"), coloured, str(restarts), "–" if lag is None else str(lag))
    return table
