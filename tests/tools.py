"""What tests need from the machine: a tool by name, the shared clips."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest

from streams.local.jars import cache_dir

MEDIA = Path(__file__).resolve().parent.parent.parent / "shared" / "media"
REQUIRE_ENV = "DAILIES_REQUIRE_TOOLS"
BUILT = {"kustomize": "5.8.1", "kubeconform": "0.8.0", "minio": "7aac2a2c5b7c", "toxiproxy": "2.12.0"}
"""Versions, as in ``scripts/install-test-tools.sh`` and ``scripts/minio.sh``."""
BUILDERS = dict.fromkeys(BUILT, "scripts/install-test-tools.sh") | {"minio": "make minio"}


def require_tool(name: str) -> str:
    """Path of a program; without it the test skips by name, or fails where ``DAILIES_REQUIRE_TOOLS=1``."""
    return shutil.which(name) or _missing(name)


def built(name: str, program: str | None = None) -> Path | None:
    """A program that is built with Go, outside the tree; ``program`` is its file's name where that is another."""
    path = cache_dir() / "tools" / f"{name}-{BUILT[name]}" / (program or name)
    return path if path.exists() else None


def end_all(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Kill those that still run, and wait for them."""
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def require_built(name: str) -> str:
    """Path of a program that is built with Go, outside the tree, or found on the path.

    Without it the test skips by name, wherever it runs: not every machine has a current Go.
    """
    found = built(name) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} {BUILT[name]} is not there, which {BUILDERS[name]} builds with a current Go")
    return str(found)


def require_library(name: str) -> str:
    """File name of a shared library such as ``ebur128``; without it as ``require_tool``."""
    return ctypes.util.find_library(name) or _missing(f"lib{name}")


def _missing(name: str) -> NoReturn:
    reason = f"{name} is not installed (scripts/install-test-tools.sh installs it)"
    if os.environ.get(REQUIRE_ENV) == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def size(path: Path) -> int:
    """Bytes of a file; 0 for one that is deleted meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
