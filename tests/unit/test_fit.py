"""A final event stays a message."""

from __future__ import annotations

import json

import pytest

from processors.fit import LIMIT_BYTES, fit
from schemas.events import Shot
from tests.looks import made


@pytest.mark.parametrize("number", [10, 20_000])
def test_long_tracks_go_elsewhere(number: int) -> None:
    written: dict[str, bytes] = {}

    def put(name: str, data: bytes) -> str:
        written[name] = data
        return f"file:///side/{name}.json"

    before = made(number, cuts=range(1, number))
    after = fit(before, put)
    assert len(after.model_dump_json()) <= LIMIT_BYTES
    if number == 10:
        assert after is before
        assert not written
    else:
        assert after.tracks.shots == ()
        assert after.tracks.elsewhere["shots"].count == number
        assert [Shot(**entry) for entry in json.loads(written["shots"])] == list(before.tracks.shots)
