"""Whether container, bitstream and measurement say the same of a picture stream, property by property.

What means the same agrees, whatever its code: ITU-T H.273 has several transfer functions and matrices twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from schemas.clock import Rational
from schemas.plan import PictureFacts, StreamPlan
from schemas.technical import Compared

RATE_TOLERANCE = 2e-4
"""Of a frame rate: 29.97 is 30000/1001 as people write it, 24 is not 24000/1001."""
ASPECT_TOLERANCE = 0.03
"""Of a pixel aspect: 16:15 and 12:11 are the same pixels, of 720 or of 704 that make up 4:3, and containers that give the size
of the shown picture give it in whole pixels."""
CHROMATICITY_TOLERANCE = 1e-4
LUMINANCE_TOLERANCE = 0.005
DARKEST_TOLERANCE = 1e-4
"""In cd/m²: Matroska and VP9 do not write in steps of 0.0001."""
UNKNOWN_TIMECODE = "00:00:00:00"
PAIRED_ABOVE = 30
"""Frames a second above which SMPTE ST 12-1 counts pairs of frames."""

SAME = {
    "transfer": {"smpte170m": "bt709", "bt2020-10": "bt709", "bt2020-12": "bt709"},
    "matrix": {"smpte170m": "bt470bg"},
    "primaries": {"smpte240m": "smpte170m"},
}
"""Code points of ITU-T H.273 that are functionally the same as another."""
LIGHT_EXCESS = {"max_cll": 0.25, "max_fall": 0.10}
"""Measured light may exceed what is stated by so much of it: a codec's ringing brightens single pixels, and means hardly. That
there is less light than stated is no disagreement: an excerpt keeps the levels of the whole."""

PARTS = {
    "mastering_display": ("red", "green", "blue", "white", "min_luminance", "max_luminance"),
    "light_levels": ("max_cll", "max_fall"),
}


def compared(stream: StreamPlan, rate: Rational | None, light: Mapping[str, float] | None = None) -> dict[str, Compared]:
    """What each side says of a picture stream, by property.

    ``rate`` is the measured frame rate. ``light`` are measured light levels in cd/m²: they must not exceed what is stated,
    beyond what compression does to single pixels.
    """
    declared, signalled = stream.declared or PictureFacts(), stream.signalled or PictureFacts()
    declared = declared.model_copy(update={"start_timecode": stream.clock.start_timecode})
    ours, theirs = declared.model_dump(mode="json"), signalled.model_dump(mode="json")
    measured = list(rate) if rate is not None else None
    found = {}
    for name in PictureFacts.model_fields:
        sides = ours[name], theirs[name], measured if name == "frame_rate" else None
        agree = _agree(name, sides, stream.clock.frame_rate)
        if name == "frame_rate" and stream.clock.vfr:
            agree = agree or None  # where the rate varies each side may state another one
        found[name] = Compared(container=sides[0], bitstream=sides[1], measured=sides[2], agree=agree)
    if light:
        stated = found["light_levels"]
        excess = any(_exceeds(side, light) for side in (stated.container, stated.bitstream) if side is not None)
        agree = False if excess else stated.agree if stated.agree is not None else _held(stated, light)
        found["light_levels"] = stated.model_copy(update={"measured": dict(light), "agree": agree})
    return found


def _exceeds(stated: Mapping[str, Any], light: Mapping[str, float], part: str | None = None) -> bool:
    """Whether measured light exceeds a part of what one side states, or any part."""
    known = [name for name in ([part] if part else LIGHT_EXCESS) if stated[name] is not None and name in light]
    return any(light[name] > stated[name] * (1 + LIGHT_EXCESS[name]) for name in known)


def _held(stated: Compared, light: Mapping[str, float]) -> bool | None:
    """True where one side states a level that was measured; null where nothing is held against anything."""
    sides = [side for side in (stated.container, stated.bitstream) if side is not None]
    return True if any(side[name] is not None and name in light for side in sides for name in LIGHT_EXCESS) else None


def differences(name: str, sides: Compared) -> Iterator[str]:
    """How the sides of a property differ, in words; of one that has parts, each part that differs."""
    if name not in PARTS:
        named = {"container": sides.container, "bitstream": sides.bitstream, "measured": sides.measured}
        values = ", ".join(f"{side} {_words(name, value)}" for side, value in named.items() if value is not None)
        yield f"{name.replace('_', ' ')}: {values}"
        return
    named = {"container": sides.container, "bitstream": sides.bitstream}
    for part in PARTS[name]:
        said = {side: value[part] for side, value in named.items() if value is not None and value[part] is not None}
        differ = len(said) == len(named) and not _same(part, *said.values())
        if name == "light_levels" and sides.measured and any(_exceeds({part: v}, sides.measured, part) for v in said.values()):
            differ, said["measured"] = True, round(sides.measured[part], 1)
        if differ:
            title = f"{name} {part}".replace("_", " ").replace("light levels max ", "Max").replace("cll", "CLL")
            values = ", ".join(f"{side} {_words(part, value)}" for side, value in said.items())
            yield f"{title.replace('fall', 'FALL')}: {values}"


def _agree(name: str, sides: tuple[Any, ...], rate: Rational | None) -> bool | None:
    said = [side for side in sides if side is not None]
    if len(said) < 2:
        return None
    if name in PARTS:
        both = [part for part in PARTS[name] if all(side[part] is not None for side in said)]
        return all(_same(part, *(side[part] for side in said)) for part in both) if both else None
    if name == "start_timecode":
        if said[1] == UNKNOWN_TIMECODE:
            return said[0] == UNKNOWN_TIMECODE or None  # encoders that know no timecode count from zero
        if rate is not None and Fraction(*rate) > PAIRED_ABOVE:
            said = [text[:8] for text in said]
    return all(_same(name, said[0], other) for other in said[1:])


def _same(name: str, a: Any, b: Any) -> bool:
    match name:
        case "frame_rate":
            return _near(a, b, RATE_TOLERANCE)
        case "pixel_aspect":
            return _near(a, b, ASPECT_TOLERANCE)
        case "red" | "green" | "blue" | "white":
            return all(abs(x - y) <= CHROMATICITY_TOLERANCE for x, y in zip(a, b, strict=True))
        case "min_luminance" | "max_luminance":
            return bool(abs(a - b) <= max(DARKEST_TOLERANCE, LUMINANCE_TOLERANCE * max(a, b)))
        case "primaries" | "transfer" | "matrix":
            return bool(SAME[name].get(a, a) == SAME[name].get(b, b))
        case _:
            return bool(a == b)


def _near(a: Rational, b: Rational, tolerance: float) -> bool:
    return abs(float(Fraction(*a) / Fraction(*b)) - 1) <= tolerance


def _words(name: str, value: Any) -> str:
    match name:
        case "size":
            return f"{value[0]}x{value[1]}"
        case "frame_rate":
            return f"{float(Fraction(*value)):.6g}"
        case "pixel_aspect":
            return f"{value[0]}:{value[1]}"
        case "red" | "green" | "blue" | "white":
            return f"({value[0]:g} {value[1]:g})"
        case _:
            return f"{value:g}" if isinstance(value, float) else str(value)
