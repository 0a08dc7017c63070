"""The consumer groups: whose committed offsets say what has been read."""

from __future__ import annotations

PLANNERS = "dailies-planner"

DECODERS = "dailies-decoder"

CANCELLATIONS = f"{DECODERS}-cancellations-"
"""Begins the groups of those who hear of cancellations: each decoder for itself, from now on, without a commit."""

COMMANDS = "dailies-cli-"
"""Begins the groups of commands, which join none and commit nothing."""

SUBSCRIBERS = "dailies-subscriber-"
"""Begins the groups of readers of what is published, as far as they follow our example."""

SIGNALS = "signals"
"""The task group of plain arithmetic: it keeps pace with decoding, and never loads torch."""

STATIC_SESSION_SECONDS = 60
"""How long the partitions of a member with a lasting name wait for it; whoever has none leaves when it stops."""

_INFERENCE = "dailies-inference-"


def inference_group(group: str) -> str:
    """The consumer group of a task group."""
    return f"{_INFERENCE}{group}"
