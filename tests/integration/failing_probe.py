"""A probe whose child dies, hangs or eats memory, by the name of what it is given."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from processors.probe import child

CRASH, HANG, BLOAT = "crash.mov", "hang.mov", "bloat.mov"


def handle(request: dict[str, Any], send: Callable[[dict[str, Any], Any], None]) -> None:
    match request["uri"].rpartition("/")[2]:
        case "crash.mov":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang.mov":
            time.sleep(3600)
        case "bloat.mov":
            bytearray(1 << 40)
    child.handle(request, send)
