"""A command's module is loaded when it is asked for: `dailies status` need not wait for what only a decoder imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, NamedTuple, cast

import typer
from typer.core import TyperGroup
from typer.main import get_group

ASSETS, REFERENCE, STACK = "Assets", "Reference", "Local stack"


class Place(NamedTuple):
    """Where a command is: its module under ``streams.cli``, its name there, and the panel of ``--help`` that lists it."""

    module: str
    name: str
    panel: str


COMMANDS = {
    "up": Place("stack", "up", STACK),
    "down": Place("stack", "down", STACK),
    "status": Place("stack", "status", STACK),
    "ingest": Place("ingest", "ingest", ASSETS),
    "watch": Place("watch", "watch", ASSETS),
    "show": Place("look", "show", ASSETS),
    "export": Place("export", "export", ASSETS),
    "cancel": Place("watch", "cancel", ASSETS),
    "judge": Place("judge", "judge", ASSETS),
    "analyse": Place("analysis", "analyse", ASSETS),
    "demo": Place("demo", "demo", ASSETS),
    "tasks": Place("look", "tasks", REFERENCE),
    "profiles": Place("profiles", "profiles", REFERENCE),
    "run": Place("roles", "run", STACK),
    "topics": Place("stack", "topics", STACK),
    "dead-letters": Place("deadletters", "dead_letters", ASSETS),
    "bench": Place("bench", "bench", REFERENCE),
}
"""Every command, in the order of ``--help``."""


class Loaded(Mapping[str, Any]):
    """The commands by name, each loaded when it is looked at."""

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __getitem__(self, name: str) -> Any:
        place = COMMANDS[name]
        found = getattr(import_module(f"streams.cli.{place.module}"), place.name)
        holder = typer.Typer(rich_markup_mode="rich", callback=lambda: None)
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=name, rich_help_panel=place.panel)
        else:
            holder.command(name, rich_help_panel=place.panel)(found)
        return get_group(holder).commands[name]


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast(MutableMapping[str, Any], Loaded())
