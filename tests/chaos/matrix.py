"""The matrix: seeded runs of one workload under faults, each judged by the oracle and compared with a quiet run."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from processors.analyse import analyse
from processors.equal import differences
from schemas.events import ContentMetadata
from streams import topics
from streams.producer import Deliveries, make_producer
from tests.chaos import oracle
from tests.chaos.faults import FAULTS, NEEDS_NETWORK, Scene, Step, chosen, plan_faults
from tests.chaos.ledger import Ledger, Reader, follow
from tests.chaos.oracle import VERDICTS, Violation
from tests.chaos.rig import NotNow, Rig
from tests.chaos.workload import ASSETS, SPREAD_SECONDS, Asset, Sending, event_of, link_assets, make_assets, schedule

CONTENT_SEED = 11
"""Of the assets' contents: the same in every run, so that one quiet run is the reference of all."""

STUCK_SECONDS = 120.0
"""How long after the last fault is undone every upload must have its final event."""

DRAIN_SECONDS = 20.0
AGAIN_SECONDS = 0.2

PATIENT = {"delivery.timeout.ms": 600_000, "reconnect.backoff.max.ms": 500}
"""The uploader's own producer: whoever uploads keeps the event until Kafka has it."""


@dataclass(slots=True)
class RunResult:
    """What became of one run. ``seconds`` is from the first upload to the last final event."""

    seed: int
    faults: tuple[str, ...]
    seconds: float
    violations: list[Violation] = field(default_factory=list)


@dataclass(frozen=True, slots=True, order=True)
class _Act:
    """A fault that is due, to be done or undone."""

    at: float
    step: Step = field(compare=False)
    inject: bool = field(compare=False)


class Script:
    """What was done when: one JSON object a line, to be read beside the logs, and to be done again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began = time.monotonic()

    def note(self, **what: object) -> None:
        with self._path.open("a") as out:
            out.write(json.dumps({"t": round(time.monotonic() - self._began, 3), **what}) + "\n")

    @property
    def now(self) -> float:
        return time.monotonic() - self._began


@dataclass(slots=True)
class Sender:
    """The uploads of one run, in the order of their schedule. Faults may send them again, or at once."""

    deliveries: Deliveries
    folder: Path
    waiting: list[Sending]
    script: Script
    sent: list[Sending] = field(default_factory=list)

    def step(self, now: float) -> None:
        """Send what is due."""
        while self.waiting and self.waiting[0].at <= now:
            self._send(self.waiting.pop(0))

    def redeliver(self) -> int:
        for sending in list(self.sent):
            self._send(sending)
        return len(self.sent)

    def reorder(self) -> int:
        waiting, self.waiting = self.waiting, []
        for sending in reversed(waiting):
            self._send(sending)
        return len(waiting)

    def _send(self, sending: Sending) -> None:
        key, value, headers = event_of(sending, self.folder)
        self.deliveries.produce(topics.UPLOADS.name, key=key, value=value, headers=headers)
        self.script.note(do="upload", id=sending.id)
        if sending not in self.sent:
            self.sent.append(sending)


class Matrix:
    """One invocation: a stack, a quiet run, then faulted ones. ``say`` is told a line per run."""

    def __init__(
        self, folder: Path, rig: Rig, *, assets: tuple[Asset, ...] = ASSETS, say: Callable[[str], object] = print
    ) -> None:
        self._folder, self._rig, self._assets, self._say = folder, rig, assets, say
        self._source = folder / "assets"
        make_assets(self._source, CONTENT_SEED, assets)
        self._reader = Reader(rig.bootstrap)
        self._ledger = Ledger()
        self._uploads: dict[str, str] = {}
        """Every upload id ever sent, with its name, which is the same in every run."""
        self._quiet: dict[str, bytes] = {}
        self._known: Counter[Violation] = Counter()
        self.results: list[RunResult] = []

    def close(self) -> None:
        self._reader.close()

    def quiet(self, seed: int) -> RunResult:
        """The run without faults, to which all others are compared; itself compared with whole-file analysis."""
        result = self._run(seed, [], "quiet")
        more = self._against_analysis()
        for violation in more:
            self._say(f"    {violation}")
        result.violations += more
        return result

    def faulted(self, seed: int, names: Sequence[str]) -> RunResult:
        """A run with the faults of its seed."""
        steps = plan_faults(seed, names, SPREAD_SECONDS + 2)
        return self._run(seed, steps, f"run-{seed}")

    def finish(self) -> list[Violation]:
        """Everything once more: what came after its run was judged, and what belongs to no upload."""
        follow(self._reader, self._ledger, 2.0)
        self._await(self._reader.drained, DRAIN_SECONDS)
        found = [*oracle.verify(self._ledger, self._uploads), *oracle.strangers(self._ledger, self._uploads)]
        return [violation for violation in found if violation not in self._known]

    def _run(self, seed: int, steps: Sequence[Step], prefix: str) -> RunResult:
        self._rig.await_ready()
        folder = self._folder / prefix
        link_assets(self._source, folder)
        script = Script(folder.with_suffix(".jsonl"))
        script.note(do="run", seed=seed, steps=[asdict(step) for step in steps])
        sendings = schedule(seed, prefix, self._assets)
        uploads = {sending.id: sending.id.removeprefix(f"{prefix}-") for sending in sendings}
        self._uploads |= uploads
        sender = Sender(Deliveries(make_producer(self._rig.bootstrap, **PATIENT)), folder, sendings, script)
        self._act(sender, steps, script)
        sender.deliveries.flush_all()
        ended = self._await(lambda: all(map(self._ledger.ended, uploads)), STUCK_SECONDS)
        seconds = script.now
        self._await(self._reader.drained, DRAIN_SECONDS)
        follow(self._reader, self._ledger)
        violations = self._judge(uploads, folder, stuck=not ended)
        for violation in violations:
            script.note(do="violation", verdict=violation.verdict, what=violation.what)
        faults = tuple(step.fault for step in steps)
        result = RunResult(seed, faults, seconds, violations)
        self.results.append(result)
        state = "ok" if not violations else f"{len(violations)} VIOLATIONS"
        self._say(f"seed {seed}: {', '.join(faults) or 'no faults'}: {seconds:.1f} s, {state}")
        for violation in violations[:10]:
            self._say(f"    {violation}")
        return result

    def _act(self, sender: Sender, steps: Sequence[Step], script: Script) -> None:
        """Send uploads and do the faults at their moments, until all is sent and all is undone."""
        scene = Scene(self._rig, sender)
        acts = [_Act(step.at, step, inject=True) for step in steps]
        while acts or sender.waiting:
            sender.step(script.now)
            for act in sorted(act for act in acts if act.at <= script.now):
                acts.remove(act)
                acts += self._do(act, scene, script)
            follow(self._reader, self._ledger, 0.02)

    def _do(self, act: _Act, scene: Scene, script: Script) -> list[_Act]:
        """Do or undo a fault; what is to be done next. What needs an answer from a Kafka that stands still comes later."""
        fault = FAULTS[act.step.fault]
        try:
            done = fault.inject(scene, random.Random(act.step.seed)) if act.inject else fault.heal(scene)
        except NotNow:
            return [replace(act, at=script.now + AGAIN_SECONDS)]
        script.note(do="inject" if act.inject else "heal", fault=act.step.fault, done=done)
        return [replace(act, at=script.now + act.step.seconds, inject=False)] if act.inject else []

    def _await(self, holds: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            follow(self._reader, self._ledger)
        return True

    def _judge(self, uploads: dict[str, str], folder: Path, *, stuck: bool) -> list[Violation]:
        open_ = [upload for upload in uploads if not self._ledger.ended(upload)] if stuck else []
        found = [Violation("stuck", f"upload {upload}: {self._ledger.where(upload)}") for upload in open_]
        found += oracle.verify(self._ledger, [upload for upload in uploads if upload not in open_])
        finals = oracle.finals_by_name(self._ledger, uploads, folder.as_uri())
        if not self._quiet:
            self._quiet = finals
        found += oracle.different(self._quiet, finals)
        found += [Violation("different", f"{self._uploads[u]} ended as a dead letter") for u in uploads if self._only_letter(u)]
        self._known.update(found)
        return found

    def _only_letter(self, upload: str) -> bool:
        return self._ledger.refused(upload) and not any(run in self._ledger.finals for run in self._ledger.runs_of([upload]))

    def _against_analysis(self) -> list[Violation]:
        found = []
        for asset in self._assets:
            reference = analyse(str(self._folder / "quiet" / asset.name), code="chaos", tasks_wanted=asset.tasks, device="cpu")
            for run in self._ledger.runs_of([f"quiet-{asset.name}"]):
                for _, event in self._ledger.finals[run][:1]:
                    differs = [*differences(event, reference), *_reasons(event, reference)]
                    found += [Violation("different", f"{asset.name} and its whole-file analysis: {one}") for one in differs]
        return found


def _reasons(event: ContentMetadata, reference: ContentMetadata) -> list[str]:
    return [] if event.run.reason == reference.run.reason else [f"{event.run.reason}, not {reference.run.reason}"]


def table(results: Sequence[RunResult]) -> str:
    """A line per fault: in how many runs it was, what they violated, and how long they took."""
    head = ("fault", "runs", *VERDICTS, "median s")
    rows = [head]
    for name in ("none", *FAULTS, "all"):
        mine = [r for r in results if name in r.faults or (name == "none" and not r.faults) or name == "all"]
        if not mine:
            continue
        counts = Counter(violation.verdict for result in mine for violation in result.violations)
        figures = [str(counts[verdict]) for verdict in VERDICTS]
        rows.append((name, str(len(mine)), *figures, f"{statistics.median(r.seconds for r in mine):.1f}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def usable(names: Sequence[str], rig: Rig) -> tuple[list[str], list[str]]:
    """The faults that can be done here, and those that cannot for want of toxiproxy."""
    wanted = chosen(names)
    skipped = [name for name in wanted if name in NEEDS_NETWORK and rig.network is None]
    return [name for name in wanted if name not in skipped], skipped
