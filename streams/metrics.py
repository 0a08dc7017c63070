"""Every metric, by role. Names follow Prometheus' conventions; no label ever takes a value that grows with the assets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.health import Health
from streams.version import code_version

INFERENCE_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""Seconds; one task on one chunk."""

DECODE_BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
"""Seconds; one job, from a second of sound to a feature's."""

PROBE_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 600)
"""Seconds; one source."""


class Common:
    """What every role has."""

    def __init__(self, registry: CollectorRegistry, health: Health, role: str) -> None:
        ProcessCollector(registry=registry)
        Info("dailies_role", "Which role this is, and its code.", registry=registry).info(
            {"role": role, "version": code_version()}
        )
        self.lag = Gauge("dailies_lag_records", "Records not yet committed.", ["topic"], registry=registry)
        self.acks = Counter("dailies_acks", "Messages settled.", ["topic", "outcome"], registry=registry)
        self.retries = Counter(
            "dailies_retries", "Failed attempts that were followed by another.", ["topic"], registry=registry
        )
        self.dead_letters = Counter("dailies_dead_letters", "Dead letters written.", registry=registry)
        _live(registry, "dailies_last_ack_age_seconds", "Since a message was last settled.", lambda: health.ack_age)
        _live(registry, "dailies_silence_seconds", "Without a sign of life while records wait.", lambda: health.silence)
        _live(registry, "dailies_live", "Whether /live answers 200.", lambda: health.live().ok)
        _live(registry, "dailies_ready", "Whether /ready answers 200.", lambda: health.readiness().ok)
        _live(registry, "dailies_broker_reachable", "Whether Kafka is in reach.", lambda: not health.away)


class Planning:
    """The planner's own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.plans = Counter("dailies_plans", "Uploads planned, or refused.", ["result"], registry=registry)
        self.probing = Histogram(
            "dailies_probe_seconds", "Wall-clock time to probe a source.", buckets=PROBE_BUCKETS, registry=registry
        )


class Decoding:
    """The decoder's own; children report to the parent, where these are kept."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.chunks = Counter("dailies_produced_chunks", "Chunks produced.", ["rendition"], registry=registry)
        self.bytes = Counter("dailies_produced_bytes", "Bytes of chunks produced.", ["rendition"], registry=registry)
        self.frames = Counter("dailies_decoded_frames", "Video frames decoded, of finished jobs.", registry=registry)
        self.samples = Counter("dailies_decoded_samples", "Samples a channel decoded, of finished jobs.", registry=registry)
        self.jobs = Histogram(
            "dailies_decode_seconds", "Wall-clock time of a finished job.", ["kind"], buckets=DECODE_BUCKETS, registry=registry
        )
        self.cpu = Counter(
            "dailies_decode_cpu_seconds",
            "CPU time of decode children by stage, of finished jobs.",
            ["stage"],
            registry=registry,
        )
        self.active = Gauge("dailies_jobs_active", "Jobs that decode children work on.", registry=registry)
        self._registry = registry

    def budget(self, limit: Callable[[], int], waiting: Callable[[], int], waiters: Callable[[], int]) -> None:
        """Show the byte budget: this decoder's share, what counts against it, and the workers that wait for room."""
        _live(self._registry, "dailies_budget_bytes", "This decoder's share of the chunk budget.", limit)
        _live(self._registry, "dailies_budget_used_bytes", "Bytes of chunks that count against the share.", waiting)
        _live(self._registry, "dailies_budget_waiting_workers", "Workers that wait for room (backpressure).", waiters)


class Inferring:
    """The inference role's own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.chunks = Counter("dailies_read_chunks", "Chunks read.", ["rendition"], registry=registry)
        self.bytes = Counter("dailies_read_bytes", "Bytes of chunks read.", ["rendition"], registry=registry)
        self.failures = Counter("dailies_task_failures", "Tasks that were given up on a chunk.", ["task"], registry=registry)
        self.seconds = Histogram(
            "dailies_inference_seconds",
            "Wall-clock time of a task on a chunk.",
            ["task"],
            buckets=INFERENCE_BUCKETS,
            registry=registry,
        )


class Aggregating:
    """The aggregator's own."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float] = time.time) -> None:
        self.events = Counter("dailies_final_events", "Final events published.", ["status"], registry=registry)
        self.reactions = Counter("dailies_reactions", "Reactions published.", ["phase"], registry=registry)
        self.repairs = Counter("dailies_repairs", "Jobs issued again, or given up.", ["result"], registry=registry)
        self.assets = Gauge("dailies_assets_in_flight", "Assets planned and not closed.", registry=registry)
        self._oldest: float | None = None
        _live(
            registry,
            "dailies_oldest_asset_age_seconds",
            "Since the upload of the oldest asset in flight; 0 without one.",
            lambda: 0.0 if self._oldest is None else max(0.0, now() - self._oldest),
        )

    def in_flight(self, begun: Iterable[float]) -> None:
        """The assets in flight, by the time of their uploads (seconds since the epoch)."""
        times = list(begun)
        self.assets.set(len(times))
        self._oldest = min(times, default=None)


class GpuMemory(Collector):
    """What torch holds of the GPU, by kind; ``read`` gives bytes and must not wait for the device."""

    def __init__(self, registry: CollectorRegistry, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        family = GaugeMetricFamily("dailies_gpu_memory_bytes", "GPU memory held by torch.", labels=["kind"])
        for kind, size in self._read().items():
            family.add_metric([kind], size)
        yield family


def _live(registry: CollectorRegistry, name: str, text: str, read: Callable[[], float]) -> None:
    """A gauge that is read when it is asked for."""
    Gauge(name, text, registry=registry).set_function(read)
