"""One task's results on one stream: put in order, checked against the manifest, folded as the prefix grows."""

from __future__ import annotations

import functools
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import FindingDraft, FoldEvent, Phase
from processors.tasks.base import NATIVE, FoldRun
from schemas.cell import CellResult, CellStatus, Signals, pack, unpack
from schemas.chunk import hop_edge
from schemas.errors import WireError
from schemas.ids import digest
from schemas.manifest import ChunkRecord, Manifest
from schemas.plan import TaskRef

Place = tuple[int, int]
"""A cell's place in its lane: segment, chunk number."""


@dataclass(slots=True)
class Tally:
    """What a lane has seen so far: cells by outcome, and the time they took."""

    ok: int = 0
    skipped: int = 0
    seconds: float = 0.0
    runtime: str = ""
    failures: dict[Place, str] = field(default_factory=dict)
    """Failed cells with the reason."""
    versions: set[str] = field(default_factory=set)
    """The versions of the task that the results are from."""


@dataclass(slots=True)
class Lane:
    """The ordered results of one task on one stream.

    Results may come in any order and more than once; each is folded exactly once, when all before it are. What is folded
    since the last :meth:`checkpoint` is kept in :attr:`recent` for the sidecar.
    """

    stream: str
    task: TaskRef
    segments: int
    run: FoldRun
    fold_version: str = ""
    """The version of the task whose fold this is: the state that it keeps is for that one alone."""
    at: Place = (0, 0)
    heard: int = 0
    """How many events the fold has given so far: each has its number, the same after every restart."""
    reached: int | None = None
    """Start of the last folded row, in raw ticks (of sound: the sample past it)."""
    pending: dict[Place, dict[str, CellResult]] = field(default_factory=dict)
    folded: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Of each segment: how many of its cells are folded, and a digest over theirs, so that hours of chunks take no room."""
    tally: Tally = field(default_factory=Tally)
    recent: list[Signals] = field(default_factory=list)
    parts: int = 0
    _grown_journal: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    _grown_events: list[FoldEvent] = field(default_factory=list)
    _grown_folded: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether every cell is accounted for."""
        return self.at[0] >= self.segments

    def fresh_folded(self) -> Sequence[tuple[int, int, str]]:
        """The cells folded since the last checkpoint: segment, number, digest."""
        return tuple(self._grown_folded)

    def offer(self, result: CellResult) -> bool:
        """Take a result in; False if it is known already or comes too late to matter."""
        place = (result.key.segment, result.key.n)
        if place < self.at or result.key.segment >= self.segments:
            return False
        known = self.pending.setdefault(place, {})
        if result.digest in known:
            return False
        known[result.digest] = result
        return True

    def advance(self, manifests: Mapping[int, Manifest], failed_jobs: Container[int]) -> list[tuple[int, FoldEvent]]:
        """Fold what is contiguous; the fold's events, each with its number from 1 on.

        ``manifests`` and ``failed_jobs`` are by segment.
        """
        events: list[tuple[int, FoldEvent]] = []
        while not self.done:
            segment, n = self.at
            manifest = manifests.get(segment)
            records = self.records(manifest) if manifest else None
            if segment in failed_jobs or (records is not None and n >= len(records)):
                self.pending = {place: known for place, known in self.pending.items() if place[0] > segment}
                self.at = (segment + 1, 0)
                continue
            known = self.pending.get(self.at, {})
            # Before the manifest any result is as good as another: decoding is deterministic, so all have one digest.
            wanted = self._digest(records[n]) if records is not None else next(iter(known), "")
            if wanted not in known:
                break
            before = self.heard
            events += enumerate(self._fold(known[wanted]), start=before + 1)
            self.pending.pop(self.at)
            self._note_folded(segment, wanted)
            self._grown_folded.append((segment, n, wanted))
            self.at = (segment, n + 1)
        return events

    def missing(self, manifest: Manifest) -> list[tuple[Place, str]]:
        """The cells of one job that are not accounted for: place, and the digest that their result must have."""
        places = [((manifest.segment, n), self._digest(record)) for n, record in enumerate(self.records(manifest))]
        return [(place, wanted) for place, wanted in places if place >= self.at and wanted not in self.pending.get(place, {})]

    def records(self, manifest: Manifest) -> list[ChunkRecord]:
        """The manifest's chunks that this lane's task reads, by number."""
        return [c for c in manifest.chunks if c.rendition == self.task.rendition]

    def _digest(self, record: ChunkRecord) -> str:
        return record.digests.get(self.task.name if record.rendition == NATIVE else "", "")

    def contradicted(self, manifest: Manifest) -> bool:
        """Whether something folded before the manifest came was made from other data than it names."""
        count, folded = self.folded.get(manifest.segment, (0, ""))
        named = [self._digest(record) for record in self.records(manifest)[:count]]
        return len(named) < count or functools.reduce(_chained, named, "") != folded

    def record(self, manifest: Manifest, n: int) -> ChunkRecord:
        """What the manifest says of one of this lane's chunks; of a segment that is passed only those that failed are kept."""
        return next(record for record in self.records(manifest) if record.n == n)

    def _note_folded(self, segment: int, wanted: str) -> None:
        count, folded = self.folded.get(segment, (0, ""))
        self.folded[segment] = (count + 1, _chained(folded, wanted))

    def _fold(self, result: CellResult) -> list[FoldEvent]:
        self.tally.seconds += result.seconds
        self.tally.runtime = result.runtime or self.tally.runtime
        if result.status is CellStatus.FAILED:
            self.tally.failures[result.key.segment, result.key.n] = result.value.decode(errors="replace")[:300]
            return []
        if result.status is CellStatus.SKIPPED:
            self.tally.skipped += 1
            return []
        signals = result.signals()
        step = self.run.step(signals)
        self.tally.ok += 1
        self.tally.versions.add(result.key.task_version)
        self.recent.append(signals)
        self._grown_events += step.events
        self.heard += len(step.events)
        self.reached = self._row_end(signals)
        for name, rows in step.journal.items():
            self._grown_journal.setdefault(name, []).append(rows)
        return list(step.events)

    def _row_end(self, signals: Signals) -> int | None:
        audio = self.run.stream.audio
        if audio is not None:
            return hop_edge(audio.rate, signals.end_row)
        pts = signals.arrays.get("pts")
        return self.reached if pts is None or not len(pts) else int(pts[-1])

    def checkpoint(self) -> tuple[bytes, bytes]:
        """The lane's state (small), and what grew since the last checkpoint (to be kept under its own number)."""
        state = {k: v for k, v in self.run.state.items() if not isinstance(v, np.ndarray)}
        arrays = {k: v for k, v in self.run.state.items() if isinstance(v, np.ndarray)}
        self.parts += 1
        meta = {
            "version": self.fold_version,
            "versions": sorted(self.tally.versions),
            "at": self.at,
            "next_row": self.run.next_row,
            "parts": self.parts,
            "heard": self.heard,
            "reached": self.reached,
            "tally": [self.tally.ok, self.tally.skipped, self.tally.seconds, self.tally.runtime],
            "failures": [[*place, reason] for place, reason in self.tally.failures.items()],
            "state": state,
        }
        journal = {name: np.concatenate(rows) for name, rows in self._grown_journal.items()}
        events = [{"phase": e.phase.value, "finding": e.finding.to_json()} for e in self._grown_events]
        grown = pack(journal, {"events": events, "folded": self._grown_folded})
        self._grown_events, self._grown_journal, self._grown_folded, self.recent = [], {}, [], []
        return pack(arrays, meta), grown

    def restore(self, state: bytes, grown: Mapping[int, bytes]) -> None:
        """Continue from a checkpoint and what had grown before it: parts by their numbers, from 1. One that the checkpoint does
        not count was written for the next, which never came.

        Raises ``WireError`` if it is none, a part is missing, or another version of the task has made it.
        """
        arrays, meta = unpack(state)
        if (made_by := meta.get("version", self.task.version)) != self.fold_version:
            raise WireError(f"the state of {self.task.name} is of version {made_by}, and {self.fold_version} runs here")
        self.run.state = {**meta["state"], **arrays}
        self.run.next_row = meta["next_row"]
        self.at = (meta["at"][0], meta["at"][1])
        self.parts, self.heard, self.reached = meta["parts"], meta["heard"], meta["reached"]
        ok, skipped, seconds, runtime = meta["tally"]
        failures = {(s, n): reason for s, n, reason in meta["failures"]}
        self.tally = Tally(ok, skipped, seconds, runtime, failures, set(meta.get("versions", [self.task.version])))
        for number in range(1, self.parts + 1):
            if number not in grown:
                raise WireError(f"part {number} of {self.parts} of what {self.task.name} has found is missing")
            rows, said = unpack(grown[number])
            for name, array in rows.items():
                self.run.journal.setdefault(name, []).append(array)
            self.run.hear([FoldEvent(Phase(e["phase"]), FindingDraft.from_json(e["finding"])) for e in said["events"]])
            for segment, _, found in said["folded"]:
                self._note_folded(segment, found)


def _chained(before: str, cell: str) -> str:
    """A digest over the cells so far, in order."""
    return digest(f"{before} {cell}".encode())
