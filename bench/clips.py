"""A table of clips: what the analysis counts and finds in each, beside ffprobe's count and mediainfo's.

``python -m bench.clips FOLDER… [--json] [--whole|--cut] [--all-tasks]``. Each file is analysed in a process of its own under a
time limit: one that crashes or hangs is a row, and not the end. The status is 1 if a file has no final event.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.oracles import Told, ffprobe_units, mediainfo_units
from schemas.events import ContentMetadata

LIGHT = ("native-picture", "loudness", "audio-qc")
NO_MEDIA = frozenset({".csv", ".rttm", ".md", ".txt", ".json", ".jpg", ".png"})
LIMIT_SECONDS = 120
COLUMNS = (
    *("file", "status", "container", "stream", "segments", "expected", "decoded", "analysed", "concealed", "failed", "missing"),
    *("ffprobe", "agrees", "mediainfo", "findings", "s"),
)


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream: frames or samples by outcome (``None`` where it is skipped), and what the other programs count."""

    id: str
    codec: str | None
    decision: str
    reason: str | None
    segments: int = 0
    expected: int | None = None
    decoded: int | None = None
    analysed: int | None = None
    concealed: int | None = None
    failed: int | None = None
    missing: int | None = None
    findings: dict[str, int] = field(default_factory=dict)
    ffprobe: int | None = None
    mediainfo: Told | None = None

    @property
    def agrees(self) -> str:
        """Whether as much was decoded as by ffprobe; if not, how much more or less."""
        if self.decoded is None or self.ffprobe is None:
            return ""
        return "yes" if self.decoded == self.ffprobe else f"{self.decoded - self.ffprobe:+d}"


@dataclass(frozen=True, slots=True)
class ClipRow:
    """One file. ``status`` is the final event's, or ``hung`` or ``died``; ``seconds`` are wall-clock time."""

    file: str
    status: str
    reason: str | None
    container: str | None
    seconds: float
    streams: tuple[StreamRow, ...] = ()


def media_files(folders: Iterable[Path]) -> list[Path]:
    """The files below some folders that may be media, in order."""
    return sorted(p for folder in folders for p in folder.rglob("*") if p.is_file() and p.suffix.lower() not in NO_MEDIA)


def examine(path: Path, *, whole: bool, tasks: Sequence[str] | None) -> ClipRow:
    """Analyse one file in a process of its own, and ask the other programs."""
    options = [*(["--whole"] if whole else []), *(["--all-tasks"] if tasks is None else [])]
    command = [sys.executable, "-m", "bench.clips", "--one", str(path), *options]
    begun = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        return ClipRow(path.name, "hung", f"no answer within {LIMIT_SECONDS} s", None, LIMIT_SECONDS)
    seconds = time.perf_counter() - begun
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return ClipRow(path.name, "died", f"exit status {done.returncode}: {' '.join(tail)}", None, seconds)
    said = json.loads(done.stdout)
    event = ContentMetadata.model_validate(said["event"])
    return ClipRow(
        path.name,
        event.run.status,
        event.run.reason,
        event.technical.container,
        seconds,
        tuple(_streams(event, said["segments"], path)),
    )


def _streams(event: ContentMetadata, segments: dict[str, int], path: Path) -> Iterator[StreamRow]:
    counted, told = None, None
    with suppress(RuntimeError, subprocess.SubprocessError):
        counted = ffprobe_units(path)
    with suppress(subprocess.SubprocessError):
        told = mediainfo_units(path)
    numbers: Counter[str] = Counter()
    for stream in event.technical.streams:
        number, numbers[stream.kind] = numbers[stream.kind], numbers[stream.kind] + 1
        covered = event.coverage.streams.get(stream.id)
        yield StreamRow(
            stream.id,
            stream.codec,
            stream.decision,
            stream.reason,
            segments.get(stream.id, 0),
            **(covered.model_dump() if covered is not None else {}),
            findings=dict(Counter(f.code for f in event.findings if f.stream == stream.id)),
            ffprobe=(counted or {}).get(stream.index),
            mediainfo=(told or {}).get((stream.kind, number)),
        )


def analyse_one(path: str, *, whole: bool, tasks: Sequence[str] | None) -> dict[str, object]:
    """The child's part: the final event, and the number of segments by stream."""
    from processors.analyse import analyse
    from processors.plan import PlanRequest, make_plan
    from processors.probe import probe
    from processors.source import SourcePolicy, to_uri
    from schemas.errors import Unprocessable

    event = analyse(path, code="bench", tasks_wanted=tasks, whole=whole)
    segments: Counter[str] = Counter()
    with suppress(Unprocessable):
        request = PlanRequest(caused_by="", created="", code="", tasks=tuple(tasks) if tasks else None, single_segment=whole)
        segments.update(job.stream for job in make_plan(probe(to_uri(path), SourcePolicy()), request).jobs)
    return {"event": event.model_dump(mode="json"), "segments": segments}


def markdown(rows: Iterable[ClipRow]) -> Iterator[str]:
    """A table with a line for each stream."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|" + " --- |" * len(COLUMNS)
    for row in rows:
        if not row.streams:
            yield _line([row.file, f"{row.status}: {row.reason}", row.container or "", *[""] * 12, f"{row.seconds:.1f}"])
        for number, s in enumerate(row.streams):
            head = [row.file, row.status, row.container or ""] if number == 0 else ["", "", ""]
            last = f"{row.seconds:.1f}" if number == 0 else ""
            yield _line([*head, *_cells(s), last])


def _cells(s: StreamRow) -> list[str]:
    counts = [s.expected, s.decoded, s.analysed, s.concealed, s.failed, s.missing]
    told = "" if s.mediainfo is None else f"{_text(s.mediainfo.units)} in {_text(s.mediainfo.seconds)} s"
    found = ", ".join(f"{code} {n}" for code, n in sorted(s.findings.items()))
    what = found if s.decision == "analysed" else f"skipped: {s.reason}"
    return [f"{s.id} {s.codec or ''}", str(s.segments or ""), *map(_text, counts), _text(s.ffprobe), s.agrees, told, what]


def _text(value: float | None) -> str:
    return "" if value is None else str(value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.clips", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="folders (or files) to look at")
    parser.add_argument("--json", action="store_true", help="one JSON object for each file instead of a table")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--whole", action="store_true", help="each stream in one segment")
    how.add_argument("--cut", action="store_true", help="segments as the pipeline cuts them (the default)")
    parser.add_argument("--all-tasks", action="store_true", help="the networks too")
    parser.add_argument("--one", metavar="FILE", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    tasks = None if chosen.all_tasks else LIGHT
    if chosen.one:
        print(json.dumps(analyse_one(chosen.one, whole=chosen.whole, tasks=tasks)))
        return 0
    files = [p for p in chosen.folders if p.is_file()] + media_files(p for p in chosen.folders if p.is_dir())
    rows = []
    for path in files:
        rows.append(examine(path, whole=chosen.whole, tasks=tasks))
        if chosen.json:
            print(json.dumps(asdict(rows[-1])), flush=True)
    if not chosen.json:
        print("\n".join(markdown(rows)))
    return int(any(row.status in ("hung", "died") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
