"""`dailies run`: one role in the foreground, as Kubernetes runs it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from streams.cli import common
from streams.local.state import bootstrap_of


class Role(StrEnum):
    """What a process can be."""

    planner = "planner"
    decoder = "decoder"
    inference = "inference"
    aggregator = "aggregator"


def run(
    role: Annotated[Role, typer.Argument(help="Which role.")],
    group: Annotated[str | None, typer.Option("--group", help="inference: the task group, signals or networks.")] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", help="inference: only these tasks, separated by commas.")] = None,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """Run one role in the foreground until SIGTERM or Ctrl-C."""
    from streams.roles import run_role

    settings = common.settings(bootstrap=bootstrap, data_dir=data_dir)
    wanted = [t.strip() for t in tasks.split(",")] if tasks else None
    raise typer.Exit(run_role(role.value, settings, bootstrap=bootstrap_of(settings), group=group, tasks=wanted))
