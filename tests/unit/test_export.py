"""`dailies show` and `dailies export`: options, files, errors. What is on Kafka is made up here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from schemas.events import ContentMetadata
from streams.cli import app, look
from streams.looks.formats import FORMATS
from tests.looks import HOSTILE, finding, made, unprocessable


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, ContentMetadata]:
    """What a cluster knows: events by what they are asked for."""
    events: dict[str, ContentMetadata] = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(look, "find", lambda bootstrap, asset: events.get(asset))
    return events


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--bootstrap", "nowhere:1"], env={"COLUMNS": "80"})


def test_json_is_the_event_on_stdout(known: dict[str, ContentMetadata]) -> None:
    known["film"] = made(cuts=[50], findings=[finding("f1", 0, 9, text=HOSTILE)])
    for arguments in (("export", "film"), ("export", "film", "--format", "json", "-o", "-")):
        result = run(*arguments)
        assert result.exit_code == 0 and result.stderr == ""
        assert ContentMetadata.model_validate_json(result.stdout) == known["film"]
    assert run("export", "film", "-o", "film.json").stdout == ""
    assert json.loads(Path("film.json").read_text())["asset"]["id"] == "asset1"


def test_a_file_is_not_replaced_unless_asked(known: dict[str, ContentMetadata]) -> None:
    known["film"] = made()
    Path("film.mov.html").write_text("mine")
    result = run("export", "film", "--format", "html")
    assert result.exit_code == 1 and "film.mov.html exists; --force replaces it" in result.stderr
    assert Path("film.mov.html").read_text() == "mine"
    assert run("export", "film", "--format", "html", "--force").exit_code == 0
    assert Path("film.mov.html").read_text().startswith("<!doctype html>")


def test_html_goes_to_a_file_named_after_the_asset(known: dict[str, ContentMetadata]) -> None:
    known["film"] = made()
    result = run("export", "film", "--format", "html")
    assert result.exit_code == 0 and result.stdout == ""
    assert re.search(r"film\.mov\.html +4\.\d MB", result.stderr)
    assert "The event names no sidecar, so there are no curves." in result.stderr
    assert "no sidecar" in Path("film.mov.html").read_text()


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://in/../../etc/cron d;rm -rf.mov", "cron_d_rm_-rf.mov.html"),
        ("s3://in/.hidden", "hidden.html"),
        ("s3://in/\x1b]0;x\x07ä.mov", "0_x_.mov.html"),
        ("s3://in/" + "x" * 300, "x" * 100 + ".html"),
        ("s3://in/…", "asset1.html"),
    ],
)
def test_an_asset_cannot_choose_where_its_page_goes(uri: str, name: str, known: dict[str, ContentMetadata]) -> None:
    known["it"] = made(uri=uri)
    assert run("export", "it", "--format", "html").exit_code == 0
    assert [p.name for p in Path().iterdir()] == [name]


def test_what_cannot_be_done_is_said(known: dict[str, ContentMetadata]) -> None:
    result = run("export", "film")
    assert result.exit_code == 1 and "there is no final event of 'film' (yet)" in result.stderr
    known["film"] = made()
    result = run("export", "film", "--format", "pdf")
    assert result.exit_code == 2 and "no format 'pdf'" in result.stderr and ", ".join(FORMATS) in result.stderr
    result = run("export", "film", "-o", "nowhere/film.json")
    assert result.exit_code == 1 and "cannot be written: No such file or directory" in result.stderr


def test_unprocessable_has_a_page_too(known: dict[str, ContentMetadata]) -> None:
    known["notes"] = unprocessable()
    result = run("export", "notes", "--format", "html")
    assert result.exit_code == 0 and "sidecar" not in result.stderr
    assert "not_media: it is text" in Path("notes.txt.html").read_text()


def test_show_draws_and_lists_at_80_columns(known: dict[str, ContentMetadata]) -> None:
    known["film"] = made(cuts=[50], findings=[finding("f1", 0, 9)])
    result = run("show", "film")
    assert result.exit_code == 0 and "\x1b" not in result.stdout
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("shots") and "█" in line and "░" in line for line in lines)
    assert "Findings" in lines and "Measurements" in lines
    plain = run("show", "film", "--no-plots").stdout
    assert "█" not in plain and "Findings" in plain
    assert json.loads(run("show", "film", "--json").stdout)["asset"]["id"] == "asset1"


def test_show_is_not_led_astray(known: dict[str, ContentMetadata]) -> None:
    known["film"] = made(uri="file:///[/red]\x1b[2J.mov", findings=[finding("f1", 0, 9, text="[/bold] [link=x]:boom:")])
    result = run("show", "film")
    assert result.exit_code == 0 and "\x1b" not in result.stdout
    assert "[/red]\ufffd[2J.mov" in result.stdout and "[/bold] [link=x]:boom:" in result.stdout
    known["notes"] = unprocessable()
    assert "not_media" in run("show", "notes").stdout
