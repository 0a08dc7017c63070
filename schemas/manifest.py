"""The manifest of one decode job: everything that it made, so that completeness can be proved. Travels on media.inferences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.plan import Wire


class ChunkRecord(Wire):
    """One chunk (or, for the rendition ``native``, the cells of one stretch of frames) that the job made.

    ``digests`` of a native record holds each decode task's cell digest, by task name; else the chunk's own is under "".
    ``rows`` are ``(owned, after)``. Topic, partition and offset come from the delivery report.
    """

    rendition: str
    n: int
    first_row: int
    rows: tuple[int, int]
    fresh: bool
    bytes: int
    digests: dict[str, str]
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None


class DecodeError(Wire):
    """Something the decoder could not read, or concealed: the frames (or samples) concerned, counted in the stream; half-open.

    Where frames are lost of which it is not known how many, ``first`` and ``end`` lie around the place. For video ``pts`` and
    ``end_pts`` are the raw ticks of the same stretch. ``times`` is how many packets or frames the entry stands for.
    """

    first: int
    end: int
    pts: int | None = None
    end_pts: int | None = None
    message: str
    times: int = 1


class TimestampGap(Wire):
    """Where a stream's timestamps leave their course.

    For sound: they leave the sample count by more than two ticks of the container's clock. ``first`` is the sample position,
    ``jump`` by how many samples time jumps there (negative: back), ``start`` and ``end`` the stretch in samples.
    For video: the distance of two consecutive pictures is not what :class:`processors.decode.timing.Course` allows.
    ``first`` is the number of the picture after the jump, ``jump`` by how many ticks it is off its place, ``start`` and
    ``end`` the stretch in raw ticks: the hole in time, or the picture that does not lie after the one before it.
    ``pts`` is the raw timestamp in the container's ticks.
    """

    first: int
    jump: int
    pts: int
    start: int
    end: int


class Manifest(Wire):
    """What one job decoded and made.

    For video ``decoded`` counts the frames that belong to the job, for sound its samples; ``concealed`` those of them
    that the decoder marked corrupt (each stretch of them is among ``errors`` too). ``first_pts`` is the first frame's raw
    pts, ``end_pts`` the last one's pts + duration; for sound they are sample positions. ``gaps`` holds the first of
    ``gap_count``; a gap between two jobs belongs to the first of them. ``seconds`` is CPU time by stage.
    """

    run: str
    asset: str
    stream: str
    segment: int
    kind: Literal["video", "audio"]
    decoded: int
    concealed: int = 0
    first_pts: int | None = None
    last_pts: int | None = None
    end_pts: int | None = None
    chunks: tuple[ChunkRecord, ...]
    errors: tuple[DecodeError, ...] = ()
    gaps: tuple[TimestampGap, ...] = ()
    gap_count: int = 0
    seconds: dict[str, float] = Field(default_factory=dict)
    attempt: int = 0
    """How often the job had been issued before."""

    def to_bytes(self) -> bytes:
        """JSON."""
        return self.model_dump_json().encode()


class JobFailed(Wire):
    """A job that will not deliver: its attempts are used up, or the source is not what was planned."""

    run: str
    asset: str
    stream: str
    segment: int
    reason: str
    message: str
    attempts: int
    attempt: int = 0
    """How often the job had been issued before."""


Offsets = dict[str, int]
"""Offsets by ``topic/partition``."""


class RepairCheck(Wire):
    """Where the readers of a run's jobs and chunks were at one moment; sent behind everything that they had published.

    ``committed`` is the next offset of each consumer group, by group; ``starts`` where each log began.
    """

    asset: str
    run: str
    committed: dict[str, Offsets]
    starts: Offsets
