"""The consumer groups: whose committed offsets say what has been read."""

from __future__ import annotations

DECODERS = "dailies-decoder"

SIGNALS = "signals"
"""The task group of plain arithmetic: it keeps pace with decoding, and never loads torch."""

_INFERENCE = "dailies-inference-"


def inference_group(group: str) -> str:
    """The consumer group of a task group."""
    return f"{_INFERENCE}{group}"
