"""Findings and measurements as folds draft them, and the vocabulary that names each code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol


class Phase(StrEnum):
    """What an event says about an interval; Frigate's words."""

    NEW = "new"
    """It is certain that there is a finding; it may still grow."""
    UPDATE = "update"
    """It has grown."""
    END = "end"
    """Its end is known; it will not change any more."""
    WITHDRAWN = "withdrawn"
    """What came later shows that it is something else."""


class StretchOfRows(Protocol):
    """A stretch of pictures, half-open."""

    @property
    def start(self) -> int:
        """Raw ticks."""

    @property
    def end(self) -> int:
        """Raw ticks."""

    @property
    def row(self) -> int:
        """The first frame's number."""

    @property
    def end_row(self) -> int:
        """The number of the frame behind the last one."""


def shortly(value: float) -> str:
    """A number for people, with two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class FindingDraft:
    """A finding before it has an id: start and end are raw pts (video) or sample positions (sound), half-open.

    Its identity is (code, start): later drafts of the same pair replace earlier ones. For video ``start_row`` and
    ``end_row`` are the frame numbers of the same edges (the fold knows them: a row's number is its frame's), half-open;
    for sound they stay None.
    """

    code: str
    start: int
    end: int
    value: float | None
    unit: str | None
    text: str
    channels: tuple[int, ...] = ()
    area: tuple[int, int, int, int] | None = None
    start_row: int | None = None
    end_row: int | None = None

    @classmethod
    def of_rows(
        cls,
        code: str,
        found: StretchOfRows,
        value: float,
        unit: str,
        text: str,
        area: tuple[int, int, int, int] | None = None,
    ) -> FindingDraft:
        """A finding in pictures that spans ``found``."""
        return cls(
            code=code,
            start=found.start,
            end=found.end,
            value=value,
            unit=unit,
            text=text,
            area=area,
            start_row=found.row,
            end_row=found.end_row,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the inverse is :meth:`from_json`."""
        return {
            "code": self.code,
            "start": self.start,
            "end": self.end,
            "value": self.value,
            "unit": self.unit,
            "text": self.text,
            "channels": list(self.channels),
            "area": list(self.area) if self.area else None,
            "start_row": self.start_row,
            "end_row": self.end_row,
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> FindingDraft:
        """The inverse of :meth:`to_json`."""
        area = body["area"]
        return cls(**{**body, "channels": tuple(body["channels"]), "area": tuple(area) if area else None})


@dataclass(frozen=True, slots=True)
class FoldEvent:
    """Something that a fold says while the asset is still in progress."""

    phase: Phase
    finding: FindingDraft


@dataclass(frozen=True, slots=True)
class MeasurementDraft:
    """A figure of one stream; ``value`` None needs a ``reason``."""

    id: str
    value: float | None
    unit: str
    method: str
    reliable: bool = True
    reason: str | None = None
    channel: int | None = None
    presentation: str | None = None


@dataclass(frozen=True, slots=True)
class ShotDraft:
    """A shot: frame numbers in the stream and raw pts, half-open."""

    start: int
    end: int
    start_frame: int
    end_frame: int
    transition_in: Literal["cut", "gradual"] | None
    transition_out: Literal["cut", "gradual"] | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Term:
    """How a finding code is called outside: the MovieLabs QC vocabulary's category and term, and the EBU QC item."""

    category: str
    term: str
    ebu_qc: str | None = None


VOCABULARY: dict[str, Term] = {
    "video.black": Term("Picture", "Black Frames", "0016B"),
    "video.flash_frame": Term("Picture", "Flash Frame", "0016B"),
    "video.flash.luminance": Term("Picture", "Photosensitive Epilepsy", None),
    "video.flash.red": Term("Picture", "Photosensitive Epilepsy", None),
    "video.flash.pattern": Term("Picture", "Photosensitive Epilepsy", None),
    "video.freeze": Term("Picture", "Freeze Frame", "0017B"),
    "video.letterbox": Term("Picture", "Active Picture Area", None),
    "video.bars": Term("Picture", "Color Bars", None),
    "video.slate": Term("Picture", "Slate", None),
    "video.out_of_range": Term("Picture", "Illegal Video Levels", "0051B"),
    "video.gamut": Term("Picture", "Illegal Color Gamut", "0051B"),
    "video.interlaced": Term("Picture", "Interlaced", None),
    "video.field_order": Term("Picture", "Field Order", None),
    "video.telecine": Term("Picture", "Cadence", None),
    "video.duplicate_frames": Term("Picture", "Duplicate Frames", None),
    "video.artefact.macroblocks": Term("Picture", "Macroblocking", None),
    "video.artefact.dropout": Term("Picture", "Dropout", None),
    "video.artefact.combing": Term("Picture", "Interlace Artifacts", None),
    "video.artefact.upscaled": Term("Picture", "Upconversion", None),
    "video.artefact.compression": Term("Picture", "Compression Artifacts", None),
    "video.artefact.timecode": Term("Picture", "Burned-in Timecode", None),
    "video.decode_error": Term("File", "Decode Error", None),
    "video.timestamp_gap": Term("File", "Timestamp Gap", None),
    "audio.decode_error": Term("File", "Decode Error", None),
    "audio.timestamp_gap": Term("File", "Timestamp Gap", None),
    "audio.silence": Term("Audio", "Silence", "0078B"),
    "audio.mute": Term("Audio", "Mute", "0078B"),
    "audio.clipping": Term("Audio", "Clipping", None),
    "audio.phase_inverted": Term("Audio", "Phase", None),
    "audio.dual_mono": Term("Audio", "Dual Mono", None),
    "audio.silent_channel": Term("Audio", "Silent Channel", "0078B"),
    "audio.dropout": Term("Audio", "Dropout", None),
    "audio.channel_order": Term("Audio", "Channel Assignment", None),
    "av.duration_mismatch": Term("File", "Audio Video Duration", None),
    "container.mismatch": Term("File", "Metadata Mismatch", None),
}
