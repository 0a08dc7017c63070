"""One file through everything but Kafka: the sandboxed children, the plan, the agents and the aggregator's own service."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from processors import tasks
from processors.decode.child import outputs
from processors.infer import failed_cell, infer
from processors.limits import MediaLimits
from processors.plan import PlanRequest, make_plan, no_plan
from processors.probe.child import parse
from processors.sandbox import Child, Limits
from processors.sidecar import SidecarWriter
from processors.source import SourcePolicy, to_uri
from processors.tasks.base import Runner
from schemas.cell import CellResult
from schemas.chunk import Chunk
from schemas.errors import ChildError, DailiesError, Unprocessable
from schemas.events import ContentMetadata
from schemas.manifest import JobFailed
from schemas.plan import Job, NoPlan, Plan
from schemas.types import EventType
from streams.aggregator.service import Service
from tests.chaos.mutate import Mutant
from tests.stack import QUICK
from tests.sums import Kafka

ATTEMPTS = 3
PROBE = Limits(wall_seconds=60, cpu_seconds=20)
DECODE = Limits(stall_seconds=60, cpu_seconds=20)


class Line:
    """Analyses file after file in two children of its own. ``failures`` are the attempts that ended a child."""

    def __init__(self, folder: Path, limits: MediaLimits | None = None, memory: int = 2 << 30) -> None:
        self.folder, self._limits = folder, limits or MediaLimits()
        self._request = {"policy": asdict(SourcePolicy(roots=(str(folder),))), "limits": asdict(self._limits)}
        self._prober = Child("processors.probe.child:handle", replace(PROBE, memory_bytes=memory))
        self._decoder = Child("processors.decode.child:handle", replace(DECODE, memory_bytes=memory))
        self._runners: dict[str, Runner] = {}
        self._sidecar = SidecarWriter((folder / "sidecar").as_uri())
        self._loop = asyncio.Runner()
        self.failures: list[ChildError] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._prober.close()
        self._decoder.close()
        self._loop.close()

    def run(self, mutant: Mutant) -> ContentMetadata:
        """The final event of a mutant, of which nothing is left on disk."""
        path = self.folder / mutant.name
        path.write_bytes(mutant.data)
        try:
            return self.final(path)
        finally:
            path.unlink()
            shutil.rmtree(self.folder / "sidecar", ignore_errors=True)

    def final(self, path: Path) -> ContentMetadata:
        """The one final event of a file. Raises ``AssertionError`` if there is none, or more than one."""
        kafka, table = Kafka(), {}
        service = Service(table, self._sidecar, kafka.emit)
        plan = self._plan(to_uri(str(path)))
        kind = EventType.PLANNED if isinstance(plan, Plan) else EventType.UNPROCESSABLE
        self._tell(service, {"ce_type": kind.encode()}, plan.model_dump_json().encode())
        for body in kafka.on("media.segments"):
            for headers, value in self._work(Job.model_validate_json(body), plan):
                self._tell(service, headers, value)
        assert len(kafka.finals()) == 1, f"{len(kafka.finals())} final events"
        return ContentMetadata.model_validate_json(kafka.finals()[0])

    def _tell(self, service: Service, headers: dict[str, bytes], value: bytes) -> None:
        self._loop.run(service.handle({"ce_id": b"1", **headers}, value))

    def _plan(self, uri: str) -> Plan | NoPlan:
        request = PlanRequest(caused_by="u", created="2026-01-01T00:00:00Z", code="1", tasks=QUICK, cores=2)
        failure: ChildError | None = None
        for _ in range(ATTEMPTS):
            try:
                (answer,) = self._prober.call({"uri": uri, **self._request})
                return make_plan(parse(answer.body), request)
            except Unprocessable as error:
                return no_plan(uri, None, error, request)
            except ChildError as error:
                failure = error
                self.failures.append(error)
        assert failure is not None
        return no_plan(uri, None, Unprocessable(str(failure), reason=failure.reason), request)

    def _work(self, job: Job, plan: Plan | NoPlan) -> Iterator[tuple[dict[str, bytes], bytes]]:
        failure: DailiesError | None = None
        for _ in range(ATTEMPTS):
            try:
                messages = self._decoder.call({"job": job.model_dump(mode="json"), **self._request})
                for output in outputs(messages, job, self._limits):
                    yield from self._results(output, job, plan)
                return
            except Unprocessable as error:
                failure = error
                break
            except ChildError as error:
                failure = error
                self.failures.append(error)
        known = {"run": job.run, "asset": job.asset.id, "stream": job.stream, "segment": job.segment}
        event = JobFailed(**known, reason=getattr(failure, "reason", ""), message=str(failure), attempts=ATTEMPTS)
        yield {"ce_type": EventType.JOB_FAILED.encode()}, event.model_dump_json().encode()

    def _results(self, output: Any, job: Job, plan: Plan) -> Iterator[tuple[dict[str, bytes], bytes]]:
        if isinstance(output, Chunk):
            for name in job.agent_tasks:
                task = plan.task(name)
                if task.rendition == output.header.rendition:
                    yield _cell(self._inferred(task, output))
        elif isinstance(output, CellResult):
            yield _cell(output)
        else:
            yield {"ce_type": EventType.MANIFEST.encode()}, output.to_bytes()

    def _inferred(self, task: Any, chunk: Chunk) -> CellResult:
        if task.name not in self._runners:
            self._runners[task.name] = tasks.agent_task(task.name).load("cpu")
        try:
            return infer(task, self._runners[task.name], chunk)
        except Exception as error:  # as the inference role does: the cell fails, and the others stand
            return failed_cell(task, chunk.header, error)


def _cell(result: CellResult) -> tuple[dict[str, bytes], bytes]:
    return {"ce_type": EventType.CELL.encode(), **result.headers()}, result.value
