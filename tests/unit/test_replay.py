"""What a replay publishes, and what dead letters say of what they are about."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from schemas.chunk import ChunkHeader, Part
from schemas.errors import ChildCrashed, WireError
from schemas.ids import digest
from schemas.uploads import Uploads, parse_upload
from streams import letterbox, replay
from streams.deadletters import DeadLetter, dead_letter
from streams.letterbox import MARKER, Letter, NoSuchLetter
from streams.record import Record
from streams.replay import Request
from tests.sums import plan

ASSET = "a" * 32
URI = "file:///x.mp4"
ASKED = {ASSET: [Request(URI, "old", {"tasks": ["shots"]}), Request(URI, "r", {"tasks": None, "priority": "urgent"})]}


def chunk_record(n: int, *, run: str = "r") -> Record:
    header = ChunkHeader(ASSET, run, "a0", 0, "audio", n, 0, (1, 0), 0, (1, 0), True, {}, (0,), (Part("x", "u1", (1,)),))
    return Record("media.chunks.audio", 0, n, header.key, b"\1", {"chunk": header.to_bytes(), "tasks": b'["loudness"]'})


def upload_record(value: bytes = b'{"uri": "file:///x.mp4"}', offset: int = 5) -> Record:
    return Record("media.uploads", 1, offset, b"k", value, {"ce_id": b"E-1"})


def job_record() -> Record:
    job = plan().jobs[0]
    return Record("media.segments", 2, 7, job.key, job.model_dump_json().encode(), {})


def given_up(original: Record, at: float = 100.0, error: BaseException | None = None) -> Record:
    key, value, headers = dead_letter(original, stage="test", attempts=3, error=error or ChildCrashed("signal 11"))
    return Record("media.dead-letters", 0, 0, key, value, headers, at)


def marker(letter: Letter, times: int) -> Record:
    body = orjson.dumps({"at": "2026-01-01T00:00:00Z", "event": "e", "times": times})
    return Record("media.dead-letters", 0, 0, None, body, {MARKER: letter.id.encode()}, 200.0)


def box(*originals: Record) -> list[Letter]:
    return letterbox.letters(given_up(original, at) for at, original in enumerate(originals))


def prepare(
    chosen: list[Letter], known: list[Letter] | None = None, asked: dict[str, list[Request]] | None = None
) -> replay.Replays:
    return replay.prepare(chosen, known or chosen, ASKED if asked is None else asked, lambda letter: letter.dead.original)


def test_letters_say_what_they_are_about() -> None:
    found = box(
        chunk_record(1),
        job_record(),
        upload_record(),
        upload_record(b"not json", 6),
        Record("media.inferences", 0, 1, ASSET.encode(), b"", {}),
        Record("media.segments", 0, 1, b"", b"junk", {}),
    )
    assert [(one.asset, one.run, one.uri) for one in found] == [
        (ASSET, "r", None),
        (ASSET, "r", URI),
        (None, None, URI),
        (None, None, None),
        (ASSET, None, None),
        (None, None, None),
    ]


def test_letters_are_found_once_with_their_replays_and_junk_passed_over() -> None:
    (one,) = box(chunk_record(1))
    records = [given_up(chunk_record(1), 5.0), given_up(chunk_record(1), 6.0), marker(one, 2), marker(one, 1)]
    junk = [Record("d", 0, 0, None, b"x", {}), Record("d", 0, 0, None, b"x", {MARKER: b"1"})]
    (found,) = letterbox.letters([*records, *junk])
    assert [replayed.times for replayed in found.replays] == [1, 2]


def test_letters_are_named_by_the_start_of_their_ids() -> None:
    known = box(*[chunk_record(n) for n in range(20)])
    assert letterbox.by_prefix(known, known[3].id) == known[3]
    with pytest.raises(NoSuchLetter, match="there is no dead letter 'xyz'"):
        letterbox.by_prefix(known, "xyz")
    with pytest.raises(NoSuchLetter, match="there is no dead letter ''"):
        letterbox.by_prefix(known, "")
    ambiguous = next(c for c in "0123456789abcdef" if sum(one.id.startswith(c) for one in known) > 1)
    with pytest.raises(NoSuchLetter, match="dead letters begin with"):
        letterbox.by_prefix(known, ambiguous)


def test_letters_match_by_asset_error_and_stage() -> None:
    known = box(chunk_record(1), job_record(), upload_record())
    assert letterbox.matching(known, asset=[ASSET[:6]]) == known[:2]
    assert letterbox.matching(known, asset=["nothing", URI]) == known[1:]
    assert letterbox.matching(known, error="childcrashed", stage="te") == known
    assert letterbox.matching(known, error="ChildTimeout") == letterbox.matching(known, stage="est") == []


def test_an_upload_is_published_again_as_it_was() -> None:
    letters = box(upload_record())
    (one,) = prepare(letters).todo
    original = upload_record()
    assert (one.topic, one.key, one.value) == (original.topic, original.key, original.value)
    assert one.headers == {"ce_id": b"E-1", "replay_of": letters[0].id.encode()}


def test_letters_of_one_asset_are_one_new_run_as_it_was_asked_for() -> None:
    letters = box(chunk_record(1), chunk_record(2), job_record())
    (one,) = prepare(letters).todo
    assert list(one.letters) == letters
    found = parse_upload(one.value, one.headers)
    assert isinstance(found, Uploads)
    (upload,) = found
    assert (upload.uri, upload.tasks, upload.priority) == (URI, None, "urgent")
    assert upload.reanalysis is not None
    assert upload.reanalysis.cause == "dead letters of run r"


def test_the_same_replay_is_the_same_run_and_another_one_another() -> None:
    letters = box(chunk_record(1), chunk_record(2))
    (first,), (partly,) = prepare(letters).todo, prepare(letters[:1], letters).todo
    assert first.headers["ce_id"] == partly.headers["ce_id"], "a crash before the markers does not make a second run"
    marked = letterbox.letters([given_up(chunk_record(1)), given_up(chunk_record(2)), marker(letters[0], 1)])
    (again,) = prepare(marked).todo
    assert again.times == 2
    assert again.headers["ce_id"] != first.headers["ce_id"]
    assert b"dead letters of run r, replay 2" in again.value


def test_the_newest_run_s_letters_give_the_cause() -> None:
    letters = box(chunk_record(1, run="old"), chunk_record(2, run="r"))
    (one,) = prepare(letters).todo
    assert b"dead letters of run r" in one.value
    (older,) = prepare(letters[:1], letters).todo
    assert orjson.loads(older.value)["tasks"] == ["shots"], "what was asked for in that run"


def test_what_cannot_be_replayed_stops_nothing_else() -> None:
    strange = Record("another.topic", 0, 1, b"k", b"v", {})
    letters = box(upload_record(), strange, chunk_record(1))
    found = prepare(letters, asked={ASSET: []})
    assert [one.topic for one in found.todo] == ["media.uploads"]
    assert ["another.topic/0/1" in found.refused[0], "ingest its source again" in found.refused[1]] == [True, True]


def test_an_original_that_was_referred_to_and_is_gone_is_said() -> None:
    large = upload_record(bytes(8 << 20))
    letters = box(large)
    assert letters[0].dead.referred

    def gone(letter: Letter) -> Record:
        raise NoSuchLetter("it is no longer there")

    assert replay.prepare(letters, letters, {}, gone).refused == ("it is no longer there",)
    (one,) = replay.prepare(letters, letters, {}, lambda _: large).todo
    assert digest(one.value) == digest(large.value)


def test_a_marker_is_no_letter() -> None:
    (letter,) = box(chunk_record(1))
    with pytest.raises(WireError):
        DeadLetter.from_record(marker(letter, 1))
    assert letterbox.letters([marker(letter, 1)]) == []
    assert replace(letter, uri=URI).concerns([URI])
