"""Runs a supervisor whose roles are doubles: ``python stack_double.py DATA_DIR MODE [KEYWORD=JSON]…``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from schemas.errors import SetupError
from streams.local.roles import Slot
from streams.local.supervisor import Supervisor

DOUBLE = Path(__file__).with_name("role_double.py")


def main() -> None:
    data_dir, mode, *options = sys.argv[1:]
    keywords = {key: json.loads(value) for key, _, value in (option.partition("=") for option in options)}
    # A test run that is killed must leave no stack behind.
    tied = keywords.pop("tied", True)

    def command(slot: Slot) -> list[str]:
        return [sys.executable, str(DOUBLE), slot.name, mode if slot.role == "planner" else "good"]

    try:
        Supervisor(Path(data_dir), command=command, **keywords).run(tied=tied)
    except SetupError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
