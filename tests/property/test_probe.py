"""Damaged files: whatever is wrong with one, probing gives an index or a reason, and a plan can be made of the index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.plan import PlanRequest, make_plan
from processors.probe.child import parse
from processors.sandbox import Child, Limits
from schemas.errors import Unprocessable
from tests.decoding import render

CLIPS = {
    "a.mp4": ("libx264", {"g": "8", "preset": "ultrafast"}),
    "b.mkv": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    "c.ts": ("mpeg2video", {"g": "8"}),
    "d.webm": ("libvpx", {"deadline": "realtime", "g": "8"}),
    "e.mxf": ("mpeg2video", {"g": "8"}),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("damaged")
    made = CLIPS.items()
    return {n: render(folder / n, frames=16, codec=c, options=o, size=(64, 48)).read_bytes() for n, (c, o) in made}


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child("processors.probe.child:handle", Limits(wall_seconds=60, memory_bytes=1 << 30)) as one:
        yield one


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_gives_an_index_or_a_reason(clips: dict[str, bytes], child: Child, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(clips)))
    content = bytearray(clips[name])
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=20)):
        content[place] = value
    for place in data.draw(st.lists(st.integers(0, min(2000, len(content)) - 1), max_size=10)):
        content[place] ^= 0xFF
    cut = data.draw(st.just(len(content)) | st.integers(0, len(content)))
    (tmp_path / name).write_bytes(content[:cut])
    try:
        (message,) = child.call({"uri": str(tmp_path / name), "policy": {"schemes": ["file"], "roots": []}})
    except Unprocessable as error:
        assert error.reason in ("empty", "not_media", "no_streams", "too_many_streams")
        return
    plan = make_plan(parse(message.body), PlanRequest("e", "2026-01-01T00:00:00Z", "1"))
    assert plan.jobs and plan.jobs[-1].last
