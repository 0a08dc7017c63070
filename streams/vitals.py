"""A role's vitals: its health and its metrics, told of each thing that happens in one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from streams.health import Health
from streams.metrics import Common
from streams.record import Record
from streams.settings import Settings

if TYPE_CHECKING:  # the guard is Faust's, and the decoder runs no Faust
    from streams.guard import Outcome


class Vitals:
    """Of one process. Each role adds metrics of its own to ``registry``."""

    def __init__(self, health: Health | None = None, *, role: str = "") -> None:
        self.health = health or Health()
        self.registry = CollectorRegistry()
        self.common = Common(self.registry, self.health, role)

    @classmethod
    def of(cls, role: str, settings: Settings) -> Vitals:
        """Those of a role with the settings' patience."""
        return cls(Health(settings.patience_seconds), role=role)

    def settled(self, record: Record, outcome: Outcome) -> None:
        """The guard has settled a message."""
        self.acked(record.topic, outcome.value)

    def acked(self, topic: str, outcome: str) -> None:
        """A message is done with; ``outcome`` is one of a few words."""
        self.common.acks.labels(topic, outcome).inc()
        self.health.acked()

    def retried(self, topic: str) -> None:
        """An attempt failed, and there will be another: attempts are bounded, so this is a sign of life."""
        self.common.retries.labels(topic).inc()
        self.health.sign("retries")

    def dead_lettered(self) -> None:
        """A dead letter is in Kafka."""
        self.common.dead_letters.inc()

    def saw(self, lag: Mapping[str, int], *, away: bool, moving: bool = False) -> None:
        """The consumer was looked at (see :meth:`streams.health.Health.saw`)."""
        for topic in {*self.health.lag, *lag}:  # of one whose partitions went away nothing waits here
            self.common.lag.labels(topic).set(lag.get(topic, 0))
        self.health.saw(lag, away=away, moving=moving)
