"""Keeps pictures past their turn for comparison: the decoder's own memory where it lasts, a copy elsewhere."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import cv2
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from processors.decode.frame import NativeFrame
from processors.signals.difference import samples
from processors.signals.freeze import Picture

_ALL: Any = None
"""No mask: OpenCV's type stubs do not know that there may be none."""


class Keeper:
    """Makes pictures of frames.

    FFmpeg counts references to a decoded picture and does not write to it while there are any, so a view of a PyAV plane
    stays what it is for as long as it is held: holding a few costs nothing. Any other memory is copied, into buffers that
    are used again: one copy a frame and no allocation.
    """

    def __init__(self) -> None:
        self._slots: list[Picture] = []

    def keep(self, frame: NativeFrame, row: int, cell: int, live: Set[Picture]) -> Picture:
        """A lasting picture of a frame, the stream's ``row``. Buffers of pictures that are not ``live`` may be used for it."""
        if _lasts(frame.planes[0]):
            return _picture(frame, frame.planes, row, cell)
        picture = _picture(frame, self._buffers(frame, live), row, cell)
        for source, target in zip(frame.planes, picture.planes, strict=True):
            cv2.copyTo(source, _ALL, target)
        self._slots.append(picture)
        return picture

    def _buffers(self, frame: NativeFrame, live: Set[Picture]) -> tuple[NDArray[Any], ...]:
        """The planes of a picture that is no longer live, or new ones."""
        self._slots = [slot for slot in self._slots if slot in live or slot.geometry == frame.geometry]
        spare = next((slot for slot in self._slots if slot not in live), None)
        if spare is None:
            return tuple(np.empty(plane.shape, plane.dtype) for plane in frame.planes)
        self._slots.remove(spare)
        return spare.planes


def _picture(frame: NativeFrame, planes: tuple[NDArray[Any], ...], row: int, cell: int) -> Picture:
    return Picture(planes, frame.geometry, frame.bit_depth, samples(planes), row, cell)


def _lasts(plane: NDArray[Any]) -> bool:
    """Whether the memory that an array views is a decoded picture's, which the array keeps alive."""
    base: object = plane
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return isinstance(base, VideoPlane)
