"""Reactions: read in order they amount to the final findings, whatever comes in which order and whatever dies in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import pytest

from processors import profiles, tasks
from processors.sidecar import SidecarWriter
from schemas.events import ContentMetadata
from schemas.profiles import RuleData
from schemas.reactions import Reaction
from schemas.types import EventType
from streams.aggregator.service import Service
from tests.sums import CHUNKS, PLANNED, ROWS, SEGMENTS, Kafka, SumTask, cell, manifest, messages_of, plan, seeded

NEWER = {"id": "a", "code": "video.black", "op": "smells", "outcome": "fail", "severity": "major", "overridable": True}
"""A rule that a later version might have."""


@pytest.fixture(autouse=True)
def only_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "registry", lambda: {"sum": SumTask()})


def reactions(kafka: Kafka) -> list[Reaction]:
    bodies = [orjson.loads(value) for value in kafka.on("media.reactions")]
    return [Reaction.model_validate(body) for body in bodies if body.get("finding")]


def standing(said: Sequence[Reaction]) -> dict[str, dict[str, object]]:
    """What a subscriber that follows the reactions believes at the end."""
    found: dict[str, dict[str, object]] = {}
    for r in sorted(said, key=lambda r: r.seq):
        if r.phase in ("withdrawn", "merged"):
            found.pop(r.finding.id)
        else:
            found[r.finding.id] = r.finding.model_dump()
    return found


def run(messages: Sequence[tuple[dict[str, bytes], bytes]], tmp_path: Path, kill: random.Random | None = None) -> Kafka:
    """Drive the aggregator through messages; with ``kill`` it dies now and then, also between two things it publishes."""
    kafka, table, writer = Kafka(), {}, SidecarWriter((tmp_path / "side").as_uri())

    async def emit(topic: str, key: bytes, value: bytes, headers: dict[str, bytes]) -> tuple[str, int, int]:
        if kill is not None and kill.random() < 0.15:
            raise ConnectionError("killed before it was published")
        place = await kafka.emit(topic, key, value, headers)
        if kill is not None and kill.random() < 0.15:
            raise ConnectionError("killed after it was published")
        return place

    async def drive() -> None:
        for headers, value in messages:
            while True:
                try:
                    await Service(table, writer, emit).handle(headers, value)
                    break
                except ConnectionError:
                    continue

    asyncio.run(drive())
    return kafka


def final(kafka: Kafka) -> ContentMetadata:
    (body,) = set(kafka.finals())
    return ContentMetadata.model_validate_json(body)


def test_a_finding_is_said_as_soon_as_it_is_certain(tmp_path: Path) -> None:
    values = np.zeros(SEGMENTS * CHUNKS * ROWS)
    values[2:4] = 1
    cells = [cell(0, n, values) for n in range(CHUNKS)]
    first = ({"ce_type": EventType.CELL.encode(), "ce_id": b"cell-0", **cells[0].headers()}, cells[0].value)
    kafka = run([PLANNED, first], tmp_path)
    (said,) = reactions(kafka)
    assert (said.phase, said.seq, said.finding.start_frame, said.finding.end_frame) == ("end", 1, 2, 4)
    assert said.watermark.contiguous_to == ROWS - 1
    assert said.correlation == plan().correlation
    (headers,) = [h for topic, _, value, h in kafka.sent if topic == "media.reactions" and b'"finding":{' in value]
    assert headers["ce_causationid"] == b"cell-0"


@pytest.mark.parametrize("seed", range(20))
def test_reactions_amount_to_the_findings(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.aggregator.service.CHECKPOINT_CELLS", 3)
    rng = random.Random(seed)
    messages = messages_of(seeded()) * 2
    rng.shuffle(messages)
    messages.insert(rng.randrange(6), PLANNED)
    kafka = run(messages, tmp_path, kill=rng)
    said = reactions(kafka)
    by_number = {r.seq: r for r in said}
    assert all(by_number[r.seq] == r for r in said), "a number stands for one content"
    assert sorted(by_number) == list(range(1, len(by_number) + 1))
    assert standing(list(by_number.values())) == {f.id: f.model_dump() for f in final(kafka).findings}
    ended = {r.finding.id for r in said if r.phase == "end"}
    assert ended >= {f.id for f in final(kafka).findings}


def test_a_chunk_ahead_of_the_prefix_speaks_for_what_lies_inside_it(tmp_path: Path) -> None:
    values = np.zeros(SEGMENTS * CHUNKS * ROWS)
    ahead = (2 * CHUNKS + 1) * ROWS
    values[ahead + 1 : ahead + 3] = 1  # begins and ends inside the chunk
    values[ahead + 4] = 1  # reaches its end
    values[ahead - ROWS] = 1  # another chunk's first row: it may have begun before
    order = [cell(2, n, values) for n in (1, 0)]
    messages = [({"ce_type": EventType.CELL.encode(), **c.headers()}, c.value) for c in order]
    kafka = run([PLANNED, *messages], tmp_path)
    (said,) = reactions(kafka)
    assert (said.phase, said.finding.start_frame, said.watermark.contiguous_to) == ("end", ahead + 1, 0)
    kafka = run([PLANNED, *messages, *messages_of(values)], tmp_path)
    known = [r for r in reactions(kafka) if r.finding.start_frame == ahead + 1]
    assert len(known) == 1, "the prefix says nothing new of it"
    assert standing(reactions(kafka)) == {f.id: f.model_dump() for f in final(kafka).findings}


def test_what_was_said_ahead_and_turns_out_otherwise_is_taken_back(tmp_path: Path) -> None:
    """Other data than the manifest names: the early word on them must not stand."""
    values = np.zeros(SEGMENTS * CHUNKS * ROWS)
    wrong = values.copy()
    wrong[(2 * CHUNKS) * ROWS + 1] = 1
    early = cell(2, 0, wrong)
    kafka = run(
        [PLANNED, ({"ce_type": EventType.CELL.encode(), **early.headers()}, early.value), *messages_of(values)], tmp_path
    )
    assert [r.phase for r in reactions(kafka)] == ["end", "withdrawn"]
    assert final(kafka).findings == ()


def test_rules_come_with_the_reaction(tmp_path: Path) -> None:
    values = np.zeros(SEGMENTS * CHUNKS * ROWS)
    values[7:9] = 1
    whole = plan().model_copy(update={"profiles": ("feature-picture", "gone")})
    planned = (PLANNED[0], whole.model_dump_json().encode())
    said = [r for r in reactions(run([planned, *messages_of(values)], tmp_path)) if r.finding.code == "video.black"]
    (rule,) = said[-1].rules
    assert (rule.code, rule.outcome, rule.finality, rule.suggested_action) == (
        "video.black",
        "not_evaluated",
        "provisional",
        "none",
    )


def test_an_asset_is_judged_by_what_its_plan_carries_whatever_the_file_says_since(tmp_path: Path) -> None:
    """The name is one of Dailies', and the rules are others: those of the moment when the plan was made."""
    rules = profiles.load("feature-picture").rules
    strict = rules[0].model_copy(update={"limit": 0.0})
    then = profiles.load("feature-picture").model_copy(update={"sha256": "5" * 64, "rules": (strict, *rules[1:])})
    unreadable = profiles.carried(then).model_copy(update={"name": "newer", "rules": (RuleData(**NEWER),)})
    values = np.zeros(SEGMENTS * CHUNKS * ROWS)
    values[7:9] = 1
    named = ("feature-picture", "newer", "gone")
    whole = plan().model_copy(update={"profiles": named, "judged_by": (profiles.carried(then), unreadable)})
    kafka = run([(PLANNED[0], whole.model_dump_json().encode()), *messages_of(values)], tmp_path)
    (rule,) = [r for r in reactions(kafka) if r.finding.code == "video.black"][-1].rules
    assert (rule.limit, rule.outcome) == (0.0, "review")
    verdict, newer, gone = final(kafka).verdicts
    assert (verdict.profile_sha256, verdict.outcome, verdict.rules[0].limit) == ("5" * 64, "review", 0.0)
    assert (newer.outcome, newer.profile_sha256, newer.rules) == ("not_evaluated", "5" * 64, ())
    assert "rules.0.op" in (newer.reason or "")
    assert (gone.outcome, gone.profile_sha256) == ("not_evaluated", "")
    assert "there is no profile 'gone'" in (gone.reason or "")


def test_a_failed_job_reports_no_reaction_twice(tmp_path: Path) -> None:
    values = seeded()
    segments = [[cell(s, n, values) for n in range(CHUNKS)] for s in range(SEGMENTS)]
    messages = [PLANNED]
    for cells in segments:
        messages += [({"ce_type": EventType.CELL.encode(), **c.headers()}, c.value) for c in cells]
        messages.append(({"ce_type": EventType.MANIFEST.encode()}, manifest(cells[0].key.segment, cells).to_bytes()))
    said = reactions(run(messages, tmp_path))
    assert len({r.seq for r in said}) == len(said)
    assert [r.seq for r in said] == list(range(1, len(said) + 1))
