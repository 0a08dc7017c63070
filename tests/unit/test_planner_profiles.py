"""The planner and profiles: names are looked up in Dailies and in its folders, and the plan carries what they said."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from processors.probe.index import MediaIndex
from processors.profiles import Shelf
from schemas.plan import NoPlan, Plan
from schemas.uploads import Upload
from streams.attempts import AttemptLedger
from streams.guard import Retries
from streams.metrics import Planning
from streams.planner import Planner
from streams.vitals import Vitals
from tests.unit.test_plan import index

MINE = """\
name = "mine"
extends = "ebu-r128"

[[rules]]
id = "true-peak"
limit = {limit}
"""


class Prober:
    async def probe(self, uri: str) -> MediaIndex:
        return index()


def planned(folder: Path, *names: str) -> Plan | NoPlan:
    vitals = Vitals()
    planner = Planner(
        app=cast(Any, None),
        prober=cast(Any, Prober()),
        dead_letters=cast(Any, None),
        retries=Retries(3),
        ledger=AttemptLedger(folder / "attempts", 3),
        cores=1,
        shelf=Shelf((folder,)),
        vitals=vitals,
        metrics=Planning(vitals.registry),
    )
    upload = Upload("file:///x.mov", id="u1", time="2026-01-01T00:00:00Z", profiles=names)
    return asyncio.run(planner._plan(cast(Any, None), upload, "attempt"))


def limits(plan: Plan | NoPlan) -> dict[str, float | None]:
    assert isinstance(plan, Plan)
    (profile,) = plan.judged_by
    return {rule.id: rule.limit for rule in profile.rules}


def test_a_name_of_a_folder_is_planned_with_its_rules(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(MINE.format(limit=-3))
    before = planned(tmp_path, "mine")
    mine.write_text(MINE.format(limit=-6))
    after = planned(tmp_path, "mine")
    assert limits(before) == {"programme-loudness": -23.0, "true-peak": -3.0}
    assert limits(after)["true-peak"] == -6.0
    assert before.run != after.run


@pytest.mark.parametrize("name", ["./mine.toml", "{folder}/mine.toml", "../mine", "mine.toml", "yours"])
def test_an_upload_s_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.toml").write_text(MINE.format(limit=-3))
    refused = planned(tmp_path, name.format(folder=tmp_path))
    assert isinstance(refused, NoPlan)
    assert (refused.reason, refused.message.startswith("there is no profile ")) == ("unknown_profile", True)


def test_a_broken_profile_ends_the_upload_with_its_line_and_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE.format(limit='"loud"'))
    refused = planned(tmp_path, "mine")
    assert isinstance(refused, NoPlan)
    assert refused.reason == "bad_profile"
    assert refused.message.startswith("mine.toml:6: limit: ")
    assert str(tmp_path) not in refused.message
