"""`dailies bench`: how fast, against decoding alone; what tasks cost; how soon reactions come; how much memory it takes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.cli import common
from streams.local.session import stack_up
from streams.local.state import running
from streams.settings import Settings

bench = typer.Typer(help="Measure this machine. Results are checked before a figure is printed.", no_args_is_help=True)

Seconds = Annotated[int, typer.Option("--seconds", min=4, help="Length of the 1080p clip that is rendered.")]
Clip = Annotated[
    Path | None, typer.Option("--clip", help="Use a copy of this file instead.", exists=True, dir_okay=False, resolve_path=True)
]


@contextmanager
def _clip(settings: Settings, seconds: int, source: Path | None, console: Console) -> Iterator[Path]:
    """The clip that is timed, in a folder of its own for as long as it is needed."""
    from bench.clip import render_clip

    with tempfile.TemporaryDirectory(prefix="dailies-bench-") as folder:
        yield render_clip(Path(folder), settings.data_dir, seconds=seconds, source=source, console=console)


@bench.command()
def speed(
    rounds: Annotated[int, typer.Option(min=1, help="How often each contender runs; they take turns.")] = 3,
    seconds: Seconds = 60,
    clip: Clip = None,
    tasks: Annotated[str | None, typer.Option("--tasks", help="Separated by commas; by default all but networks.")] = None,
    data_dir: common.DataDir = None,
) -> None:
    """Time ffmpeg decode-only, PyAV decode-only, `analyse` and the pipeline on one clip."""
    from bench.pipeline import LIGHT, compare

    console = Console()
    settings = common.settings(data_dir=data_dir)
    wanted = tuple(t.strip() for t in tasks.split(",")) if tasks else LIGHT
    with _clip(settings, seconds, clip, console) as ours, stack_up(settings, console=console) as bootstrap:
        stack = running(settings.data_dir)
        pids = [p.pid for p in stack.processes if p.pid is not None] if stack else []
        compare(ours, bootstrap, pids, rounds=rounds, tasks=wanted, console=console)


@bench.command()
def picture(
    rounds: Annotated[int, typer.Option(min=1, help="How often each runs; they take turns.")] = 5,
    seconds: Seconds = 60,
    clip: Clip = None,
    data_dir: common.DataDir = None,
) -> None:
    """Time what the native picture tasks add to decoding, in CPU time: no stack, one process, one thread."""
    from bench.picture import NATIVE_TASKS, measure

    console = Console()
    settings = common.settings(data_dir=data_dir)
    with _clip(settings, seconds, clip, console) as ours:
        measure(ours, rounds=rounds, tasks=NATIVE_TASKS, console=console)


@bench.command()
def reactions(
    uploads: Annotated[int, typer.Option(min=1, help="How many uploads are offered.")] = 8,
    seconds: Seconds = 60,
    clip: Clip = None,
    data_dir: common.DataDir = None,
) -> None:
    """Time every reaction from the chunk that brings it about, while uploads come at half of what the stack can do."""
    from bench.reactions import measure

    console = Console()
    settings = common.settings(data_dir=data_dir)
    with _clip(settings, seconds, clip, console) as ours, stack_up(settings, console=console) as bootstrap:
        measure(ours, bootstrap, uploads=uploads, console=console)


@bench.command()
def memory(
    assets: Annotated[int, typer.Option(min=0, help="How many short assets are sent through; 0: none.")] = 500,
    hours: Annotated[float, typer.Option(min=0.05, help="Length of the one long asset.")] = 3.0,
    data_dir: common.DataDir = None,
) -> None:
    """Follow the memory of every role over many short assets, then over one long one; after a warm-up it must not grow."""
    from bench import long
    from bench.memory import many, one
    from processors.sample.programme import FRAMES, RATE

    console = Console()
    settings = common.settings(data_dir=data_dir)
    with tempfile.TemporaryDirectory(prefix="dailies-bench-") as folder:
        clips = [long.render(Path(folder) / f"short{n}.mkv", first=n * 300, frames=50 + 25 * n) for n in range(4)]
        repeats = max(1, round(hours * 3600 * RATE / FRAMES))
        whole = long.render(Path(folder) / "long.mkv", first=0, frames=FRAMES, repeats=repeats, console=console)
        with stack_up(settings, console=console) as bootstrap:
            stack = running(settings.data_dir)
            pids = {p.name: p.pid for p in stack.processes if p.pid is not None and p.role != "kafka"} if stack else {}
            if assets:
                many(Path(folder), clips, bootstrap, pids, assets=assets, console=console)
            one(whole, repeats * FRAMES, bootstrap, pids, console=console)
