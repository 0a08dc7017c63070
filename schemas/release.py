"""The schemas of releases, kept as they were: ``python -m schemas.release [--replace]`` keeps today's.

They lie in ``schemas/released/VERSION/``; a test holds today's schemas against the last release's.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import orjson

from schemas import generate
from schemas.compatibility import DIRECTIONS, release_problems
from schemas.versions import order

FOLDER = Path(__file__).parent / "released"

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def released() -> list[str]:
    """The versions that are kept, the oldest first."""
    return sorted((path.name for path in FOLDER.iterdir() if path.is_dir()), key=order) if FOLDER.exists() else []


def schemas_of(version: str) -> dict[str, Any]:
    """The schemas of a release, by file name."""
    return {path.name: orjson.loads(path.read_bytes()) for path in sorted((FOLDER / version).glob("*.json"))}


def today() -> dict[str, Any]:
    """The schemas of the models as they are, by file name."""
    return {name: orjson.loads(body) for name, body in generate.schemas().items()}


def breaking() -> list[str]:
    """What breaks since the last release, in words."""
    versions = released()
    return release_problems(schemas_of(versions[-1]), today(), DIRECTIONS) if versions else []


def freeze(*, replace: bool) -> Path:
    """Keep today's schemas under the project's version. Raises ``FileExistsError`` where it is kept, unless ``replace``."""
    folder = FOLDER / str(tomllib.loads(PROJECT.read_text())["project"]["version"])
    folder.mkdir(parents=True, exist_ok=replace)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, body in generate.schemas().items():
        (folder / name).write_bytes(body)
    return folder


def main(arguments: list[str]) -> int:
    """Keep today's schemas. Says what breaks since the last release, which needs a new major type, and does not stop at it."""
    for problem in breaking():
        sys.stderr.write(f"breaks since {released()[-1]}: {problem}\n")
    try:
        folder = freeze(replace="--replace" in arguments)
    except FileExistsError as error:
        sys.stderr.write(
            f"{error.filename} is kept already: a release's schemas stay as they are (--replace before it is out)\n"
        )
        return 1
    sys.stdout.write(f"kept {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
