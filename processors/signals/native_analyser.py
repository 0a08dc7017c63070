"""The analyser of native frames: measures each frame once while the decoder holds it. numpy and OpenCV on one thread."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from processors.decode.frame import NativeFrame
from processors.signals.area import active_area
from processors.signals.cards import is_card
from processors.signals.colour_bars import is_bars
from processors.signals.difference import relative
from processors.signals.freeze import CELL_SECONDS, Memo, Picture, Tracker
from processors.signals.keeper import Keeper
from processors.signals.levels import LevelCounter, Levels, LumaCount, is_flat
from processors.signals.light import Light, rgb_light, yuv_light
from schemas.clock import Clock

PQ = "smpte2084"

BLACK_PICTURE = 0.98
"""A frame is black if at least this share of its pixels is (blackdetect's ``pic_th``)."""

BARS, CARD = 1, 2
"""Templates: colour bars, and still text on a plain ground."""

FREEZE, EXTENSION = "freeze", "freeze_extension"
"""Kinds of observations: frozen rows of this segment, and of the rows after it."""


_UNKNOWN = float("nan"), float("nan")


class _Row(NamedTuple):
    """One frame's signals, in the order and with the types of ``_COLUMNS``."""

    pts: int
    duration: int
    width: int
    height: int
    black_ratio: float
    luma_mean: float
    luma_max: float
    out_of_range: float
    flat: bool
    area: tuple[int, int, int, int]
    bars: int
    template: int
    light_max: float
    light_mean: float


_COLUMNS: dict[str, Any] = {
    "pts": np.int64,
    "duration": np.int64,
    "width": np.int32,
    "height": np.int32,
    "black_ratio": np.float64,
    "luma_mean": np.float64,
    "luma_max": np.float64,
    "out_of_range": np.float64,
    "flat": np.bool_,
    "area": np.int32,
    "bars": np.uint8,
    "template": np.uint8,
    "light_max": np.float64,
    "light_mean": np.float64,
}


class NativeAnalyser:
    """Measures the frames of one job.

    Signals, one row per owned frame: ``pts`` and ``duration`` (raw ticks), ``width`` and ``height``; ``black_ratio`` (share
    of black pixels, as blackdetect); ``luma_mean`` and ``luma_max`` (in 8-bit codes, whatever the depth); ``diff`` (mean
    absolute difference to the next frame over all planes / 2^depth, as freezedetect; NaN for the stream's last frame,
    where the geometry changes and where the next frame is lost); ``luma_diff`` (the same of luma alone, of which
    :mod:`processors.signals.cut` makes scdet's score; all planes on RGB); ``out_of_range`` (share of all samples outside
    the legal range; NaN on full range and RGB); ``flat`` (constant colour); ``area`` (active rows and columns: top, bottom,
    left, right, half-open, -1 if nothing is active) and ``bars`` (sides with a sharp-edged bar); ``template`` (``BARS``,
    ``CARD`` or 0, which black and flat pictures have); ``light_max`` and ``light_mean`` (nits, PQ only, else NaN).

    Observations carry which rows are frozen, since that is known for good only once segments are joined.
    """

    def __init__(self, clock: Clock) -> None:
        cv2.setNumThreads(1)
        self._clock = clock
        self._counter = LevelCounter()
        self._keeper = Keeper()
        self._compare = Memo()
        self._tracker = Tracker()
        self._rows: list[_Row] = []
        self._diffs: list[tuple[float, float]] = []
        self._numbers: list[int] = []
        self._last: Picture | None = None
        self._closed = False

    def feed(self, frame: NativeFrame, *, owned: bool) -> None:
        """See one frame. Those after the job's end only matter until :meth:`hungry` is false."""
        if self._closed or (not owned and not self.hungry()):
            return
        picture = self._keeper.keep(frame, frame.number, self._cell(frame.pts), self._live())
        if self._last is not None and len(self._diffs) < len(self._rows):
            self._diffs.append(self._difference(self._last, picture, frame.model))
        if owned:
            self._tracker.own(picture, self._compare)
            self._rows.append(self._measure(frame, picture))
            self._numbers.append(frame.number)
        else:
            self._tracker.past(picture, self._compare)
        self._last = picture

    def hungry(self) -> bool:
        """Whether a further frame is needed: one for the last difference, more while the picture stands still."""
        return self._last is not None and not self._closed and not self._tracker.settled

    def ready(self) -> int:
        """Owned frames with complete signals. The last one waits for what its segment says of the rows after it."""
        if self._closed or self._tracker.settled:
            return len(self._rows)
        return max(0, len(self._rows) - 1)

    def take(self, rows: int) -> tuple[dict[str, NDArray[Any]], tuple[dict[str, Any], ...]]:
        """The next rows' signals and observations. Raises ``ValueError`` if there are not so many."""
        if not 0 <= rows <= self.ready():
            raise ValueError(f"{rows} rows asked for where {self.ready()} are ready")
        taken, self._rows = self._rows[:rows], self._rows[rows:]
        diffs, self._diffs = self._diffs[:rows], self._diffs[rows:]
        columns = zip(*taken, strict=True) if taken else ((),) * len(_COLUMNS)
        arrays = {name: np.array(column, dtype) for (name, dtype), column in zip(_COLUMNS.items(), columns, strict=True)}
        arrays["area"] = arrays["area"].reshape(rows, 4)
        arrays["diff"], arrays["luma_diff"] = np.array(diffs, np.float64).reshape(rows, 2).T.copy()
        return arrays, self._observe(rows)

    def close(self) -> None:
        """There are no more frames: the last difference stays NaN if the frame after it was not seen."""
        self._closed = True
        self._diffs += [_UNKNOWN] * (len(self._rows) - len(self._diffs))

    def _observe(self, rows: int) -> tuple[dict[str, Any], ...]:
        if not rows:
            return ()
        own = self._tracker.take(self._numbers[0], rows)
        del self._numbers[:rows]
        found = [{"kind": FREEZE, **own.to_json()}] if own.frozen.any() else []
        if not self._rows and (self._closed or self._tracker.settled):
            after = self._tracker.extension()
            found += [{"kind": EXTENSION, **after.to_json()}] if len(after.frozen) else []
        return tuple(found)

    def _cell(self, pts: int) -> int:
        ticks, seconds = self._clock.tick
        return self._clock.event_time(pts) * ticks // (seconds * CELL_SECONDS)

    def _live(self) -> set[Picture]:
        return self._tracker.pictures() | ({self._last} if self._last is not None else set())

    def _difference(self, a: Picture, b: Picture, model: str) -> tuple[float, float]:
        """Of all planes and of luma."""
        if a.geometry != b.geometry or b.row != a.row + 1:
            return _UNKNOWN
        planes = self._compare.planes(a, b)
        every = relative(sum(planes), b.samples, b.bit_depth)
        return every, every if model == "rgb" else relative(planes[0], b.planes[0].size, b.bit_depth)

    def _measure(self, frame: NativeFrame, picture: Picture) -> _Row:
        depth, planes = frame.bit_depth, picture.planes
        full = frame.full_range or frame.model == "rgb"
        levels = Levels.of(depth, full_range=full)
        luma = planes[0] if frame.model != "rgb" else _rgb_luma(planes)
        count = self._counter.luma(luma, levels)
        area = active_area(luma, depth, count.high)
        bounds = (area.top, area.bottom, area.left, area.right)
        black, flat = count.black / luma.size, not frame.corrupt and is_flat(planes, depth, count.high - count.low)
        light = _light(frame, picture)
        unit = 1 << (depth - 8)
        return _Row(
            pts=frame.pts,
            duration=frame.duration,
            width=frame.width,
            height=frame.height,
            black_ratio=black,
            luma_mean=count.total / luma.size / unit,
            luma_max=count.high / unit,
            out_of_range=self._out_of_range(picture, levels, count),
            flat=flat,
            area=bounds,
            bars=area.bars,
            template=0 if flat or black >= BLACK_PICTURE else _template(frame, planes, bounds),
            light_max=light.peak if light else float("nan"),
            light_mean=light.mean if light else float("nan"),
        )

    def _out_of_range(self, picture: Picture, levels: Levels, luma: LumaCount) -> float:
        if levels.chroma is None:
            return float("nan")
        chroma = sum(self._counter.illegal(plane, levels.chroma) for plane in picture.planes[1:])
        return (luma.illegal + chroma) / picture.samples


def _rgb_luma(planes: tuple[NDArray[Any], ...]) -> NDArray[Any]:
    """BT.709 luma of an RGB picture, in full range and at its depth."""
    red_green = cv2.addWeighted(planes[0], 0.2126, planes[1], 0.7152, 0.0)
    return np.asarray(cv2.addWeighted(red_green, 1.0, planes[2], 0.0722, 0.0))


def _template(frame: NativeFrame, planes: tuple[NDArray[Any], ...], area: tuple[int, int, int, int]) -> int:
    if is_bars(planes, frame.model, frame.bit_depth, full_range=frame.full_range, area=area):
        return BARS
    return CARD if frame.model != "rgb" and is_card(planes, frame.bit_depth) else 0


def _light(frame: NativeFrame, picture: Picture) -> Light | None:
    if frame.transfer != PQ:
        return None
    if frame.model == "rgb":
        return rgb_light(picture.planes, frame.bit_depth)
    return yuv_light(picture.planes, frame.bit_depth, frame.matrix, full_range=frame.full_range)
