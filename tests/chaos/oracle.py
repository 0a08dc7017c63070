"""The verdicts: what a history proves to be lost, doubled in effect, torn, reordered, unseen, or different from a quiet run.

- **lost**: an upload with neither a final event nor a dead letter; a job without manifest or failure in a run that has ended;
  a chunk of a manifest without its cell where the run says that it is complete, or without a gap where it says that it is not;
  a finding that the reactions do not amount to.
- **doubled**: two final events of one run, two reactions of one number, two results of one cell, two chunks of one place
  that differ; two runs for one upload.
- **torn**: by the broker's append clock, a final event before the first record of a manifest, failure or cell that it counts,
  or of one of the run's reactions.
- **reordered**: the first records of a run's reactions, in the partition's order, are not numbered 1, 2, 3, …
- **unseen**: a record that belongs to no upload of the ledger, or cannot be read.
- **different**: a final event that is not, byte for byte, the quiet run's (see :func:`canonical`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from processors.tasks.base import NATIVE
from schemas.cell import CellStatus
from schemas.events import ContentMetadata
from schemas.ids import identity
from schemas.manifest import Manifest
from schemas.plan import NoPlan, Plan
from schemas.reactions import Reaction
from tests.chaos.ledger import Ledger, Seen

VERDICTS = ("lost", "doubled", "torn", "reordered", "unseen", "different", "stuck")


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be: a verdict and what it is about."""

    verdict: str
    what: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.what}"


def verify(ledger: Ledger, uploads: Collection[str]) -> list[Violation]:
    """What is wrong with the history of these uploads."""
    runs = sorted(ledger.runs_of(uploads))
    found = [Violation("lost", f"upload {u}: {ledger.where(u)}") for u in sorted(uploads) if not ledger.ended(u)]
    found += [
        Violation("doubled", f"upload {u} has the runs {sorted(r)}") for u in uploads if len(r := ledger.runs_of([u])) > 1
    ]
    for run in runs:
        found += [Violation(*of) for of in _of_run(ledger, run)]
    return found


def strangers(ledger: Ledger, uploads: Collection[str]) -> list[Violation]:
    """Records that belong to none of *all* the uploads that were ever sent, and those that cannot be read."""
    known = ledger.runs_of(uploads)
    found = [Violation("unseen", f"{seen.place} cannot be read: {why}") for seen, why in ledger.malformed]
    found += [Violation("unseen", f"upload {u} was not sent by us") for u in ledger.uploads if u not in uploads]
    for run, records in ledger.of_run.items():
        if run not in known:
            found.append(Violation("unseen", f"{len(records)} records of the unknown run {run}, first {records[0].place}"))
    for seen, letter in ledger.letters:
        place = (letter.original.topic, letter.original.partition, letter.original.offset)
        if place not in ledger.places:
            found.append(Violation("unseen", f"{seen.place}: a dead letter of the unknown record {place}"))
    return found


def _of_run(ledger: Ledger, run: str) -> Iterator[tuple[str, str]]:
    yield from _doubled(ledger, run)
    yield from _reactions(ledger, run)
    (_, plan), *_ = ledger.plans[run]
    if run not in ledger.finals or isinstance(plan, NoPlan):
        return
    final, event = ledger.finals[run][0]
    if final.id != identity("final", plan.asset.id, run):
        yield "doubled", f"{run}: the final event has the id {final.id}"
    yield from _counted(ledger, plan, final, event)


def _doubled(ledger: Ledger, run: str) -> Iterator[tuple[str, str]]:
    said = {(seen.id, seen.digest) for seen, _ in ledger.finals.get(run, ())}
    if len(said) > 1:
        yield "doubled", f"{run}: {len(said)} final events that differ"
    by_number: dict[int, set[tuple[str, str]]] = {}
    for seen, reaction in ledger.reactions.get(run, ()):
        by_number.setdefault(reaction.seq, set()).add((seen.id, seen.digest))
    yield from (("doubled", f"{run}: reaction {n} says {len(of)} things") for n, of in by_number.items() if len(of) > 1)
    for place, digests in ledger.chunks.items():
        if place[0] == run and len(digests) > 1:
            yield "doubled", f"chunk {place} has {len(digests)} contents"
    for where, results in ledger.cells.items():
        contents = {(r.digest, r.seen.digest) for r in results if r.status is CellStatus.OK}
        if where[0] == run and len(contents) > len({made_of for made_of, _ in contents}):
            yield "doubled", f"cell {where} has results of the same data that differ"


def _reactions(ledger: Ledger, run: str) -> Iterator[tuple[str, str]]:
    told = ledger.reactions.get(run, [])
    firsts = _firsts(told)
    numbers = [reaction.seq for _, reaction in firsts]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "reordered", f"{run}: reactions come in the order {numbers}"
    if run not in ledger.finals:
        return
    final, event = ledger.finals[run][0]
    late = [reaction.seq for seen, reaction in firsts if seen.at > final.at]
    if late:
        yield "torn", f"{run}: the reactions {late} come after the final event"
    standing: dict[str, object] = {}
    ended = set()
    for _, reaction in sorted(firsts, key=lambda first: first[1].seq):
        if reaction.finding is None:
            continue
        if reaction.phase in ("withdrawn", "merged"):
            standing.pop(reaction.finding.id, None)
        else:
            standing[reaction.finding.id] = reaction.finding
            ended |= {reaction.finding.id} if reaction.phase == "end" else set()
    if standing != {finding.id: finding for finding in event.findings} or not standing.keys() <= ended:
        yield "lost", f"{run}: the reactions do not amount to the final event's {len(event.findings)} findings"


def _firsts(records: list[tuple[Seen, Reaction]]) -> list[tuple[Seen, Reaction]]:
    """The first record of each number, in the order in which they came."""
    known: dict[int, tuple[Seen, Reaction]] = {}
    for seen, reaction in records:
        known.setdefault(reaction.seq, (seen, reaction))
    return list(known.values())


def _counted(ledger: Ledger, plan: Plan, final: Seen, event: ContentMetadata) -> Iterator[tuple[str, str]]:
    """What the final event says that there was, against what there is, and when it came."""
    run, complete = plan.run, event.run.status == "complete"
    expected = 0
    for job in plan.jobs:
        key = (run, job.stream, job.segment)
        manifests, failures = ledger.manifests.get(key, []), ledger.failures.get(key, [])
        if not manifests and (complete or not failures):
            if complete or not _gap(event, job.stream, None):
                yield "lost", f"{key}: an ended run without a manifest"
            continue
        first = min(seen.at for seen, _ in [*manifests, *failures])
        if first > final.at:
            yield "torn", f"{key}: its end comes {first - final.at} ms after the final event"
        if not manifests:
            continue
        manifest = manifests[-1][1]
        if len({tuple(sorted(_digests(m).items())) for _, m in manifests}) > 1:
            yield "doubled", f"{key}: manifests that name different data"
        for task in plan.stream(job.stream).tasks:
            for n, wanted in _wanted(plan, manifest, task):
                expected += 1
                place = (run, job.stream, job.segment, task, n)
                cells = [cell for cell in ledger.cells.get(place, ()) if cell.digest == wanted]
                if not cells and (complete or not _gap(event, job.stream, task)):
                    yield "lost", f"cell {place} is missing in a run that is {event.run.status}"
                elif cells and (late := min(cell.seen.at for cell in cells) - final.at) > 0:
                    yield "torn", f"cell {place} comes {late} ms after the final event"
    if complete and (event.coverage.chunks.expected, event.coverage.chunks.ok) != (expected, expected):
        yield "lost", f"{run}: {expected} cells were to come, and the final event counts {event.coverage.chunks}"


def _gap(event: ContentMetadata, stream: str, task: str | None) -> bool:
    """Whether a gap is named on a stream, for all tasks or for one."""
    return any(gap.stream == stream and gap.task in (None, task) for gap in event.coverage.gaps)


def _digests(manifest: Manifest) -> dict[tuple[str, int], tuple[tuple[str, str], ...]]:
    return {(chunk.rendition, chunk.n): tuple(sorted(chunk.digests.items())) for chunk in manifest.chunks}


def _wanted(plan: Plan, manifest: Manifest, task: str) -> Iterator[tuple[int, str]]:
    """The cells of one task that a manifest asks for: number in the lane, and digest."""
    rendition = plan.task(task).rendition
    for n, chunk in enumerate(c for c in manifest.chunks if c.rendition == rendition):
        yield n, chunk.digests.get(task if rendition == NATIVE else "", "")


_SECONDS = re.compile(rb'("runtime":"[^"]*","seconds":)[-+.0-9eE]+')


def canonical(final: Seen, event: ContentMetadata, folder: str, uploads: Collection[str]) -> bytes:
    """A final event's headers and bytes without what names the run: equal for equal results.

    Replaced by fixed words: the folder that the file lies in, the asset's id (a hash of URI and version), the run's id,
    the upload's, the event's own (a hash of asset and run), each finding's (a hash of asset and place), and
    ``producers[].seconds``, a time.
    """
    names = {folder: "FOLDER", event.asset.id: "ASSET", event.run.id: "RUN", final.id: "EVENT"}
    names |= {finding.id: f"F/{finding.stream}/{finding.code}/{finding.start}/{finding.by}" for finding in event.findings}
    names |= {upload: "UPLOAD" for upload in uploads if upload == event.run.caused_by}
    head = b"\n".join(b"%s: %s" % (name.encode(), value) for name, value in sorted(final.headers.items()))
    text = head + b"\n\n" + _SECONDS.sub(rb"\g<1>0", final.value)
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name.encode(), names[name].encode())
    return text


def finals_by_name(ledger: Ledger, uploads: Mapping[str, str], folder: str) -> dict[str, bytes]:
    """The canonical final event of each upload, by a name that is the same in every run."""
    found = {}
    for upload, name in uploads.items():
        for run in ledger.runs_of([upload]):
            for final, event in ledger.finals.get(run, [])[:1]:
                found[name] = canonical(final, event, folder, uploads)
    return found


def different(quiet: Mapping[str, bytes], faulted: Mapping[str, bytes]) -> list[Violation]:
    """Final events that are not the quiet run's."""
    found = []
    for name, body in faulted.items():
        if name in quiet and quiet[name] != body:
            at = next((i for i, (a, b) in enumerate(zip(quiet[name], body, strict=False)) if a != b), 0)
            was, now = (text[max(0, at - 60) : at + 100].decode(errors="replace") for text in (quiet[name], body))
            found.append(Violation("different", f"{name}: {now!r}, and in the quiet run {was!r}"))
    return found
