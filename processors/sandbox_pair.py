"""Two children for one handler: one that can open no socket, for local files, and one that can, for all that lies elsewhere.

A filter against sockets cannot be taken off again, and one that knows of addresses does not exist: so the scheme of what is
asked for decides which child is asked. The second one is only started when something asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from processors.policy import to_uri
from processors.sandbox import Child, Limits, Message
from schemas.errors import SourceRefused


class ChildPair:
    """Used like a :class:`Child`, with the URI that a request is about. One call at a time; ``kill`` from any thread."""

    def __init__(self, handler: str, limits: Limits, *, heard: Callable[[], object] = lambda: None) -> None:
        self.limits = limits
        self._local = Child(handler, replace(limits, network=False), heard=heard)
        self._remote = Child(handler, replace(limits, network=True), heard=heard)

    def start(self) -> None:
        """Start the child for local files, so that the first call need not wait for its imports."""
        self._local.start()

    def call(self, uri: str, request: Mapping[str, Any]) -> Iterator[Message]:
        """As :meth:`Child.call`."""
        return (self._local if _is_local(uri) else self._remote).call(request)

    def kill(self) -> None:
        """End whatever runs, at once."""
        self._local.kill()
        self._remote.kill()

    def close(self) -> None:
        """End both: idle ones in peace."""
        self._local.close()
        self._remote.close()


def _is_local(uri: str) -> bool:
    """Also a malformed one, which the child refuses: that takes no socket."""
    try:
        return to_uri(uri).startswith("file:")
    except SourceRefused:
        return True
