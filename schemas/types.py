"""The CloudEvents types on the topics, and the JSON Schema of each that has JSON data."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """``ce_type`` of every event that Dailies publishes."""

    UPLOAD = "media.upload.v1"
    """A request to analyse one object (media.uploads)."""
    PLANNED = "media.asset.planned.v1"
    """A plan (media.assets)."""
    UNPROCESSABLE = "media.asset.unprocessable.v1"
    """Why there is no plan (media.assets)."""
    JOB = "media.segment.v1"
    """A decode job (media.segments)."""
    CHUNK = "media.chunk.v1"
    """Frames or samples (media.chunks.*); raw bytes."""
    CELL = "media.inference.v1"
    """A task's result on a chunk (media.inferences); safetensors."""
    MANIFEST = "media.manifest.v1"
    """What a job made (media.inferences)."""
    JOB_FAILED = "media.job-failed.v1"
    """A job that will not deliver (media.inferences)."""
    REACTION = "media.reaction.v1"
    """A finding, or progress, as it comes (media.reactions)."""
    CANCEL = "media.asset.cancel.v1"
    """A request to end an asset as it is (media.assets)."""
    TICK = "media.tick.v1"
    """A moment to look for lost results: the aggregator's note to itself (media.inferences)."""
    CHECK = "media.repair-check.v1"
    """Where the readers of a run's chunks are: the aggregator's note to itself (media.inferences)."""
    METADATA = "media.content-metadata.v1"
    """The final event (media.metadata)."""


SCHEMA_OF: dict[str, str] = {
    EventType.UPLOAD: "upload.json",
    EventType.PLANNED: "plan.json",
    EventType.UNPROCESSABLE: "no-plan.json",
    EventType.JOB: "job.json",
    EventType.MANIFEST: "manifest.json",
    EventType.JOB_FAILED: "job-failed.json",
    EventType.CANCEL: "cancel.json",
    EventType.CHECK: "repair-check.json",
    EventType.REACTION: "reaction.json",
    EventType.METADATA: "content-metadata.json",
}
"""``ce_dataschema``: the file in ``schemas/json`` that describes the data."""
