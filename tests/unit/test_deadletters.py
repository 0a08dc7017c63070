"""Dead letters: what is kept, and that it reads back."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ChildTimeout, WireError
from schemas.ids import digest
from streams.deadletters import PREFIX, VALUE_LIMIT, DeadLetter, dead_letter
from streams.record import Record

names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20).filter(lambda n: not n.startswith(PREFIX))


@given(
    key=st.none() | st.binary(max_size=50),
    value=st.binary(max_size=200),
    headers=st.dictionaries(names, st.binary(max_size=40), max_size=5),
    message=st.text(max_size=50),
)
def test_it_reads_back(key: bytes | None, value: bytes, headers: dict[str, bytes], message: str) -> None:
    original = Record("t", 3, 7, key, value, headers)
    sent = dead_letter(original, stage="s", attempts=2, error=ChildTimeout(message))
    letter = DeadLetter.from_record(Record("media.dead-letters", 0, 0, *sent))
    assert letter.original == original
    assert (letter.stage, letter.attempts, letter.error, letter.referred) == ("s", 2, "ChildTimeout", False)
    assert letter.message == message.encode("utf-8", "replace").decode()
    again = dead_letter(original, stage="s", attempts=3, error=ValueError())
    assert again[2]["dl_id"].decode() == letter.id


def test_a_value_that_is_too_large_is_referred_to() -> None:
    value = bytes(VALUE_LIMIT)
    headers = {"chunk": b"x" * 5000, "ce_id": b"1"}
    original = Record("t", 1, 2, b"k", value, headers)
    key, small, found = dead_letter(original, stage="s", attempts=1, error=ValueError("v"))
    assert key == b"k" and len(small) < 1000
    letter = DeadLetter.from_record(Record("d", 0, 0, key, small, found))
    assert letter.referred and letter.original.headers["ce_id"] == b"1" and "chunk" not in letter.original.headers
    assert orjson.loads(small) == {"topic": "t", "partition": 1, "offset": 2, "bytes": VALUE_LIMIT, "digest": digest(value)}


def test_a_dead_letter_sent_again_carries_its_own_reason_only() -> None:
    first = dead_letter(Record("a", 0, 0, None, b"v"), stage="one", attempts=1, error=ValueError("first"))
    second = dead_letter(Record("b", 0, 0, *first), stage="two", attempts=1, error=KeyError("second"))
    letter = DeadLetter.from_record(Record("d", 0, 0, *second))
    assert (letter.stage, letter.original.topic, letter.original.headers) == ("two", "b", {})


@pytest.mark.parametrize("broken", [{}, {"dl_topic": b"t"}, {"dl_partition": b"x"}])
def test_what_is_no_dead_letter_is_refused(broken: dict[str, bytes]) -> None:
    good = dead_letter(Record("t", 0, 0, None, b"v"), stage="s", attempts=1, error=ValueError())[2]
    headers = {**good, **broken} if broken else {}
    if broken == {"dl_topic": b"t"}:
        headers = broken
    with pytest.raises(WireError):
        DeadLetter.from_record(Record("d", 0, 0, None, b"v", headers))
