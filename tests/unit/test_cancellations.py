"""What a decoder drops of cancelled assets, and what it does when they are asked for again."""

from __future__ import annotations

import pytest

from schemas.plan import Cancel
from schemas.types import EventType
from streams.decoder.cancellations import Cancellations
from tests.sums import plan

JOB = plan().jobs[0]


@pytest.mark.parametrize(
    ("run", "other", "dropped"),
    [("r", "r", (True, True)), ("another", "r", (False, False)), (None, "r", (True, False)), (None, "r2", (True, False))],
)
def test_jobs_from_before_are_dropped_and_those_of_a_later_run_done(
    run: str | None, other: str, dropped: tuple[bool, bool]
) -> None:
    known = Cancellations("127.0.0.1:1")
    try:
        cancel = Cancel(asset=JOB.asset.id, run=run)
        known._hear({"ce_type": EventType.CANCEL.encode()}, cancel.model_dump_json().encode(), 100.0)
        job = JOB.model_copy(update={"run": other})
        assert (known.concern(job, 99.0), known.concern(job, 101.0)) == dropped
    finally:
        known.close()
