"""Kafka's start made cheap: Java's ahead-of-time cache, trained once by ``make setup`` (``python -m streams.local.aot``).

With it a start takes half the CPU time. Nothing needs it: without one the JVM starts as ever.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Consumer, Producer

from schemas.errors import BrokerError, SetupError
from streams import admin
from streams.connect import QUIET
from streams.local import jars
from streams.local.broker import Broker
from streams.local.java import aot_cache
from streams.topics import UPLOADS

STOP_SECONDS = 300.0
RECORDS = 500
RECORD_BYTES = 1000


def train(say: Callable[[str], object]) -> Path:
    """Runs a broker through ordinary work in a scratch folder and keeps what the JVM learned; returns the cache's path.

    Raises:
        SetupError: Kafka did not start, or the JVM wrote no cache.
    """
    class_path = jars.class_path(say=say)
    target = aot_cache(class_path)
    if target.exists():
        return target
    say("training Kafka's start (once)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".train-") as scratch:
        fresh = Path(scratch) / target.name
        broker = Broker(Path(scratch) / "kafka", class_path=class_path, java_options=(f"-XX:AOTCacheOutput={fresh}",))
        with broker:
            _exercise(broker.bootstrap)
            # The JVM writes the cache when it ends, which takes some seconds.
            broker.stop(STOP_SECONDS)
        if not fresh.exists():
            raise BrokerError(f"Java wrote no ahead-of-time cache:\n{broker.log.read_text()[-2000:]}")
        fresh.replace(target)
    return target


def _exercise(bootstrap: str) -> None:
    """Topics, records in, records out, offsets: what every stack does."""
    admin.apply(bootstrap)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True}, logger=QUIET)
    for number in range(RECORDS):
        producer.produce(UPLOADS.name, bytes(RECORD_BYTES), key=str(number))
    producer.flush()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "training", "auto.offset.reset": "earliest"}, logger=QUIET)
    consumer.subscribe([UPLOADS.name])
    seen = 0
    while seen < RECORDS:
        seen += len(consumer.consume(RECORDS, 1.0))
    consumer.close()


def main() -> None:
    """Trains, and says what it does."""
    try:
        train(lambda text: sys.stderr.write(f"{text}\n"))
    except SetupError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
