"""A stack for the time of a block: the one that is up, or one that is brought up and taken down again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from schemas.errors import SetupError
from streams.local import detach, state
from streams.local.progress import Progress
from streams.secure import PLAIN, Cluster
from streams.settings import Settings


@contextmanager
def stack_up(settings: Settings, *, keep: bool = False, console: Console | None = None) -> Iterator[Cluster]:
    """Gives the cluster of the data folder's stack; a stack that was up before stays up.

    One that is brought up here goes down with the block, and with this process however it ends, unless ``keep``.

    Raises:
        SetupError: it does not come up, or another process is starting it at this moment.
    """
    named = state.named_cluster(settings)
    security = named.security if named else PLAIN
    if (running := state.running(settings.data_dir)) is not None:
        if running.state != "ready" or running.bootstrap is None:
            raise SetupError(f"the stack in {settings.data_dir} is {running.state}: try again in a moment.")
        yield Cluster(running.bootstrap, security)
        return
    with Progress(console or Console()) as progress:
        stack = detach.up(detach.command(settings, tied=not keep), settings.data_dir, progress)
    try:
        yield Cluster(stack.bootstrap or "", security)
    finally:
        if not keep:
            detach.down(settings.data_dir)
