"""Kafka's jars: only bytes that the lock names are ever used, however many processes start at once."""

from __future__ import annotations

import hashlib
import multiprocessing
import re
from pathlib import Path

import pytest

from schemas.errors import SetupError
from streams.local import jars
from streams.local.jars import Jar

CONTENT = b"class files"
JAR = Jar("org.example", "thing", "1.2", hashlib.sha256(CONTENT).hexdigest())


def give(content: bytes) -> jars.Fetch:
    def fetch(jar: Jar, scratch: Path) -> Path:
        path = scratch / "as-named-by-the-repository.jar"
        path.write_bytes(content)
        return path

    return fetch


def refuse(jar: Jar, scratch: Path) -> Path:
    raise AssertionError(f"{jar} was fetched")


def test_the_lock_pins_kafka_and_every_digest() -> None:
    locked = jars.locked()
    assert ("org.apache.kafka", "kafka_2.13", "4.4.0") in {(jar.group, jar.artifact, jar.version) for jar in locked}
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in locked)
    assert len({jar.name for jar in locked}) == len(locked) > 40


def test_a_missing_jar_is_fetched_once(tmp_path: Path) -> None:
    (path,) = jars.class_path([JAR], tmp_path, fetch=give(CONTENT))
    assert path.read_bytes() == CONTENT
    assert jars.class_path([JAR], tmp_path, fetch=refuse) == (path,)


def test_a_jar_that_is_not_the_locked_one_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"org\.example:thing:1\.2 as fetched has SHA-256 .* refused"):
        jars.class_path([JAR], tmp_path, fetch=give(b"something else"))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_jar_damaged_in_the_cache_is_refused_then_fetched_anew(tmp_path: Path) -> None:
    (path,) = jars.class_path([JAR], tmp_path, fetch=give(CONTENT))
    path.write_bytes(CONTENT[:-1] + b"X")
    with pytest.raises(SetupError, match="damaged or tampered with"):
        jars.class_path([JAR], tmp_path, fetch=refuse)
    assert jars.class_path([JAR], tmp_path, fetch=give(CONTENT)) == (path,)


def test_an_unreachable_repository_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", "http://127.0.0.1:1/maven2")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "none.conf"))
    with pytest.raises(SetupError, match=r"(?s)cannot fetch org\.example:thing:1\.2.*--bootstrap"):
        jars.class_path([JAR], tmp_path / "cache")


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SetupError, match="DAILIES_CACHE_DIR"):
        jars.class_path([JAR], tmp_path / "file")


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("DAILIES_CACHE_DIR", raising=False)
    assert jars.cache_dir() == tmp_path / "xdg" / "dailies"
    monkeypatch.setenv("DAILIES_CACHE_DIR", str(tmp_path / "own"))
    assert jars.cache_dir() == tmp_path / "own"


def _count_and_give(folder: Path, counts: Path) -> None:
    def fetch(jar: Jar, scratch: Path) -> Path:
        with counts.open("a") as file:
            file.write("fetched\n")
        return give(CONTENT)(jar, scratch)

    jars.class_path([JAR], folder, fetch=fetch)


def test_processes_that_start_together_fetch_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_count_and_give, args=(tmp_path / "cache", tmp_path / "counts")) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert (tmp_path / "counts").read_text().splitlines() == ["fetched"]
