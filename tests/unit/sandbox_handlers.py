"""What the sandbox tests run in the child: good, bad and ugly handlers."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Buffer

from processors.sandbox_child import WAITING
from schemas.errors import SourceRefused, Unprocessable

Send = Callable[[dict[str, Any], Buffer], None]


class Special(SourceRefused):
    pass


def handle(request: dict[str, Any], send: Send) -> None:
    getattr(sys.modules[__name__], request["do"])(request, send)


def echo(request: dict[str, Any], send: Send) -> None:
    sys.stdout.write("noise\n")
    for n, size in enumerate(request["sizes"]):
        send({"n": n, "pid": os.getpid()}, np.full(size, n % 251, np.uint8))


def flood(request: dict[str, Any], send: Send) -> None:
    body = np.zeros(request["bytes"], np.uint8)
    for n in range(request["count"]):
        send({"n": n}, body)


def facts(request: dict[str, Any], send: Send) -> None:
    limits = {name: resource.getrlimit(getattr(resource, name))[0] for name in ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NOFILE")}
    heavy = [name for name in ("torch", "faust", "confluent_kafka", "pydantic_settings") if name in sys.modules]
    send({"limits": limits, "stdin": sys.stdin.read(), "heavy": heavy}, b"")


def write_file(request: dict[str, Any], send: Send) -> None:
    Path(request["path"]).write_bytes(b"x")


def abort(request: dict[str, Any], send: Send) -> None:
    send({"n": 0}, b"")
    os.write(2, b"x" * 100_000 + b"last words")
    os.abort()


def segfault(request: dict[str, Any], send: Send) -> None:
    ctypes.string_at(0)


def leave(request: dict[str, Any], send: Send) -> None:
    os._exit(7)


def hang(request: dict[str, Any], send: Send) -> None:
    send({"pid": os.getpid()}, b"")
    signal.pause()


def drip(request: dict[str, Any], send: Send) -> None:
    while True:
        send({}, b"")
        time.sleep(0.02)


def bomb(request: dict[str, Any], send: Send) -> None:
    hoard = []
    while True:
        hoard.append(np.ones(32 << 20, np.uint8))


def native_bomb(request: dict[str, Any], send: Send) -> None:
    import cv2

    image = np.ones((4096, 4096), np.uint8)
    cv2.resize(image, (1 << 15, 1 << 15))


def refuse(request: dict[str, Any], send: Send) -> None:
    raise Unprocessable("only noise", reason="not_media")


def special(request: dict[str, Any], send: Send) -> None:
    raise Special("not this one")


def bug(request: dict[str, Any], send: Send) -> None:
    raise ValueError("a bug")


def await_network(request: dict[str, Any], send: Send) -> None:
    """Signs of life and then a message."""
    for _ in range(request["signs"]):
        send(WAITING, b"")
    send({}, b"done")
