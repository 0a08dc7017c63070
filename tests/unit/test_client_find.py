"""The newest final event of a URI, whose versions are different assets in different partitions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from schemas.events import ContentMetadata
from schemas.reactions import Progress
from streams import client, topics
from tests.looks import unprocessable


@dataclass(frozen=True)
class Told:
    event: ContentMetadata
    milliseconds: int

    def key(self) -> bytes:
        return self.event.asset.id.encode()

    def value(self) -> bytes:
        return self.event.model_dump_json().encode()

    def timestamp(self) -> tuple[int, int]:
        return 1, self.milliseconds


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_newest_version_of_a_uri_is_found_whatever_its_partition(
    monkeypatch: pytest.MonkeyPatch, order: tuple[int, int]
) -> None:
    old = unprocessable()
    new = old.model_copy(update={"asset": old.asset.model_copy(update={"id": "f" * 32, "version": "2"})})
    told = [Told(old, 1_000), Told(new, 2_000)]
    monkeypatch.setattr(client, "read_all", lambda *_: iter([told[i] for i in order]))
    assert client.find("", old.asset.uri) == new
    assert client.find("", old.asset.id) == old
    assert client.find("", "file:///another") is None


def test_who_waits_for_a_run_whose_event_another_one_has_replaced_gets_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """media.metadata is compacted: of an asset that was analysed again the first run's event is gone."""
    event = unprocessable()
    monkeypatch.setattr(client, "read_all", lambda *_: iter([Told(event, 1_000)]))
    body = {"asset": event.asset, "correlation": event.correlation, "run": "first", "stage": "complete", "progress": 1.0}
    upload = client.Upload(event.asset.uri, run="first")

    class Waiting:
        """A consumer that has one message, on media.reactions."""

        def assign(self, _: object) -> None: ...

        def poll(self, _: float) -> Waiting:
            return self

        def error(self) -> None: ...

        def headers(self) -> None: ...

        def topic(self) -> str:
            return topics.REACTIONS.name

        def value(self) -> bytes:
            return Progress.model_validate(body).model_dump_json().encode()

    monkeypatch.setattr(client, "make_consumer", lambda *_, **__: Waiting())
    monkeypatch.setattr(client, "watermarks", lambda *_: (0, 0))
    assert client.Follower("").step([upload])
    assert upload.metadata == event


@dataclass(frozen=True)
class Kept:
    """A record of media.metadata; ``text`` None is a tombstone."""

    name: str
    text: str | None
    at: tuple[int, int]

    def key(self) -> bytes:
        return self.name.encode()

    def value(self) -> bytes | None:
        return None if self.text is None else self.text.encode()

    def partition(self) -> int:
        return self.at[0]

    def offset(self) -> int:
        return self.at[1]


def test_of_every_asset_the_newest_event_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction comes later than the second event, and takes away later still what has a tombstone."""
    records = [
        Kept("a", "old", (0, 0)),
        Kept("b", "only", (0, 1)),
        Kept("a", "new", (0, 2)),
        Kept("gone", "was", (1, 0)),
        Kept("c", "third", (1, 1)),
        Kept("gone", None, (1, 2)),
    ]
    monkeypatch.setattr(client, "read_all", lambda *_: iter(records))
    assert list(client.finished("")) == [b"only", b"new", b"third"]
