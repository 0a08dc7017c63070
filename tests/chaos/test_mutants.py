"""Seeded mutants of small files, in this process: each ends in one final event, which says why if it is not complete."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.excerpts import generated
from tests.chaos.line import Line
from tests.chaos.mutate import OPERATORS, Excerpt, mutant
from tests.chaos.structure import layout

SEED, COUNT = 20_000, 300
CRASHES = 0.02
"""The share of mutants that may cost a child its life: mostly such as ask for too much memory."""


KEEP_LENGTH = {"header", "payload", "size", "index", "fill"}


@pytest.fixture(scope="module")
def excerpts() -> list[Excerpt]:
    found = list(generated())
    assert len(found) >= 20
    return found


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with Line(tmp_path_factory.mktemp("mutants")) as one:
        yield one


def test_whole_files_are_complete(excerpts: list[Excerpt], line: Line) -> None:
    for excerpt in excerpts:
        path = line.folder / excerpt.name
        path.write_bytes(excerpt.data)
        event = line.final(path)
        path.unlink()
        assert event.run.status == "complete", (excerpt.name, event.run.reason)
        assert all(c.analysed == c.expected > 0 for c in event.coverage.streams.values()), excerpt.name


def test_every_mutant_ends_in_one_event(excerpts: list[Excerpt], line: Line) -> None:
    ends = Counter[str]()
    for seed in range(SEED, SEED + COUNT):
        made = mutant(excerpts, seed)
        event = line.run(made)
        ends[event.run.status] += 1
        assert (event.run.reason is None) == (event.run.status == "complete"), made
    assert ends["complete"] > COUNT / 4 and ends["unprocessable"] > COUNT / 10, ends
    assert len(line.failures) <= 3 * CRASHES * COUNT, line.failures
    assert list(Path(line.folder).iterdir()) == []


def test_mutants_are_the_same_each_time(excerpts: list[Excerpt]) -> None:
    again = list(generated())
    assert [one.data for one in again] == [one.data for one in excerpts]
    made = [mutant(excerpts, seed) for seed in range(200)]
    assert made == [mutant(again, seed) for seed in range(200)]
    assert {kind for one in made for kind in one.kind.split("+")} == set(OPERATORS)
    assert len({one.data for one in made}) > 190


def test_operators_find_what_they_are_to_hit(excerpts: list[Excerpt]) -> None:
    for excerpt in excerpts:
        structured = excerpt.suffix not in (".mp3", ".aac", ".h264", ".y4m", ".mpg", ".asf", ".caf")
        found = layout(excerpt.data)
        assert bool(found.sizes) == structured, excerpt.name
        assert all(field.at >= 0 and field.at + field.size <= len(excerpt.data) for field in found.sizes), excerpt.name
        for kind, change in OPERATORS.items():
            changes = [change(excerpt.data, random.Random(seed), excerpts)[0] for seed in range(5)]
            assert any(data != excerpt.data for data in changes), (excerpt.name, kind)
            assert all(len(data) == len(excerpt.data) for data in changes) == (kind in KEEP_LENGTH)
