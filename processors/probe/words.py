"""FFmpeg's numbers in the words of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

from schemas.clock import Rational
from schemas.plan import FieldOrder

RANGES: Mapping[int, Literal["limited", "full"]] = {1: "limited", 2: "full"}
FIELD_ORDERS: Mapping[int, FieldOrder] = {
    1: "progressive",
    2: "top first",
    3: "bottom first",
    4: "top coded first",
    5: "bottom coded first",
}
_TENTHS_OF = {"h264": 10, "hevc": 30}
_MPEG2 = {10: "Low", 8: "Main", 6: "High 1440", 4: "High"}


def positive(ratio: Fraction | None) -> Rational | None:
    """A ratio's two terms; ``None`` unless it is above 0."""
    return (ratio.numerator, ratio.denominator) if ratio is not None and ratio > 0 else None


def level(codec: str, number: int) -> str | None:
    """A codec's level as its standard writes it (``4.1``); FFmpeg's number is negative where none is known.

    H.264 counts tenths, HEVC thirtieths (255 is 8.5: no limit), AV1 fours of minor levels from 2.0 on, MPEG-2 has names.
    """
    if number < 0:
        return None
    if codec in _TENTHS_OF:
        whole, rest = divmod(number * 10 // _TENTHS_OF[codec], 10)
        return f"{whole}.{rest}" if rest else str(whole)
    if codec == "mpeg2video":
        return _MPEG2.get(number)
    if codec == "av1":
        return f"{2 + (number >> 2)}.{number & 3}"
    return str(number)
