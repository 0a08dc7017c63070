"""Probing in the sandbox: ``Child("processors.probe.child:handle")``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import Buffer

from processors.limits import MediaLimits
from processors.probe import probe
from processors.probe.index import MediaIndex
from processors.source import SourcePolicy


def handle(request: dict[str, Any], send: Callable[[dict[str, Any], Buffer], None]) -> None:
    """Answer ``{"uri", "policy", "limits"}`` with one message ``{"type": "index"}`` whose body is the index as JSON."""
    index = probe(request["uri"], SourcePolicy.from_json(request["policy"]), MediaLimits.from_json(request.get("limits")))
    send({"type": "index"}, index.model_dump_json().encode())


def parse(body: bytes) -> MediaIndex:
    """The index from a message's body."""
    return MediaIndex.model_validate_json(body)
