"""The aggregator role: alone owns an asset's state, issues its jobs, folds its results, publishes its one final event."""

from streams.aggregator.role import make

__all__ = ["make"]
