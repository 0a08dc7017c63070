"""The plan of one asset: what will be decoded, by which jobs, for which tasks. Travels on media.assets and media.segments."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas import versions
from schemas.clock import Clock, Rational
from schemas.profiles import ProfileData

PLAN_VERSION = "1.0.0"

FieldOrder = Literal["progressive", "top first", "bottom first", "top coded first", "bottom coded first"]
"""How fields follow each other. The last two are QuickTime's details 9 and 14, of interleaved lines: to Apple
(``SpatialFirstLineEarly`` and ``Late``) and Matroska the field named is shown first; FFmpeg's words say the other one.
"""

TimecodeSource = Literal["stream", "timecode track", "container"]
"""Where a start timecode stands."""


class Wire(BaseModel):
    """Base of everything on the wire: immutable. Unknown fields are those of a newer version, and are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Correlation(BaseModel):
    """What the uploader says about the asset; echoed in every event. Unknown keys are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    delivery_id: str | None = None
    title_id: str | None = None
    isrc: str | None = None
    isbn: str | None = None
    role: str | None = None
    language: str | None = None
    territory: str | None = None
    due_at: str | None = None


class Reanalysis(Wire):
    """Why an object is analysed again: another ``cause`` is another run of the same version of the object.

    ``round`` counts how often in a row Dailies itself has asked, since versions did not fit.
    """

    cause: str = Field(min_length=1, max_length=200)
    round: int = Field(0, ge=0)


class AssetRef(Wire):
    """One version of one object."""

    id: str
    uri: str
    version: str
    sha256: str | None = None
    bytes: int | None = None


class VideoFormat(Wire):
    """How a video stream's pictures are stored, as far as the container and the codec parameters say."""

    width: int
    height: int
    pixel_format: str | None = None
    bit_depth: int | None = None
    sample_aspect_ratio: Rational | None = None
    rotation: int = 0
    colour_range: Literal["limited", "full"] | None = None
    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None


class AudioFormat(Wire):
    """How an audio stream's samples are stored. ``channel_names`` are FFmpeg's, in channel order (FL, FR, FC, LFE, …)."""

    rate: int
    channels: int
    layout: str | None = None
    channel_names: tuple[str, ...] = ()
    sample_format: str | None = None


class MasteringDisplay(Wire):
    """The display that pictures were graded on (SMPTE ST 2086); null where it is not said.

    ``red``, ``green``, ``blue`` and ``white`` are CIE 1931 x and y, luminances are in cd/m².
    """

    red: tuple[float, float] | None = None
    green: tuple[float, float] | None = None
    blue: tuple[float, float] | None = None
    white: tuple[float, float] | None = None
    min_luminance: float | None = None
    max_luminance: float | None = None


class LightLevels(Wire):
    """MaxCLL and MaxFALL in cd/m² (CTA-861.3); null where they are not said, which is written as 0 in files."""

    max_cll: int | None = None
    max_fall: int | None = None


class PictureFacts(Wire):
    """What one side, the container or the bitstream, says of a stream's pictures; null where it says nothing."""

    size: tuple[int, int] | None = None
    pixel_aspect: Rational | None = None
    frame_rate: Rational | None = None
    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    range: Literal["limited", "full"] | None = None
    mastering_display: MasteringDisplay | None = None
    light_levels: LightLevels | None = None
    start_timecode: str | None = None


class ChannelLabel(Wire):
    """A multichannel audio label (SMPTE ST 377-4) of one channel of a stream.

    ``channel`` counts from 0, ``symbol`` is the label's tag (``chL``), ``group`` the identity of the soundfield group that
    the channel belongs to and ``soundfield`` that group's tag (``sg51``); ``language`` is BCP 47.
    """

    channel: int
    symbol: str
    group: str | None = None
    soundfield: str | None = None
    language: str | None = None


class Timing(Wire):
    """How the packets of a stream lie in time.

    ``first`` is when the first picture or sample is shown, in seconds on the file's own clock. ``irregular`` is the share,
    0 to 1, of the distances between pictures that differ by more than one tick from the one before (FFmpeg's vfrdet, which
    takes the tick as well); ``None`` of sound, of fewer than three pictures and without timestamps. ``edited_out`` counts
    pictures that are decoded and not shown, because an edit list takes them out.
    """

    first: float
    irregular: float | None = None
    edited_out: int = 0


class StreamFacts(Wire):
    """One stream as the file describes it, and whether it is analysed.

    ``declared`` is the container's view of its pictures and ``signalled`` the bitstream's. ``layout_source`` says whether a
    file names the channels of a sound stream or their number alone lets one think so. ``disposition`` are FFmpeg's words
    (default, dub, visual_impaired, …). ``language`` is BCP 47.
    """

    id: str
    index: int
    kind: Literal["video", "audio", "subtitle", "data", "other"]
    codec: str | None = None
    decision: Literal["analysed", "skipped"]
    reason: str | None = None
    clock: Clock
    duration: float | None = None
    bit_rate: int | None = None
    language: str | None = None
    title: str | None = None
    disposition: tuple[str, ...] = ()
    profile: str | None = None
    level: str | None = None
    field_order: FieldOrder | None = None
    timecode_source: TimecodeSource | None = None
    video: VideoFormat | None = None
    audio: AudioFormat | None = None
    declared: PictureFacts | None = None
    signalled: PictureFacts | None = None
    layout_source: Literal["declared", "inferred"] | None = None
    labels: tuple[ChannelLabel, ...] = ()
    timing: Timing | None = None
    """``None`` in plans of before it was looked at."""


class StreamPlan(StreamFacts):
    """One stream of the container and what is done with it.

    ``frames`` is how many pictures a decoder gives for the undamaged stream; ``undecodable`` counts those before the first
    key frame, which are not among them.
    """

    frames: int | None = None
    undecodable: int = 0
    tasks: tuple[str, ...] = ()


class TaskRef(Wire):
    """A task as the plan asks for it."""

    name: str
    version: str
    where: Literal["decode", "agent"]
    rendition: str
    group: str
    params: dict[str, Any] = Field(default_factory=dict)


class Seek(Wire):
    """Where to start reading: the key frame's packet."""

    pts: int
    dts: int


class Job(Wire):
    """One decode job: a segment of a video stream, or a whole audio stream. Travels on media.segments.

    Frames with ``start <= pts < end`` (raw ticks; ``None``: no bound) belong to the job. Packets are fed on until
    ``packet.dts >= stop_dts`` and further while a halo needs frames. ``after`` names, per rendition, how many rows past
    the end its chunks must carry; ``tasks`` are the decode tasks, ``agents`` the agent tasks that read this job's chunks,
    ``agent_tasks`` their names. ``counted``: each packet with a picture is one frame, so that frames keep their numbers where
    some are lost.
    """

    run: str
    asset: AssetRef
    stream: str
    index: int
    kind: Literal["video", "audio"]
    segment: int
    last: bool
    seek: Seek | None = None
    start: int | None = None
    end: int | None = None
    stop_dts: int | None = None
    first_frame: int = 0
    frames: int | None = None
    counted: bool = False
    clock: Clock
    video: VideoFormat | None = None
    audio: AudioFormat | None = None
    renditions: tuple[str, ...] = ()
    after: dict[str, int] = Field(default_factory=dict)
    tasks: tuple[TaskRef, ...] = ()
    agent_tasks: tuple[str, ...] = ()
    agents: tuple[TaskRef, ...] = ()
    """Empty in a job of a planner that knew of names only."""
    priority: Literal["normal", "urgent"] = "normal"
    attempt: int = 0
    created: str = ""
    """The plan's: the ``ce_time`` of everything the job makes."""

    @property
    def key(self) -> bytes:
        """The Kafka key: ``asset_id/stream/segment``."""
        return f"{self.asset.id}/{self.stream}/{self.segment}".encode()


def _known_plan(version: str) -> str:
    return versions.known(version, PLAN_VERSION, "plan")


class Plan(Wire):
    """Everything that will be done for one version of one object; a pure function of its index and the request."""

    plan_version: str = PLAN_VERSION
    run: str
    asset: AssetRef
    correlation: Correlation = Correlation()
    caused_by: str
    created: str
    """RFC 3339 time of the upload event: every later event's ``ce_time``."""
    code: str
    priority: Literal["normal", "urgent"] = "normal"
    profiles: tuple[str, ...] = ()
    judged_by: tuple[ProfileData, ...] = ()
    """The profiles as they were when the plan was made; empty in a plan of a version that carried names alone."""
    container: str
    duration: float | None = None
    bit_rate: int | None = None
    streams: tuple[StreamPlan, ...]
    tasks: tuple[TaskRef, ...]
    tasks_wanted: tuple[str, ...] | None = None
    """The tasks that were asked for; None: all."""
    reanalysis: Reanalysis | None = None
    jobs: tuple[Job, ...]

    _version = field_validator("plan_version")(_known_plan)

    def task(self, name: str) -> TaskRef:
        """The task of that name. Raises ``KeyError``."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)

    def stream(self, stream_id: str) -> StreamPlan:
        """The stream of that id. Raises ``KeyError``."""
        for stream in self.streams:
            if stream.id == stream_id:
                return stream
        raise KeyError(stream_id)


class NoPlan(Wire):
    """Why there is no plan: the asset's one final event will be ``unprocessable`` with this reason."""

    plan_version: str = PLAN_VERSION
    run: str
    asset: AssetRef
    correlation: Correlation = Correlation()
    caused_by: str
    created: str
    code: str
    profiles: tuple[str, ...] = ()
    reason: str
    message: str

    _version = field_validator("plan_version")(_known_plan)


class Cancel(Wire):
    """A request to end an asset as it is: its final event is ``incomplete``, with what is missing as gaps.

    ``run`` None stands for every run of the asset that is under way.
    """

    asset: str
    run: str | None = None
    reason: str = "by request"
