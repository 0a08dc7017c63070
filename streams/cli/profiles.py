"""`dailies profiles`: which delivery profiles there are, what each asks for and from which layer, and whether a file is one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.text import Text

from processors.profiles import Profile, Rule, Shelf, is_path
from processors.profiles.shelf import BUILT_IN
from schemas.errors import ProfileError
from streams.cli import common
from streams.looks.printable import safe

CHECK = "check"

CONSOLE = Console(markup=False, emoji=False, highlight=False)


def profiles(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Profiles to explain: names, or paths of TOML files.", metavar="[NAME|PATH…|check [FILE…]]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The profiles as JSON, with all rules.")] = False,
) -> None:
    """List the delivery profiles, or explain some: every rule with its limit, and which layer it comes from.

    [bold]dailies profiles check FILE…[/] says what is wrong with files, each thing with its line; without a file, with all that
    can be named. Exit status: 0 nothing, 1 something.

    Profiles of one's own lie in the folders of DAILIES_PROFILES, and extend others: docs/profiles.md.
    """
    shelf = common.settings().shelf()
    if names and names[0] == CHECK:
        raise typer.Exit(_check(shelf, names[1:], as_json=as_json))
    if as_json:
        described = [_described(shelf, name) for name in names or shelf.names()]
        sys.stdout.buffer.write(orjson.dumps(described, option=orjson.OPT_INDENT_2) + b"\n")
    elif names:
        for profile, path in [(shelf.load(name), _path(shelf, name)) for name in names]:
            _explain(profile, path)
        return
    else:
        _list(shelf)
    if problems := shelf.problems():
        typer.echo("\n".join(f"dailies: {safe(problem)}" for problem in problems), err=True)


def _path(shelf: Shelf, name: str) -> Path:
    return Path(name) if is_path(name) else shelf.file(name)


def _origin(path: Path) -> str:
    return "Dailies" if path.parent == BUILT_IN else safe(str(path))


def _described(shelf: Shelf, name: str) -> dict[str, Any]:
    """A profile as JSON: where it is, and all that it says; or what is wrong with it."""
    try:
        path = _path(shelf, name)
        where = {"file": str(path), "built_in": path.parent == BUILT_IN}
        return {**shelf.load(name).model_dump(mode="json"), **where}
    except ProfileError as error:
        return {"name": name, "problems": list(error.problems or (str(error),))}


def _list(shelf: Shelf) -> None:
    width = max(map(len, shelf.names()))
    for name in shelf.names():
        line = Text(f"{name:{width}}  ")
        try:
            profile, path = shelf.load_named(name), shelf.file(name)
        except ProfileError:
            CONSOLE.print(line.append("cannot be used, see below", "red"), soft_wrap=True)
            continue
        below = " > ".join(layer.name for layer in profile.layers[-2::-1])
        line.append(f"{len(profile.rules):2} rules  {safe(profile.title)}")
        CONSOLE.print(line.append(f"  {f'extends {below}, ' if below else ''}from {_origin(path)}", "dim"), soft_wrap=True)


def _explain(profile: Profile, path: Path) -> None:
    layers = " > ".join(layer.name for layer in reversed(profile.layers))
    title = Text.assemble((profile.name, "bold"), f"  {safe(profile.title)} ", (f"({safe(profile.reference)})", "dim"))
    CONSOLE.print(title, soft_wrap=True)
    CONSOLE.print(f"from {_origin(path)}, layers {layers}, sha256 {profile.sha256}", style="dim", soft_wrap=True)
    for rule in profile.rules:
        kept = "overridable" if rule.overridable else "not overridable"
        advice = ", advice: decides no verdict" if rule.advice else ""
        whose = " > ".join(reversed(rule.layers))
        CONSOLE.print(Text.assemble((safe(rule.id), "bold"), f"  {_about(rule)}: {rule.limited}"), soft_wrap=True)
        CONSOLE.print(f"    if crossed {rule.outcome}, {rule.severity}{advice}, {kept}; from {whose}", soft_wrap=True)
        if rule.summary:
            CONSOLE.print(f"    {safe(rule.summary)}", style="dim", soft_wrap=True)


def _about(rule: Rule) -> str:
    """What a rule looks at, in words."""
    parts = [rule.code]
    if rule.scope == "programme":
        parts.append("in the programme")
    if rule.per == "presentation":
        parts.append("of each presentation")
    if rule.when is not None:
        parts.append(f"where {rule.when}")
    return " ".join(parts)


def _check(shelf: Shelf, files: list[str], *, as_json: bool) -> int:
    """Say what is wrong with files, or with everything on the shelf. 1 if there is something."""
    problems: list[str] = [] if files else list(shelf.problems())
    for name in files:
        try:
            profile = shelf.load(Path(name) if not is_path(name) and Path(name).exists() else name)
        except ProfileError as error:
            problems += error.problems or (str(error),)
        else:
            if not as_json:
                typer.echo(f"{safe(name)}: {profile.name}, {len(profile.rules)} rules, sha256 {profile.sha256}")
    if as_json:
        typer.echo(orjson.dumps({"problems": list(dict.fromkeys(problems))}))
    else:
        for problem in dict.fromkeys(problems):
            typer.secho(safe(problem), fg="red", err=True)
        if not files and not problems:
            typer.echo(f"{len(shelf.names())} profiles, nothing wrong")
    return 1 if problems else 0
