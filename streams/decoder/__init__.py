"""The decoder: takes jobs from media.segments, decodes in child processes, publishes chunks, native cells and manifests."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable

from confluent_kafka import KafkaException

from streams.attempts import AttemptLedger
from streams.chunklog import ChunkLog
from streams.decoder.budget import Budget
from streams.decoder.cancellations import Cancellations
from streams.decoder.needs import readers
from streams.decoder.pace import Pace
from streams.decoder.source_of_jobs import JobMessage, JobSource
from streams.decoder.worker import HANDLER, Shared, Worker, end_process
from streams.groups import SIGNALS, inference_group
from streams.log import get_logger
from streams.metrics import Decoding
from streams.producer import make_producer
from streams.secure import Bootstrap
from streams.settings import Settings
from streams.vitals import Vitals

POLL_SECONDS = 0.05

STOP_SECONDS = 3.0

logger = get_logger(__name__)


def run(
    settings: Settings,
    bootstrap: Bootstrap,
    ready: Callable[[], None],
    stop: threading.Event,
    *,
    handler: str = HANDLER,
    vitals: Vitals | None = None,
) -> None:
    """Decode until ``stop`` is set; ``ready`` is called once the first partitions are assigned.

    Stopping ends the children at once and leaves their jobs, uncommitted and uncounted, to the next decoder. A failure
    that could lose something ends the process with status 70 instead. ``handler`` is what the children run; ``vitals`` hear
    of what is done.
    """
    vitals = vitals or Vitals()
    metrics = Decoding(vitals.registry)
    workers: list[Worker] = []
    assigned = threading.Event()

    def first_assigned() -> None:
        if not assigned.is_set():
            assigned.set()
            vitals.health.ready()
            ready()

    def abandoned(message: JobMessage) -> None:
        for worker in workers:
            worker.abandon(message)

    source = JobSource(bootstrap, on_assigned=first_assigned, on_abandoned=abandoned, instance_id=settings.instance_id)
    log = ChunkLog(bootstrap)
    budget = Budget(settings.chunk_budget_bytes, log, readers(), waits=functools.partial(vitals.health.sign, "budget"))
    metrics.budget(lambda: budget.limit, lambda: budget.waiting, lambda: budget.waiters)
    shared = Shared(
        settings=settings,
        cancellations=Cancellations(bootstrap),
        source=source,
        producer=make_producer(bootstrap),
        budget=budget,
        pace=Pace(log, inference_group(SIGNALS)),
        attempts=AttemptLedger(settings.data_dir / "attempts" / "decoder", settings.attempts),
        stop=stop,
        vitals=vitals,
        metrics=metrics,
        handler=handler,
    )
    workers += [Worker(shared, number) for number in range(settings.decoders or cores())]
    try:
        budget.start()
        for worker in workers:
            worker.start()
        _serve(shared)
    except KafkaException as error:
        end_process(error)
    _close(shared, workers)


def _serve(shared: Shared) -> None:
    """Poll all the time: for jobs, for the group's sake, and for delivery reports that no worker waits for."""
    while not shared.stop.is_set():
        shared.source.poll(POLL_SECONDS)
        shared.producer.poll(0)
        shared.cancellations.poll()
        shared.vitals.health.beat()
        shared.vitals.saw(shared.source.behind, away=shared.source.away)


def _close(shared: Shared, workers: list[Worker]) -> None:
    logger.info("stopping")
    shared.vitals.health.stopping()
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join(STOP_SECONDS)
    shared.budget.close()
    shared.cancellations.close()
    shared.source.close()
    shared.producer.flush(STOP_SECONDS)
    logger.info("stopped")


def cores() -> int:
    """The cores that this process may use, at least 1."""
    return max(1, len(os.sched_getaffinity(0)))
