"""What this project says of a file, with the signals behind it: the whole-file analysis, and its native cells kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors import assemble, tasks
from processors.aggregate import Aggregate
from processors.analyse import take
from processors.decode.job import run_job
from processors.limits import MediaLimits
from processors.plan import PlanRequest, make_plan
from processors.probe import probe
from processors.source import SourcePolicy, open_source, to_uri
from schemas.cell import CellResult, Signals
from schemas.events import ContentMetadata

NATIVE = "native-picture"


@dataclass(frozen=True, slots=True)
class Measured:
    """The final event and every native signal by name, one row per frame."""

    event: ContentMetadata
    signals: dict[str, NDArray[Any]]

    def intervals(self, code: str) -> list[tuple[float, float]]:
        """The findings of a code, in seconds."""
        return [(f.start_seconds, f.end_seconds) for f in self.event.findings if f.code == code]


def measure(path: Path, wanted: Sequence[str] = (NATIVE, "audio-qc")) -> Measured:
    """Analyse a file in this process."""
    policy = SourcePolicy()
    request = PlanRequest(
        caused_by="test", created="2026-01-01T00:00:00Z", code="test", tasks=tuple(wanted), single_segment=True, profiles=()
    )
    plan = make_plan(probe(to_uri(str(path)), policy), request)
    aggregate, cells = Aggregate(plan), []
    runners = {name: tasks.agent_task(name).load("cpu") for name in wanted if name != NATIVE}
    for job in plan.jobs:
        with open_source(plan.asset.uri, policy) as source:
            for output in run_job(job, source, MediaLimits()):
                if isinstance(output, CellResult) and output.key.task == NATIVE:
                    cells.append(Signals.from_bytes(output.value))
                take(aggregate, output, job, runners.__getitem__)
    names = cells[0].arrays if cells else ()
    signals = {name: np.concatenate([cell.arrays[name] for cell in cells]) for name in names}
    return Measured(assemble.metadata(aggregate, dataref=None), signals)
