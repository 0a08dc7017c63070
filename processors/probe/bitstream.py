"""What packets hide: pictures that are never shown, and "key frames" from which a picture only builds up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Hidden = Callable[[Any], tuple[bool, bool]]
"""Of a packet: whether a decoder may begin there, and whether it holds no picture that is shown."""

IDR, SEI = 5, 6
SLICES = {1, 2, 5}
RECOVERY_POINT = 6
SEARCH_BYTES = 1 << 16


def hidden_test(codec: str, extradata: bytes | None) -> Hidden:
    """How to look at a codec's packets. ``codec`` is the decoder's name."""
    if codec in ("vp8", "libvpx"):
        return lambda packet: (packet.is_keyframe, not memoryview(packet)[0] & 0x10)
    if codec == "h264":
        length = _length_size(extradata)
        return lambda packet: (packet.is_keyframe and not _builds_up(bytes(memoryview(packet)[:SEARCH_BYTES]), length), False)
    return lambda packet: (packet.is_keyframe, False)


def _length_size(extradata: bytes | None) -> int:
    """Bytes of a NAL unit's length field (ISO/IEC 14496-15), or 0 for start codes."""
    return (extradata[4] & 3) + 1 if extradata and len(extradata) > 6 and extradata[0] == 1 else 0


def _builds_up(packet: bytes, length_size: int) -> bool:
    """Whether an H.264 access unit is a recovery point whose picture is whole only some frames later (intra refresh)."""
    for unit in _units(packet, length_size):
        kind = unit[0] & 0x1F
        if kind == SEI and (frames := recovery_frames(unit[1:])) is not None:
            return frames > 0
        if kind in SLICES:
            return False
    return False


def _units(packet: bytes, length_size: int) -> Iterator[bytes]:
    if not length_size:
        yield from (unit for unit in packet.split(b"\0\0\1")[1:] if unit)
        return
    at = 0
    while at + length_size < len(packet):
        length = int.from_bytes(packet[at : at + length_size], "big")
        at += length_size
        if length:
            yield packet[at : at + length]
        at += length


def recovery_frames(sei: bytes) -> int | None:
    """``recovery_frame_cnt`` of an SEI NAL unit's payload (ITU-T H.264 D.1.8), ``None`` without such a message."""
    data = sei.replace(b"\0\0\3", b"\0\0")
    at = 0
    while at + 2 <= len(data) and data[at] != 0x80:
        kind, at = _varying(data, at)
        size, at = _varying(data, at)
        if kind == RECOVERY_POINT:
            return _exp_golomb(data[at : at + size])
        at += size
    return None


def _varying(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while at < len(data) and data[at] == 0xFF:
        value, at = value + 0xFF, at + 1
    return value + (data[at] if at < len(data) else 0), at + 1


def _exp_golomb(data: bytes) -> int:
    bits = "".join(f"{byte:08b}" for byte in data[:8])
    zeros = len(bits) - len(bits.lstrip("0"))
    return int(bits[zeros : 2 * zeros + 1] or "1", 2) - 1
