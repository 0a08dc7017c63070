"""How a stack's start looks on a terminal, and in a log: one line for each process that became ready or died."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from streams.local.state import StackState


class Progress:
    """Prints the changes between the states that it is called with; on a terminal also what is still awaited."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("starting Kafka …", console=console)
        self._printed: dict[str, tuple[str, int]] = {}
        self._was_ready = False

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._status.stop()

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def __call__(self, stack: StackState) -> None:
        """Prints what is new in this state."""
        for process in stack.processes:
            now = (process.state, process.restarts)
            if self._printed.get(process.name) == now:
                continue
            self._printed[process.name] = now
            if process.state == "ready":
                self.say(f"{process.name} ready in {process.seconds:.1f} s")
            elif process.state == "failed":
                self.say(f"{process.name} ended; it is started again (its log: {process.log})")
        awaited = [process.name for process in stack.processes if process.state != "ready"]
        if stack.state == "stopping":
            self._status.update("ending …")
        elif stack.state == "ready" and not self._was_ready:
            self._was_ready = True
            self._status.stop()
            self.say(f"everything is ready; Kafka at {stack.bootstrap}")
        elif awaited:
            self._status.update(f"starting {', '.join(awaited)} …")
