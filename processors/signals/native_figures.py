"""Figures of a whole picture stream, gathered so that any cutting into steps gives the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.findings import MeasurementDraft

_FIXED = 1 << 32
"""Means are summed in fixed point: sums of integers do not depend on their order."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is gathered of the rows so far.

    ``luma`` and ``illegal`` are sums over frames in fixed point, ``legal_rows`` counts those with a legal range. ``area``
    is the union of active areas (top, bottom, left, right) of the frames that are not black, all of one ``size``;
    ``resized`` says that there are frames of another one. ``peak`` and ``total`` are the greatest light level of a pixel,
    in nits, and the greatest sum over a frame, in nits times pixels; -1 where nothing was measured.
    """

    rows: int = 0
    luma: int = 0
    illegal: int = 0
    legal_rows: int = 0
    area: tuple[int, int, int, int] | None = None
    size: Size = (0, 0)
    resized: bool = False
    peak: float = -1.0
    total: float = -1.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Figures:
        """The inverse of :meth:`to_json`."""
        area = body["area"]
        return cls(**{**body, "area": None if area is None else tuple(area), "size": tuple(body["size"])})

    def add(self, arrays: Mapping[str, NDArray[Any]], black: NDArray[np.bool_], size: Size) -> Figures:
        """The figures with further rows, all of one size."""
        ratio = arrays["out_of_range"]
        legal = ratio[~np.isnan(ratio)]
        light = arrays["light_max"], arrays["light_mean"] * (size[0] * size[1])
        return Figures(
            rows=self.rows + len(black),
            luma=self.luma + _fixed_sum(arrays["luma_mean"]),
            illegal=self.illegal + _fixed_sum(legal),
            legal_rows=self.legal_rows + len(legal),
            area=_union(self.area, arrays["area"], ~black),
            size=self.size if self.rows else size,
            resized=self.resized or bool(self.rows and size != self.size),
            peak=max(self.peak, _greatest(light[0])),
            total=max(self.total, _greatest(light[1])),
        )

    def measurements(self) -> tuple[MeasurementDraft, ...]:
        """The figures as measurements. Light levels exist only for PQ, out of range only where there is a legal range."""
        found = [MeasurementDraft("video.frames", float(self.rows), "frames", "frames decoded and measured")]
        luma = self.luma / _FIXED / self.rows if self.rows else None
        found.append(
            MeasurementDraft(
                id="video.luma_mean",
                value=luma,
                unit="code",
                method="mean luma of all native frames, in 8-bit codes",
                reason=None if self.rows else "no frame was measured",
            )
        )
        if self.legal_rows:
            found.append(
                MeasurementDraft(
                    id="video.out_of_range_ratio",
                    value=self.illegal / _FIXED / self.legal_rows,
                    unit="ratio",
                    method="mean over frames of the share of samples with Y outside 16-235 or C outside 16-240 (8-bit scale)",
                )
            )
        return (*found, *self._light())

    def facts(self) -> dict[str, Any]:
        """The active area, where all pictures have one size and one of them is not black."""
        if self.area is None or self.resized:
            return {}
        top, bottom, left, right = self.area
        return {"active_area": {"x": left, "y": top, "w": right - left, "h": bottom - top}}

    def _light(self) -> tuple[MeasurementDraft, ...]:
        if self.peak < 0:
            return ()
        width, height = self.size
        top, bottom, left, right = self.area or (0, height, 0, width)
        pixels = width * height if self.resized else (bottom - top) * (right - left)
        basis = "max(R,G,B) of native samples by SMPTE ST 2084, chroma not interpolated"
        return (
            MeasurementDraft("video.max_cll", self.peak, "nits", f"greatest {basis}"),
            MeasurementDraft(
                "video.max_fall", self.total / pixels, "nits", f"greatest mean over a frame's active area of {basis}"
            ),
        )


def _fixed_sum(values: NDArray[np.float64]) -> int:
    return int(np.rint(values * _FIXED).astype(np.int64).sum())


def _greatest(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else -1.0


def _union(
    area: tuple[int, int, int, int] | None, bounds: NDArray[np.int32], counts: NDArray[np.bool_]
) -> tuple[int, int, int, int] | None:
    seen = bounds[counts & (bounds[:, 0] >= 0)]
    if not len(seen):
        return area
    top, bottom, left, right = (int(v) for v in (seen[:, 0].min(), seen[:, 1].max(), seen[:, 2].min(), seen[:, 3].max()))
    if area is None:
        return top, bottom, left, right
    return min(area[0], top), max(area[1], bottom), min(area[2], left), max(area[3], right)
