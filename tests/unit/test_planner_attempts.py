"""What counts as an attempt to plan an upload: a topic that refuses the plan says nothing of the upload."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from aiokafka.errors import MessageSizeTooLargeError

from processors.probe.index import MediaIndex
from processors.profiles import Shelf
from schemas.errors import Unprocessable
from streams import planner as module
from streams.attempts import AttemptLedger
from streams.guard import Retries
from streams.metrics import Planning
from streams.planner import Planner
from streams.record import Record
from streams.vitals import Vitals
from tests.unit.test_plan import index

ATTEMPTS = 3


class Prober:
    def __init__(self, error: Unprocessable | None) -> None:
        self.error = error

    async def probe(self, uri: str) -> MediaIndex:
        if self.error is not None:
            raise self.error
        return index()


@pytest.mark.parametrize(
    ("error", "profile", "reason"),
    [
        (None, "ebu-r128", None),
        (Unprocessable("no media", reason="not_media"), "ebu-r128", "not_media"),
        (None, "no-such", "unknown_profile"),
    ],
)
def test_a_refused_plan_is_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Unprocessable | None, profile: str, reason: str | None
) -> None:
    published: list[dict[str, Any]] = []
    tries: list[str] = []

    async def publish(app: object, topic: str, key: bytes, value: bytes, headers: object) -> None:
        tries.append(topic)
        if len(tries) <= ATTEMPTS + 2:
            raise MessageSizeTooLargeError
        published.append(orjson.loads(value))

    monkeypatch.setattr(module, "publish", publish)
    vitals = Vitals()
    planner = Planner(
        app=cast(Any, None),
        prober=cast(Any, Prober(error)),
        dead_letters=cast(Any, None),
        retries=Retries(ATTEMPTS),
        ledger=AttemptLedger(tmp_path / "attempts", ATTEMPTS),
        cores=1,
        shelf=Shelf(()),
        vitals=vitals,
        metrics=Planning(vitals.registry),
    )
    value = orjson.dumps({"uri": "file:///x.mov", "profiles": [profile]})
    record = Record(topic="media.uploads", partition=0, offset=7, key=None, value=value, headers={})

    async def until_published() -> None:
        while not published:
            try:
                await planner.handle(record)
            except MessageSizeTooLargeError:
                continue

    asyncio.run(until_published())
    assert [plan.get("reason") for plan in published] == [reason]
