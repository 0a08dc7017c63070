"""The decode job in a sandboxed child: its handler there, and the inverse that its parent reads messages with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
from pydantic import ValidationError
from typing_extensions import Buffer

from processors.decode.bounds import most_messages
from processors.decode.job import Output, run_job
from processors.limits import MediaLimits
from processors.sandbox import Message
from processors.sandbox_child import WAITING
from processors.source import SourcePolicy, open_source
from processors.waiting import signs_of_life
from schemas.cell import CellResult
from schemas.chunk import Chunk, ChunkHeader
from schemas.errors import ChildCrashed, SourceChanged, WireError
from schemas.manifest import Manifest
from schemas.plan import Job

Send = Callable[[dict[str, Any], Buffer], None]


def handle(request: dict[str, Any], send: Send) -> None:
    """Run ``{"job": <Job JSON>, "policy": {…}, "limits": {…}}`` and send each output.

    Raises ``Unprocessable``; ``SourceChanged`` if the object is no longer the planned version, at the start or at the end.
    """
    job = Job.model_validate(request["job"])

    def sign() -> None:
        send(WAITING, b"")

    with signs_of_life(sign):
        opened = open_source(job.asset.uri, SourcePolicy.from_json(request["policy"]))
    with opened as source:
        source.while_waiting(sign)
        if source.version != job.asset.version:
            raise SourceChanged(f"{job.asset.uri} is version {source.version}, not {job.asset.version}")
        last: Manifest | None = None
        for output in run_job(job, source, MediaLimits.from_json(request.get("limits"))):
            if isinstance(output, Manifest):
                last = output
            else:
                send(*_message(output))
        with signs_of_life(sign):
            changed = source.changed()
        if changed:
            raise SourceChanged(f"{job.asset.uri} changed while it was decoded")
    assert last is not None
    send(*_message(last))


def _message(output: Output) -> tuple[dict[str, Any], Any]:
    match output:
        case Chunk():
            return {"type": "chunk", "header": output.header.to_bytes().decode()}, output.data
        case CellResult():
            return {"type": "cell", "headers": {k: v.decode() for k, v in output.headers().items()}}, output.value
        case Manifest():
            return {"type": "manifest"}, output.to_bytes()


def outputs(messages: Iterable[Message], job: Job, limits: MediaLimits) -> Iterator[Output]:
    """The outputs that a child's messages hold. Raises ``WireError`` if one holds none, ``ChildCrashed`` at the first that is
    more than the job can have: such a child follows no program of ours.
    """
    most = most_messages(job, limits)
    for n, message in enumerate(messages):
        if n >= most:
            raise ChildCrashed(f"more than {most} outputs came of {job.key.decode()}")
        yield parse(message)


def parse(message: Message) -> Output:
    """The output that a child's message holds. Raises ``WireError`` if it holds none."""
    head, body = message.head, message.body
    try:
        match head["type"]:
            case "chunk":
                return Chunk(ChunkHeader.from_bytes(head["header"].encode()), body)
            case "cell":
                return CellResult.from_message({k: v.encode() for k, v in head["headers"].items()}, body)
            case "manifest":
                return Manifest.model_validate(orjson.loads(body))
            case other:
                raise WireError(f"a decode child sends no {other!r}")
    except (KeyError, AttributeError, TypeError, ValidationError, orjson.JSONDecodeError) as error:
        raise WireError(f"not a decode child's message: {error}") from error
