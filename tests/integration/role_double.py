"""A role's double for supervisor tests: reports ready and ends at SIGTERM; or cannot start, or will not end."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    name, mode = sys.argv[1:]
    sys.stdout.write(f"{name} runs as {os.getpid()} against {os.environ['DAILIES_BOOTSTRAP']}\n")
    sys.stdout.flush()
    if mode == "broken":
        sys.exit("no such model: the reason it cannot start")
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Path(os.environ["DAILIES_STATE_FILE"]).write_text(json.dumps({"pid": os.getpid(), "state": "ready"}))
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
