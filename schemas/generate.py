"""Writes the JSON Schemas of everything that has JSON data: ``python -m schemas.generate [--check]``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter

from schemas.events import ContentMetadata
from schemas.manifest import JobFailed, Manifest, RepairCheck
from schemas.plan import Cancel, Job, NoPlan, Plan
from schemas.reactions import Progress, Reaction
from schemas.types import SCHEMA_OF, EventType
from schemas.uploads import UploadData

FOLDER = Path(__file__).parent / "json"

MODELS: dict[EventType, Any] = {
    EventType.UPLOAD: UploadData,
    EventType.PLANNED: Plan,
    EventType.UNPROCESSABLE: NoPlan,
    EventType.JOB: Job,
    EventType.MANIFEST: Manifest,
    EventType.JOB_FAILED: JobFailed,
    EventType.CANCEL: Cancel,
    EventType.CHECK: RepairCheck,
    EventType.REACTION: Reaction | Progress,
    EventType.METADATA: ContentMetadata,
}


def schemas() -> dict[str, bytes]:
    """File name to JSON Schema (draft 2020-12), as committed."""
    found = {}
    for kind, model in MODELS.items():
        body = TypeAdapter(model).json_schema(mode="validation" if kind is EventType.UPLOAD else "serialization")
        body["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        found[SCHEMA_OF[kind]] = orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    return found


def main(arguments: list[str]) -> int:
    """Write the files; with ``--check`` only say which differ (exit status 1)."""
    stale = [n for n, body in schemas().items() if not (FOLDER / n).exists() or (FOLDER / n).read_bytes() != body]
    if "--check" in arguments:
        sys.stderr.writelines(f"{name} is stale: run python -m schemas.generate\n" for name in stale)
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name in stale:
        (FOLDER / name).write_bytes(schemas()[name])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
