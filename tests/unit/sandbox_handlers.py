"""What the sandbox tests run in the child: good, bad and ugly handlers."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
import sys
import threading
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


def environment(request: dict[str, Any], send: Send) -> None:
    send({"names": sorted(os.environ)}, b"")


def forbidden(request: dict[str, Any], send: Send) -> None:
    """Which of these the kernel refuses, by the error's name."""
    here = Path(request["path"])
    attempts: dict[str, Callable[[], object]] = {
        "socket": lambda: socket.socket().close(),
        "unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "fork": os.fork,
        "run": lambda: os.execv("/bin/true", ["true"]),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "remove": here.unlink,
        "rename": lambda: here.rename(here.with_suffix(".x")),
        "make": lambda: (here.parent / "folder").mkdir(),
        "link": lambda: (here.parent / "link").symlink_to(here),
        "cut": lambda: os.truncate(here, 0),
        "mode": lambda: here.chmod(0o777),
        "write": lambda: os.close(os.open(here, os.O_WRONLY)),
        "append": lambda: os.close(os.open(here, os.O_RDWR | os.O_APPEND)),
        "truncate": lambda: os.close(os.open(here, os.O_RDONLY | os.O_TRUNC)),
        "create": lambda: os.close(os.open(here.with_suffix(".y"), os.O_RDONLY | os.O_CREAT)),
        "thread": lambda: threading.Thread(target=int).start(),
        "read": here.read_bytes,
    }
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            found[name] = errno.errorcode[error.errno or 0]
    send(found, b"")


def burn(request: dict[str, Any], send: Send) -> None:
    """Use CPU time, with a message after each so many seconds of it."""
    for _ in range(request["times"]):
        since = time.process_time()
        while time.process_time() - since < request["seconds"]:
            pass
        send({"sandbox": "waiting"} if request.get("waiting") else {}, b"")


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
