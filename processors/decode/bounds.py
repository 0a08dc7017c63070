"""Bounds of what one decode job may give, checked on each picture or block of sound before anything is made of it."""

from __future__ import annotations

import math

import av

from processors.limits import MediaLimits
from schemas.plan import Job

SLACK, SURPLUS = 10_000, 4
"""Beyond a plan's count: pictures before the segment's own and after its end, fields that are counted as frames."""


HOPS = 100
"""Rows of sound a second."""


def most_messages(job: Job, limits: MediaLimits) -> int:
    """How many outputs a job can have at most: each holds a row of a rendition or a task's signals, one is the manifest."""
    if job.kind == "video":
        rows = limits.frames if job.frames is None or not job.counted else min(limits.frames, SURPLUS * job.frames + SLACK)
    else:
        rows = math.ceil(limits.seconds * HOPS) + 1
    return rows * max(1, len(job.renditions) + len(job.tasks)) + 1


class Bounds:
    """The limits of one job at work. Methods raise ``Unprocessable`` with the limit's reason."""

    def __init__(self, job: Job, limits: MediaLimits) -> None:
        self._stream, self._limits = job.stream, limits
        self._most = None if job.frames is None or not job.counted else SURPLUS * job.frames + SLACK
        self._pictures = 0
        self._changes = -1
        self._form: object = None

    def picture(self, picture: av.VideoFrame) -> None:
        """Count a picture; check its size, and how often size and format have changed."""
        self._pictures += 1
        self._limits.count(self._stream, self._pictures, self._most)
        form = (picture.width, picture.height, picture.format.name, picture.color_range, picture.colorspace, picture.color_trc)
        if form != self._form:
            self._limits.picture(self._stream, picture.width, picture.height)
            self._changed(form)

    def sound(self, sample_format: str, layout: str, rate: int, channels: int) -> None:
        """Check the form of a block of sound, and how often it has changed."""
        form = (sample_format, layout, rate)
        if form != self._form:
            self._limits.sound(self._stream, rate, channels)
            self._changed(form)

    def played(self, samples: int, rate: int) -> None:
        """Check how much sound has come."""
        self._limits.length(self._stream, samples / rate)

    def _changed(self, form: object) -> None:
        self._form = form
        self._changes += 1
        self._limits.changed(self._stream, self._changes)
