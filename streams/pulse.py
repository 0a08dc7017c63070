"""A Faust app's pulse: proof that its loop turns, and a look at what its consumer knows."""

from __future__ import annotations

import asyncio
from typing import cast

import faust

from streams.flow import Consumer
from streams.health import Phase
from streams.log import get_logger
from streams.vitals import Vitals

PULSE_SECONDS = 1.0

logger = get_logger(__name__)


async def pulse(app: faust.App, vitals: Vitals) -> None:
    """Beat until cancelled. Once the app is ready each beat looks at its lag as well.

    Raises what has ended the consumer's group membership: a process without one does nothing any more.
    """
    interval = min(PULSE_SECONDS, vitals.health.patience / 4)
    while True:
        vitals.health.beat()
        if (reason := _fallen(app)) is not None:
            raise reason
        if vitals.health.phase is Phase.READY:
            try:
                consumer = cast(Consumer, app.consumer)
                moving = bool(app.rebalancing or app.in_recovery)
                vitals.saw(consumer.behind(), away=consumer.away, moving=moving)
            except Exception as error:  # the consumer's thread changes under the look: the next one finds it whole
                logger.warning("not looked at the lag", error=repr(error))
        await asyncio.sleep(interval)


def _fallen(app: faust.App) -> BaseException | None:
    try:
        return cast(Consumer, app.consumer).fallen()
    except Exception:  # it is only just being made, or its thread changes under the look
        return None
