"""The version of this code, as every event names it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def code_version() -> str:
    """The installed distribution's version; ``0+unknown`` where the code runs without having been installed."""
    try:
        return version("dailies")
    except PackageNotFoundError:
        return "0+unknown"
