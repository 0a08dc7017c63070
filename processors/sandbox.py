"""A child process that does dangerous work under limits: parsing and decoding of hostile files.

Parent and child talk over pipes in frames: ``<II`` (length of the head, length of the body), the head as JSON, the body as
raw bytes. A head with the key ``sandbox`` is the sandbox's own; every other one is a message of the handler's. The child
imports only the handler's module, so what it can do is what that module imports.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from fcntl import F_SETPIPE_SZ, fcntl
from typing import Any, NoReturn

import orjson

from processors.sandbox_child import OWN, PREFIX, WAITING
from schemas import errors
from schemas.errors import ChildCrashed, ChildOutOfMemory, ChildTimeout, Unprocessable

SECRETS = ("DAILIES_KAFKA_",)
STORES = ("AWS_", "FSSPEC_")
"""How the names of variables begin that may hold secrets: of Kafka, and of object stores."""
START_SECONDS = 60.0
"""How long a child may take to import its handler, on however busy a machine."""
PIPE_BYTES = 1 << 20
TAIL_BYTES = 4096
MEMORY_SIGNS = (b"std::bad_alloc", b"Cannot allocate memory", b"Insufficient memory", b"MemoryError")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use; ``None`` is no limit.

    ``wall_seconds`` bounds one call, ``stall_seconds`` the wait for one message, or for a sign that the child waits on a
    network; both count only while the caller is waiting, so a slow consumer never costs the child its life.
    ``memory_bytes`` is address space beyond what the child has after its imports. ``cpu_seconds`` bounds the CPU time between
    a request, or a message, and the next message. ``network``: it may open sockets; without it the kernel refuses them.
    """

    wall_seconds: float | None = None
    stall_seconds: float | None = None
    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    network: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """One message of a handler: a JSON head and raw bytes."""

    head: dict[str, Any]
    body: bytes

    def __repr__(self) -> str:
        return f"Message({self.head!r}, {len(self.body)} bytes)"


class _Process:
    """One life of a child. The kernel sends the death signal when the *thread* that forked ends, so the child is
    forked by a thread that stays until it is gone, and that meanwhile keeps the tail of its stderr.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        started: Future[subprocess.Popen[bytes]] = Future()
        self.tail = b""
        self._thread = threading.Thread(target=self._live, args=(command, environment, started), name="sandbox", daemon=True)
        self._thread.start()
        self.popen = started.result()
        assert self.popen.stdin is not None and self.popen.stdout is not None
        self.requests = self.popen.stdin.fileno()
        self.answers = self.popen.stdout.fileno()
        with contextlib.suppress(OSError):  # past the user's share of pipe pages the default size must do
            fcntl(self.answers, F_SETPIPE_SZ, PIPE_BYTES)

    def _live(self, command: list[str], environment: dict[str, str], started: Future[subprocess.Popen[bytes]]) -> None:
        pipe = subprocess.PIPE
        try:
            popen = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env=environment, start_new_session=True
            )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(popen)
        assert popen.stderr is not None
        with popen.stderr:
            while piece := os.read(popen.stderr.fileno(), TAIL_BYTES):
                self.tail = (self.tail + piece)[-TAIL_BYTES:]
        popen.wait()

    def end(self, *, kill: bool) -> int:
        """End the process (without ``kill`` it is asked to first) and give its return code."""
        assert self.popen.stdin is not None and self.popen.stdout is not None
        self.popen.stdin.close()
        if kill:
            self.popen.kill()
        else:
            self._thread.join(2.0)
            self.popen.kill()
        self._thread.join()
        self.popen.stdout.close()
        return self.popen.wait()


class Child:
    """A persistent child process that runs ``handler`` (``"module:function"``) for one request after the other.

    The handler is ``handle(request: dict, send: Callable[[dict, Buffer], None]) -> None``. The process starts with the first
    call (or :meth:`start`) and again with the first call after it died. It is killed when this process dies. One call
    at a time; only :meth:`kill` may come from another thread. ``heard`` is called with each sign of life: a message, or that
    the child waits on a network.
    """

    def __init__(self, handler: str, limits: Limits | None = None, *, heard: Callable[[], object] = lambda: None) -> None:
        self.handler = handler
        self.limits = limits or Limits()
        self._heard = heard
        self._process: _Process | None = None
        self._busy = False
        self._buffer = bytearray(PIPE_BYTES)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        process = self._process
        return process.popen.pid if process else None

    def start(self) -> None:
        """Start the process, if there is none, and wait until it has imported its handler."""
        if self._process is not None and (self._busy or self._process.popen.poll() is not None):
            self._stop(kill=True)
        if self._process is not None:
            return
        limits = orjson.dumps(self.limits).decode()
        command = [sys.executable, "-P", "-m", "processors.sandbox_child", self.handler, limits, str(os.getpid())]
        self._process = _Process(command, _environment(network=self.limits.network))
        head, _ = self._receive(START_SECONDS)
        if head != {OWN: "ready"}:
            self._raise(head)

    def call(self, request: Mapping[str, Any]) -> Iterator[Message]:
        """Send a request; the iterator gives the handler's messages and ends when the handler returns.

        Leaving the iterator before its end kills the child. Raises ``ChildCrashed``, ``ChildTimeout`` or
        ``ChildOutOfMemory`` (the child is dead then), and whatever ``Unprocessable`` the handler raised (it lives on).
        """
        self.start()
        assert self._process is not None
        head = orjson.dumps(dict(request))
        self._busy = True
        try:
            _write_all(self._process.requests, PREFIX.pack(len(head), 0) + head)
        except OSError:  # it died while idle; what there is to say about it is found by reading
            self._crashed()
        return self._messages()

    def _messages(self) -> Iterator[Message]:
        wall = self.limits.wall_seconds
        try:
            while True:
                begun = time.monotonic()
                head, body = self._receive(self.limits.stall_seconds, wall)
                if wall is not None:
                    wall -= time.monotonic() - begun
                self._heard()
                if head == WAITING:
                    continue
                if OWN in head:
                    self._busy = head[OWN] not in ("done", "unprocessable")
                    if head[OWN] == "done":
                        return
                    self._raise(head)
                yield Message(head, body)
        finally:
            if self._busy:
                self._stop(kill=True)

    def _raise(self, head: dict[str, Any]) -> NoReturn:
        if head[OWN] == "unprocessable":
            raise _unprocessable(head)
        self._stop(kill=True)
        if head[OWN] == "memory":
            raise ChildOutOfMemory(f"{self.handler} outgrew its memory limit: {head['message']}")
        raise ChildCrashed(f"{self.handler} failed: {head['message']}")

    def _receive(self, stall: float | None, wall: float | None = None) -> tuple[dict[str, Any], bytes]:
        limits = [limit for limit in (stall, wall) if limit is not None]
        deadline = time.monotonic() + min(limits) if limits else None
        prefix = bytearray(PREFIX.size)
        self._fill(memoryview(prefix), deadline)
        head, body = PREFIX.unpack(prefix)
        if len(self._buffer) < head + body:
            self._buffer = bytearray(head + body)
        view = memoryview(self._buffer)[: head + body]
        self._fill(view, deadline)
        return orjson.loads(view[:head]), bytes(view[head:])

    def _fill(self, view: memoryview, deadline: float | None) -> None:
        process = self._process
        assert process is not None
        poll = select.poll()
        poll.register(process.answers, select.POLLIN)
        while view:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            if not poll.poll(left):
                self._stop(kill=True)
                raise ChildTimeout(f"{self.handler} gave nothing within its limit ({self.limits})")
            count = os.readv(process.answers, [view])
            if count == 0:
                self._crashed()
            view = view[count:]

    def _crashed(self) -> NoReturn:
        process, self._process, self._busy = self._process, None, False
        assert process is not None
        code = process.end(kill=True)
        tail = process.tail.decode(errors="replace").strip()
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        message = f"{self.handler} {how} without an answer{': ' + tail if tail else ''}"
        if code == -signal.SIGXCPU:
            raise ChildTimeout(f"{self.handler} used more than {self.limits.cpu_seconds:g} s of CPU time without a result")
        if any(sign in process.tail for sign in MEMORY_SIGNS):
            raise ChildOutOfMemory(message)
        raise ChildCrashed(message)

    def kill(self) -> None:
        """End the process at once. A call that is under way in another thread raises ``ChildCrashed`` there."""
        process = self._process
        if process is not None:  # the pipes stay open: the thread that reads them closes them
            process.popen.kill()
            process.popen.wait()

    def close(self) -> None:
        """End the process: an idle one in peace, a busy one at once."""
        self._stop(kill=self._busy)

    def _stop(self, *, kill: bool) -> None:
        process, self._process, self._busy = self._process, None, False
        if process is not None:
            process.end(kill=kill)


def _environment(*, network: bool) -> dict[str, str]:
    """The parent's environment and module path; one thread per maths library, whose pools cost start-up and memory.

    Without the secrets that a child has no use for: those of Kafka, and of object stores where it can reach none.
    """
    hidden = SECRETS if network else SECRETS + STORES
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join(entry or os.curdir for entry in sys.path)
    return {**environment, **threads, "PYTHONPATH": path}


def _unprocessable(head: dict[str, Any]) -> Unprocessable:
    kind = getattr(errors, head["class"], Unprocessable)
    error: Unprocessable = kind(head["message"], reason=head["reason"])
    return error


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
