"""Log lines: structured, for people on a terminal and JSON elsewhere; the libraries' loggers go the same way."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from streams.settings import Settings

CLIENT_LOGGER = "confluent_kafka"
"""The logger that confluent-kafka clients are given (``logger=logging.getLogger(CLIENT_LOGGER)``)."""

LIBRARIES = ("faust", "mode", "aiokafka", "asyncio", "fsspec", "botocore", "urllib3")
"""Loggers that say at ``info`` what only somebody who debugs wants to read; they start at ``warning``."""

SPARING_SECONDS = 10.0
KEPT_LINES = 1000
_NUMBER = re.compile(r"\d+")


def configure(settings: Settings, *, role: str | None = None, stream: TextIO | None = None) -> None:
    """Set the process's logging up: one handler on ``stream`` (stderr), and every line through structlog.

    ``role`` is added to each line. Calling it again replaces what was set up before.
    """
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Role(role),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    if settings.log_level != "debug":
        handler.addFilter(_Sparing())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(target)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root.setLevel(level)
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(level if settings.log_level == "debug" else max(level, logging.WARNING))


def warnings_to_stderr() -> None:
    """For commands that are no role and set nothing up: stdout is for results, and only what goes wrong is told."""
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _renderers(target: TextIO) -> list[Processor]:
    if target.isatty():
        return [structlog.dev.ConsoleRenderer()]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_dumps)]


def _dumps(event: EventDict, **_: object) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()


class _Sparing(logging.Filter):
    """Of what a library says again and again, such as each vain connection to a broker that is away, one line in a while.

    Lines are the same that differ in numbers alone. The next one that passes says how often it was ``repeated``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line passes."""
        if record.name.partition(".")[0] not in (*LIBRARIES, CLIENT_LOGGER):
            return True
        same = f"{record.name} {record.levelno} {_NUMBER.sub('#', record.getMessage())}"[:200]
        at, repeated = self._passed.get(same, (-SPARING_SECONDS, 0))
        if time.monotonic() - at < SPARING_SECONDS:
            self._passed[same] = at, repeated + 1
            return False
        if len(self._passed) >= KEPT_LINES:
            self._passed.clear()
        self._passed[same] = time.monotonic(), 0
        if repeated:
            record.repeated = repeated
        return True


class _Role:
    """Adds the role to every line, whichever thread it comes from (context variables stay in theirs)."""

    def __init__(self, role: str | None) -> None:
        self._role = role

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if self._role is not None:
            event.setdefault("role", self._role)
        return event
