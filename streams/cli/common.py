"""What all commands share: settings from flags, the cluster's address, errors that say what to do."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.settings import Settings

Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", help="An existing cluster's bootstrap servers; else the local stack.", metavar="HOST:PORT"),
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the local stack (DAILIES_DATA_DIR).")]


def settings(**flags: Any) -> Settings:
    """Settings, where a flag that was given beats environment and file."""
    return Settings(**{name: value for name, value in flags.items() if value is not None})


def code_version() -> str:
    """The version of this code."""
    try:
        return version("dailies")
    except PackageNotFoundError:
        return "0+unknown"


def pairs(values: list[str] | None) -> dict[str, str] | None:
    """``KEY=VALUE`` options as a dict."""
    if not values:
        return None
    for value in values:
        if "=" not in value:
            raise typer.BadParameter(f"{value!r} is not KEY=VALUE")
    return dict(value.split("=", 1) for value in values)
