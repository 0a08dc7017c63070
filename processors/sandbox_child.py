"""The child's side of the sandbox: ``python -m processors.sandbox_child module:function LIMITS PARENT_PID``, limits as JSON."""

from __future__ import annotations

import ctypes
import importlib
import math
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from typing_extensions import Buffer

from processors.confine import confine
from schemas import errors
from schemas.errors import Unprocessable

PREFIX = struct.Struct("<II")
OWN = "sandbox"
"""The key of heads that are the sandbox's own: ready, done, unprocessable, memory, failed, waiting."""
WAITING = {OWN: "waiting"}
"""What a handler may send while it waits on a network: the parent goes on waiting for the next message."""
OPEN_FILES = 256
CV2_NO_MEMORY = -4
PR_SET_PDEATHSIG = 1

Send = Callable[[dict[str, Any], Buffer], None]
Handler = Callable[[dict[str, Any], Send], None]


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the parent dies; leave at once if it already has."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def take_pipes() -> tuple[int, int]:
    """The pipes to the parent. Whatever a library prints goes to stderr, and what it would read is empty."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def set_limits(memory: int | None) -> None:
    """No core dump, no file written, few files open, and ``memory`` bytes of address space beyond today's."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def renew_cpu(seconds: float | None) -> None:
    """Let this process use so much more CPU time; beyond it the kernel ends it with SIGXCPU."""
    if seconds is not None:
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        soft = math.ceil(time.process_time() + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def send(answers: int, head: dict[str, Any], body: Buffer = b"") -> None:
    """Write one frame."""
    payload = memoryview(body)
    payload = payload.cast("B") if payload.nbytes else memoryview(b"")
    packed = orjson.dumps(head)
    parts = [memoryview(PREFIX.pack(len(packed), len(payload)) + packed), payload]
    while parts:
        written = os.writev(answers, parts)
        while parts and written >= len(parts[0]):
            written -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][written:]


def receive(requests: int) -> dict[str, Any] | None:
    """Read one request; ``None`` when the parent has closed the pipe."""
    prefix = _read(requests, PREFIX.size)
    if prefix is None:
        return None
    head = _read(requests, sum(PREFIX.unpack(prefix)))
    return None if head is None else orjson.loads(head)


def _read(requests: int, length: int) -> bytes | None:
    data = b""
    while len(data) < length:
        piece = os.read(requests, length - len(data))
        if not piece:
            return None
        data += piece
    return data


def out_of_memory(error: BaseException) -> bool:
    """Whether numpy, Python, PyAV (its MemoryError is Python's too) or OpenCV could not get memory."""
    return isinstance(error, MemoryError) or (type(error).__module__ == "cv2" and getattr(error, "code", None) == CV2_NO_MEMORY)


def describe(error: Exception) -> dict[str, Any]:
    """The head that tells the parent about an error."""
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, Unprocessable):
        known = next(c.__name__ for c in type(error).__mro__ if getattr(errors, c.__name__, None) is c)
        return {OWN: "unprocessable", "class": known, "reason": error.reason, "message": str(error)}
    if out_of_memory(error):
        return {OWN: "memory", "message": message}
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace is not None else ""
    return {OWN: "failed", "message": message + where}


def serve(handle: Handler, requests: int, answers: int, cpu: float | None) -> None:
    """Answer requests until the parent closes the pipe. Each request and each message is given ``cpu`` seconds of CPU time."""

    def answer(head: dict[str, Any], body: Buffer) -> None:
        send(answers, head, body)
        if head != WAITING:  # who waits makes no progress
            renew_cpu(cpu)

    while (request := receive(requests)) is not None:
        renew_cpu(cpu)
        try:
            handle(request, answer)
            end: dict[str, Any] = {OWN: "done"}
        except Exception as error:  # the guard: what a handler raises becomes the parent's error
            end = describe(error)
        send(answers, end)


def main(handler: str, limits: str, parent: str) -> None:
    """Import the handler, set the limits, serve."""
    die_with(int(parent))
    requests, answers = take_pipes()
    module, _, function = handler.partition(":")
    handle: Handler = getattr(importlib.import_module(module), function)
    allowed = orjson.loads(limits)
    set_limits(allowed["memory_bytes"])
    confine(network=allowed["network"])
    send(answers, {OWN: "ready"})
    serve(handle, requests, answers, allowed["cpu_seconds"])


if __name__ == "__main__":
    main(*sys.argv[1:])
