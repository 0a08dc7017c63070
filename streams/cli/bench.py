"""`dailies bench`: how fast, against decoding alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.cli import common
from streams.local.session import stack_up
from streams.local.state import running


def bench(
    rounds: Annotated[int, typer.Option(min=1, help="How often each contender runs; they take turns.")] = 3,
    seconds: Annotated[int, typer.Option(min=4, help="Length of the 1080p clip that is rendered.")] = 60,
    clip: Annotated[Path | None, typer.Option(help="Use a copy of this file instead.", exists=True, dir_okay=False)] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", help="Separated by commas; by default all but networks.")] = None,
    data_dir: common.DataDir = None,
) -> None:
    """Time ffmpeg decode-only, PyAV decode-only, `analyse` and the pipeline on one clip; results are checked first."""
    from bench.clip import render_clip
    from bench.pipeline import LIGHT, compare

    console = Console()
    settings = common.settings(data_dir=data_dir)
    wanted = tuple(t.strip() for t in tasks.split(",")) if tasks else LIGHT
    with tempfile.TemporaryDirectory(prefix="dailies-bench-") as folder:
        ours = render_clip(Path(folder), settings.data_dir, seconds=seconds, source=clip, console=console)
        with stack_up(settings, console=console) as bootstrap:
            stack = running(settings.data_dir)
            pids = [p.pid for p in stack.processes if p.pid is not None] if stack else []
            compare(ours, bootstrap, pids, rounds=rounds, tasks=wanted, console=console)
