"""`dailies judge` and `dailies profiles` on files: what they say, and the exit status that scripts go by."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from processors import profiles, tasks
from processors.rejudge import examined, rejudge
from schemas.events import ContentMetadata, Producer
from streams.cli import app, judge
from tests import looks

LOUD = """\
name = "{name}"
extends = "ebu-r128"
disable = ["true-peak"]

[[rules]]
id = "programme-loudness"
limit = {limit}
"""
FEATURE = ("video.black", "video.freeze", "video.bars", "video.slate", "video.decode_error", "video.flash.luminance")


def event(*found: Any, looks_for: tuple[str, ...] = FEATURE, **changes: Any) -> ContentMetadata:
    """An event whose verdicts are those of its run: by ebu-r128 and feature-picture."""
    task = Producer(id="p1", name="native-picture", version="1", runtime="numpy", seconds=0.5, looks_for=looks_for)
    made = looks.made(findings=found, producers=(task,), **changes)
    judged = [rejudge(profiles.load(name), made) for name in ("ebu-r128", "feature-picture")]
    return made.model_copy(update={"verdicts": tuple(judged)})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "loud.toml").write_text(LOUD.format(name="loud", limit=-20))
    monkeypatch.setenv("DAILIES_PROFILES", str(shelf))
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path


Write = Callable[..., str]


@pytest.fixture
def write(folder: Path) -> Write:
    def _write(*events: ContentMetadata, indent: int | None = None) -> str:
        path = folder / "events.json"
        path.write_text("".join(one.model_dump_json(indent=indent) + "\n" for one in events))
        return str(path)

    return _write


def dailies(*args: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, list(args), input=text)


BLACK = looks.finding("f1", 50, 150, text="Black for 4 s")


def test_the_same_profile_gives_the_verdict_of_the_run(write: Write) -> None:
    whole = event(BLACK)
    done = dailies("judge", write(whole), "--json")
    (line,) = done.stdout.splitlines()
    body = orjson.loads(line)
    assert [{k: v for k, v in verdict.items() if k != "was"} for verdict in body["verdicts"]] == [
        verdict.model_dump(mode="json") for verdict in whole.verdicts
    ]
    assert [verdict["was"] for verdict in body["verdicts"]] == [verdict.outcome for verdict in whole.verdicts]
    assert (body["asset"]["id"], body["run"]["id"]) == ("asset1", "run1")


@pytest.mark.parametrize(("limit", "outcome", "status"), [(-23, "pass", 0), (-20, "fail", 5)])
def test_an_edit_of_a_profile_judges_again(write: Write, folder: Path, limit: int, outcome: str, status: int) -> None:
    (folder / "mine.toml").write_text(LOUD.format(name="mine", limit=limit))
    done = dailies("judge", write(event()), "--profile", "./mine.toml", "--json")
    (verdict,) = orjson.loads(done.stdout)["verdicts"]
    assert (verdict["outcome"], done.exit_code) == (outcome, status)
    assert verdict["profile_sha256"] == profiles.load(folder / "mine.toml").sha256
    assert [layer["name"] for layer in verdict["layers"]] == ["ebu-r128", "mine"]


def test_people_are_told_the_limit_what_was_measured_and_which_finding(write: Write) -> None:
    said = dailies("judge", write(event(BLACK)), "--profile", "feature-picture", "--profile", "loud")
    assert said.exit_code == 5
    assert "fail programme-loudness (major) a0: loudness.integrated -23 LUFS, allowed within -20 ± 0.2 LUFS" in said.stdout
    assert "    pass: 6 of 14" in said.stdout
    assert "container-as-bitstream (minor): container.mismatch, no task of this run looks for it" in said.stdout


def test_findings_that_cross_a_limit_are_named_with_their_times(write: Write) -> None:
    freeze = looks.finding("f2", 50, 150, "video.freeze", "Still for 4 s")
    said = dailies("judge", write(event(BLACK, freeze)), "--profile", "feature-picture")
    assert said.exit_code == 6
    assert "review no-freeze (major) v0: video.freeze 1, allowed none" in said.stdout
    assert "10:00:02:00 – 10:00:06:00  Still for 4 s  f2" in said.stdout
    named = orjson.loads(dailies("judge", write(event(BLACK, freeze)), "--profile", "feature-picture", "--json").stdout)
    assert [f["id"] for f in named["findings"]] == ["f2"]


def test_what_it_was_before_is_said_where_it_is_another(write: Write, folder: Path) -> None:
    whole = event()
    (old,) = [verdict for verdict in whole.verdicts if verdict.profile == "ebu-r128"]
    was = old.model_copy(update={"profile": "loud", "outcome": "pass"})
    said = dailies("judge", write(whole.model_copy(update={"verdicts": (was,)})))
    assert "fail by loud, was pass" in said.stdout


def test_what_no_task_of_the_run_looked_for_is_not_evaluated(write: Write) -> None:
    done = dailies("judge", write(event(looks_for=("video.black",))), "--profile", "feature-picture", "--json")
    rules = orjson.loads(done.stdout)["verdicts"][0]["rules"]
    assert [rule["outcome"] for rule in rules] == ["pass"] + ["not_evaluated"] * 13
    assert {rule["reason"] for rule in rules[1:]} == {"no task of this run looks for it"}
    assert done.exit_code == 7


def test_an_event_that_does_not_say_what_was_looked_for_is_believed_of_this_version_alone() -> None:
    spec = tasks.task("native-picture").spec
    makers = [
        Producer(id="p1", name="native-picture", version=version, runtime="numpy", seconds=0.5)
        for version in (spec.version, "0.0.1")
    ]
    here, other = (examined(looks.made(producers=(maker,))) for maker in makers)
    assert (here, other) == (frozenset(spec.findings), frozenset())
    decoder = Producer(id="p1", name="decode", version="x", runtime="PyAV", seconds=0.5)
    assert "video.decode_error" in examined(looks.made(producers=(decoder,)))


def test_several_events_in_any_form(write: Write, folder: Path) -> None:
    one, two = event(), event(uri="file:///clips/other.mov")
    lines = dailies("judge", write(one, two), "--profile", "loud", "--json").stdout.splitlines()
    assert [orjson.loads(line)["asset"]["uri"] for line in lines] == [one.asset.uri, two.asset.uri]
    assert dailies("judge", write(one, indent=2), "--profile", "ebu-r128-live").exit_code == 7  # no true peak
    piped = dailies("judge", "-", "--profile", "loud", text=one.model_dump_json())
    assert "fail by loud" in piped.stdout


def test_all_finished_assets_are_judged_and_the_worst_is_the_exit_status(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [event(), event(uri="file:///clips/other.mov"), looks.unprocessable()]
    monkeypatch.setattr(judge, "finished", lambda _: (one.model_dump_json().encode() for one in told))
    done = dailies("judge", "--all", "--profile", "loud", "--json", "--bootstrap", "localhost:1")
    bodies = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [body["verdicts"][0]["outcome"] for body in bodies] == ["fail", "fail", "not_evaluated"]
    assert done.exit_code == 5


def test_an_asset_is_looked_up_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.cli.look.find", lambda _, name: event() if name == "asset1" else None)
    done = dailies("judge", "asset1", "--profile", "loud", "--bootstrap", "localhost:1")
    assert (done.exit_code, "fail by loud" in done.stdout) == (5, True)
    gone = dailies("judge", "asset2", "--profile", "loud", "--bootstrap", "localhost:1")
    assert (gone.exit_code, "there is no final event of 'asset2'" in gone.stderr) == (1, True)


def test_an_unprocessable_asset_is_not_evaluated(write: Write) -> None:
    done = dailies("judge", write(looks.unprocessable()), "--profile", "ebu-r128")
    assert (done.exit_code, "the asset was not analysed" in done.stdout) == (7, True)


def test_what_cannot_be_read_is_said_and_the_rest_is_judged(write: Write, folder: Path) -> None:
    good, bad = write(event()), folder / "bad.jsonl"
    bad.write_text('{"schema_version": "9.0.0"}\nnonsense\n')
    done = dailies("judge", str(bad), str(folder / "no.json"), good, "--profile", "loud")
    assert done.exit_code == 1
    assert "fail by loud" in done.stdout
    assert "bad.jsonl:1: no final event" in done.stderr and "bad.jsonl:2: no final event" in done.stderr
    assert "no.json: No such file or directory" in done.stderr
    (folder / "empty.json").write_text("")
    assert "there is no event in it" in dailies("judge", str(folder / "empty.json")).stderr


def test_asking_for_nothing_or_by_nothing(write: Write) -> None:
    assert dailies("judge").exit_code == 2
    assert dailies("judge", "--all", "x.json").exit_code == 2
    done = dailies("judge", write(looks.made()))
    assert (done.exit_code, "judged by no profile: name one" in done.stderr) == (1, True)


def test_a_bad_profile_is_said_before_anything_is_judged(write: Write, folder: Path) -> None:
    (folder / "mine.toml").write_text(LOUD.format(name="mine", limit='"x"'))
    done = dailies("judge", write(event()), "--profile", "mine.toml")
    assert (str(done.exception), done.stdout) == ("mine.toml:7: limit: Input should be a valid number", "")


def test_profiles_are_listed_with_where_they_are_and_what_they_extend(folder: Path) -> None:
    listed = dailies("profiles")
    (line,) = [line for line in listed.stdout.splitlines() if line.startswith("loud ")]
    assert line.endswith(f"extends ebu-r128, from {folder / 'shelf' / 'loud.toml'}")
    assert set(profiles.names()) <= {line.split()[0] for line in listed.stdout.splitlines()}
    (folder / "shelf" / "broken.toml").write_text('name = "broken"\n')
    listed = dailies("profiles")
    assert re.search(r"^broken +cannot be used, see below$", listed.stdout, re.MULTILINE)
    assert "broken.toml:1: title: Field required" in listed.stderr
    body = {one["name"]: one for one in orjson.loads(dailies("profiles", "--json").stdout)}
    assert body["loud"]["file"] == str(folder / "shelf" / "loud.toml")
    assert (body["loud"]["built_in"], body["ebu-r128"]["built_in"]) == (False, True)
    assert body["broken"]["problems"][0].endswith("broken.toml:1: title: Field required")


def test_profiles_are_explained_rule_by_rule(folder: Path) -> None:
    said = dailies("profiles", "loud", "feature-picture").stdout
    assert "programme-loudness  loudness.integrated of each presentation: within -20 ± 0.2 LUFS" in said
    assert "if crossed fail, major, overridable; from loud > ebu-r128" in said
    assert (
        "no-decode-error  video.decode_error: none\n    if crossed fail, major, not overridable; from feature-picture" in said
    )
    assert "The target is -23 LUFS" in said
    (one,) = orjson.loads(dailies("profiles", "shelf/loud.toml", "--json").stdout)
    assert [rule["layers"] for rule in one["rules"]] == [["ebu-r128", "loud"]]


def test_a_file_is_checked(folder: Path) -> None:
    good = dailies("profiles", "check", "shelf/loud.toml")
    assert (good.exit_code, good.stdout.split()[:3]) == (0, ["shelf/loud.toml:", "loud,", "1"])
    (folder / "bad.toml").write_text(LOUD.format(name="bad", limit=-20) + 'sevrity = "x"\nop = "none"\n')
    bad = dailies("profiles", "check", "bad.toml", "shelf/loud.toml")
    assert (bad.exit_code, bad.stderr) == (1, "bad.toml:8: sevrity: Extra inputs are not permitted\n")
    assert orjson.loads(dailies("profiles", "check", "bad.toml", "--json").stdout) == {
        "problems": ["bad.toml:8: sevrity: Extra inputs are not permitted"]
    }
    assert dailies("profiles", "check").exit_code == 0
    (folder / "shelf" / "ebu-r128.toml").write_text(LOUD.format(name="ebu-r128", limit=-20))
    assert "two profiles are called 'ebu-r128'" in dailies("profiles", "check").stderr


def test_an_upload_names_profiles_and_no_paths(folder: Path) -> None:
    refused = dailies("ingest", "film.mov", "--profile", "shelf/loud.toml")
    assert (refused.exit_code, "DAILIES_PROFILES" in refused.stderr) == (2, True)
