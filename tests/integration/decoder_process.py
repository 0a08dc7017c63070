"""The decoder as a process of its own, for tests that kill it: ``python -m … BOOTSTRAP SETTINGS-JSON HANDLER``."""

from __future__ import annotations

import signal
import sys
import threading

from streams import decoder, log
from streams.settings import Settings


def main() -> None:
    """Run until SIGTERM; says ``ready`` on stdout."""
    bootstrap, settings, handler = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    config = Settings.model_validate_json(settings)
    log.configure(config, role="decoder")
    decoder.run(config, bootstrap, say_ready, stop, handler=handler)


def say_ready() -> None:
    """One line for whoever started this process."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
