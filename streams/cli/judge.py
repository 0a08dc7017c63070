"""`dailies judge`: profiles applied to final events, from what was measured and found: nothing is decoded."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console

from processors.profiles import Profile, Shelf, several
from processors.rejudge import rejudge
from schemas.events import ContentMetadata, Finding, Outcome, Verdict
from streams.cli import common
from streams.cli.look import known_event
from streams.client import finished
from streams.local.state import bootstrap_of
from streams.looks import verdicts as looks
from streams.looks.printable import safe
from streams.looks.timeline import name_of
from streams.settings import Settings

EXIT: dict[Outcome, int] = {"pass": 0, "fail": 5, "review": 6, "not_evaluated": 7}
"""The exit status of the worst outcome, which is the first of ``WORST``."""

WORST: tuple[Outcome, ...] = ("fail", "review", "not_evaluated", "pass")
EVENT_FILES = (".json", ".jsonl", ".ndjson")
STDIN = "-"
UNREADABLE = 1


def judge(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Assets: an id, the start of it, a URI, or a media file's path. Or files of final events (.json, .jsonl, "
            "- for stdin), as `export`, `analyse --json` and `ingest --json` write them.",
            metavar="ASSET|FILE…",
        ),
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile",
            help="Judge by these profiles: names, or paths of TOML files; may be repeated. By default those of the run, "
            "as they are now.",
            metavar="NAME|PATH",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every finished asset on media.metadata.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line and asset: its verdicts and the findings named.")
    ] = False,
    bootstrap: common.Bootstrap = None,
    data_dir: common.DataDir = None,
) -> None:
    """Judge finished assets again, from their stored measurements and findings, without decoding.

    Prints each verdict with the limits that are crossed and the findings that cross them, and what it was before. A rule on
    something that no task of the run looked for is not_evaluated. Nothing is published.

    Exit status, by the worst of all verdicts: 0 pass, 5 fail, 6 review, 7 not evaluated; 1 if something could not be read.
    """
    if bool(sources) == every:
        raise typer.BadParameter("name assets or files of events, or give --all")
    settings = common.settings(bootstrap=bootstrap, data_dir=data_dir)
    bench = Bench(settings.shelf(), profile)
    console = Console(markup=False, emoji=False, highlight=False)
    seen: set[Outcome] = set()
    for event in _events(settings, sources, bench):
        verdicts = bench.judge(event)
        seen.update(verdict.outcome for verdict in verdicts)
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(_described(event, verdicts)) + b"\n")
        else:
            console.print(looks.judged(event, verdicts), soft_wrap=True)
    sys.stdout.flush()
    if bench.unreadable:
        raise typer.Exit(UNREADABLE)
    raise typer.Exit(EXIT[min(seen, key=WORST.index, default=WORST[-1])])


@dataclass(slots=True)
class Bench:
    """The profiles to judge by: those asked for, else those of each event's run by their names."""

    shelf: Shelf
    asked: Sequence[str] | None
    unreadable: bool = False
    _loaded: dict[str, Profile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        several(map(self._load, self.asked or ()))

    def judge(self, event: ContentMetadata) -> list[Verdict]:
        """The verdicts on an event. Raises ``ProfileError``."""
        names = self.asked or [verdict.profile for verdict in event.verdicts]
        if not names:
            self.complain(f"{safe(name_of(event))}: its run was judged by no profile: name one with --profile")
        return [rejudge(self._load(name), event) for name in names]

    def _load(self, name: str) -> Profile:
        if name not in self._loaded:
            self._loaded[name] = self.shelf.load(name) if self.asked else self.shelf.load_named(name)
        return self._loaded[name]

    def complain(self, message: str) -> None:
        """Something that is asked for cannot be judged; the rest can."""
        self.unreadable = True
        typer.secho(f"dailies: {message}", fg="red", err=True)


def _events(settings: Settings, sources: Iterable[str] | None, bench: Bench) -> Iterator[ContentMetadata]:
    if sources is None or not sources:
        for value in finished(bootstrap_of(settings)):
            yield from _parsed(value, "media.metadata", bench)
        return
    for source in sources:
        if source == STDIN:
            yield from _of_file(sys.stdin.buffer.read(), "standard input", bench)
        elif source.endswith(EVENT_FILES):
            try:
                yield from _of_file(Path(source).read_bytes(), source, bench)
            except OSError as error:
                bench.complain(f"{safe(source)}: {error.strerror}")
        else:
            yield known_event(settings, source)


def _of_file(data: bytes, name: str, bench: Bench) -> Iterator[ContentMetadata]:
    """The events of a file: one as JSON over any number of lines, or one a line."""
    lines = data.splitlines()
    if lines and lines[0].rstrip() == b"{":
        yield from _parsed(data, name, bench)
        return
    if not data.strip():
        bench.complain(f"{safe(name)}: there is no event in it")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield from _parsed(line, f"{name}:{number}", bench)


def _parsed(value: bytes, name: str, bench: Bench) -> Iterator[ContentMetadata]:
    try:
        yield ContentMetadata.model_validate_json(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        bench.complain(f"{safe(name)}: no final event: {safe(where + ': ' if where else '')}{safe(first['msg'])}")


def _described(event: ContentMetadata, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    before = {verdict.profile: verdict.outcome for verdict in event.verdicts}
    named = {name for verdict in verdicts for rule in verdict.rules for name in rule.findings}
    findings: list[Finding] = [f for f in event.findings if f.id in named]
    return {
        "asset": event.asset.model_dump(mode="json"),
        "correlation": event.correlation.model_dump(mode="json", exclude_none=True),
        "run": event.run.model_dump(mode="json"),
        "verdicts": [verdict.model_dump(mode="json") | {"was": before.get(verdict.profile)} for verdict in verdicts],
        "findings": [f.model_dump(mode="json") for f in findings],
    }
