"""Log lines: JSON where nobody watches, for people on a terminal, whoever logs."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from streams import log
from streams.settings import Settings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_with_the_role(tmp_path: Path) -> None:
    out = io.StringIO()
    log.configure(Settings(data_dir=tmp_path), role="planner", stream=out)
    try:
        raise ValueError("v")
    except ValueError as error:
        log.get_logger("streams.x").warning("it happened", path=tmp_path, keys={1: b"b"}, exc_info=error)
    logging.getLogger(log.CLIENT_LOGGER).error("from %s", "rdkafka")
    first, second = lines(out)
    assert first["event"] == "it happened" and first["role"] == second["role"] == "planner" and first["level"] == "warning"
    assert "ValueError: v" in str(first["exception"]) and str(tmp_path) in str(first["path"])
    assert second["event"] == "from rdkafka" and second["logger"] == log.CLIENT_LOGGER


def test_libraries_speak_up_only_when_debugging(tmp_path: Path) -> None:
    out = io.StringIO()
    log.configure(Settings(data_dir=tmp_path), stream=out)
    logging.getLogger("faust.transport").info("chatter")
    logging.getLogger("faust.transport").warning("trouble")
    assert [line["event"] for line in lines(out)] == ["trouble"]
    log.configure(Settings(data_dir=tmp_path, log_level="debug"), stream=out)
    logging.getLogger("aiokafka.consumer").debug("detail")
    assert lines(out)[-1]["event"] == "detail"


def test_what_a_library_repeats_is_said_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, now = io.StringIO(), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    log.configure(Settings(data_dir=tmp_path), stream=out)
    client = logging.getLogger("aiokafka.client")
    for second in range(25):
        now = 100.0 + second
        client.error("Unable to connect to node %d: refused after %d ms", 1, second)
    client.error("something else")
    log.get_logger("streams.x").warning("ours")
    log.get_logger("streams.x").warning("ours")
    said = [(line["event"], line.get("repeated")) for line in lines(out)]
    text = "Unable to connect to node 1: refused after {} ms"
    assert said == [
        (text.format(0), None),
        (text.format(10), 9),
        (text.format(20), 9),
        ("something else", None),
        ("ours", None),
        ("ours", None),
    ]


def test_a_commands_stdout_is_for_its_results(capsys: pytest.CaptureFixture[str]) -> None:
    log.warnings_to_stderr()
    logger = log.get_logger("streams.producer")
    logger.info("all is well")
    logger.warning("kafka", error="1/1 brokers are down")
    out, err = capsys.readouterr()
    assert out == ""
    assert "brokers are down" in err and "all is well" not in err


def test_a_terminal_gets_text(tmp_path: Path) -> None:
    out = Terminal()
    log.configure(Settings(data_dir=tmp_path), stream=out)
    log.get_logger("streams.x").info("hello", n=3)
    assert "hello" in out.getvalue() and not out.getvalue().startswith("{")
