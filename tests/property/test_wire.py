"""Clocks, timecode, chunks and cells: what is written is what is read."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from schemas.cell import CellKey, CellResult, CellStatus, Signals, pack, unpack
from schemas.chunk import Chunk, ChunkHeader, Part, hop_edge, hops
from schemas.clock import Clock, format_timecode, parse_timecode
from schemas.errors import WireError
from schemas.ids import digest

NOMINAL = st.sampled_from([24, 25, 30, 48, 50, 60, 120])
DROP = st.sampled_from([30, 60])
NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | NAMES


@given(NOMINAL, st.integers(0, 10**8))
def test_timecode_counts_frames(nominal: int, count: int) -> None:
    text = format_timecode(count, nominal, False)
    assert parse_timecode(text, nominal, False) == count % (nominal * 86_400)


@given(DROP, st.integers(0, 10**8))
def test_drop_frame_round_trips_and_skips_its_labels(nominal: int, count: int) -> None:
    day = (nominal * 600 - nominal // 15 * 9) * 144
    text = format_timecode(count, nominal, True)
    assert parse_timecode(text, nominal, True) == count % day
    _, minutes, seconds, frames = (int(part) for part in text.replace(";", ":").split(":"))
    assert not (seconds == 0 and frames < nominal // 15 and minutes % 10)


@pytest.mark.parametrize("nominal", [30, 60])
def test_drop_frame_is_the_walk_over_labels(nominal: int) -> None:
    """SMPTE ST 12-1: each minute but every tenth begins without its first labels."""
    labels = [
        f"{hour:02d}:{minute:02d}:{second:02d};{frame:02d}"
        for hour in (0, 1)
        for minute in range(60)
        for second in range(60)
        for frame in range(nominal)
        if second or frame >= nominal // 15 or minute % 10 == 0
    ]
    assert [format_timecode(count, nominal, True) for count in range(len(labels))] == labels


@given(st.integers(1, 10**6), st.integers(1, 10**9), st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_a_clock_loses_no_tick(numerator: int, denominator: int, pts: int, origin: int) -> None:
    clock = Clock(tick=(numerator, denominator), origin_pts=origin)
    time = clock.event_time(pts)
    assert clock.ticks(Fraction(time * numerator, denominator)) == time
    assert math.isclose(clock.seconds(time), time * numerator / denominator, rel_tol=1e-12)
    assert Clock.model_validate_json(clock.model_dump_json()) == clock


@given(st.sampled_from([(24000, 1001), (25, 1), (30000, 1001), (60000, 1001)]), st.integers(0, 10**6), st.booleans())
def test_timecode_of_a_clock_counts_from_its_start(rate: tuple[int, int], frame: int, drop: bool) -> None:
    start = "01:00:00;00" if drop else "01:00:00:00"
    clock = Clock(tick=(rate[1], rate[0]), frame_rate=rate, start_timecode=start, drop_frame=drop)
    text = clock.timecode(frame)
    nominal = round(Fraction(*rate))
    dropping = drop and nominal % 30 == 0
    assert text is not None and (";" in text) == dropping
    first = parse_timecode(start, nominal, dropping)
    assert text == format_timecode(first + frame, nominal, dropping)
    assert clock.model_copy(update={"vfr": True}).timecode(frame) is None


@given(st.sampled_from([8000, 11025, 22050, 44100, 48000, 96000]), st.integers(0, 10**9))
def test_hops_hold_all_samples_and_no_more(rate: int, samples: int) -> None:
    count = hops(rate, samples)
    assert hop_edge(rate, count) >= samples
    assert count == 0 or hop_edge(rate, count - 1) < samples
    assert hop_edge(rate, 100) == rate


PARTS = st.lists(
    st.builds(Part, NAMES, st.sampled_from(["|u1", "<u2", "<i4", "<f4"]), st.lists(st.integers(1, 4), max_size=2).map(tuple)),
    min_size=1,
    max_size=3,
    unique_by=lambda part: part.name,
).map(tuple)


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    parts = draw(PARTS)
    units = draw(st.tuples(st.integers(0, 5), st.integers(0, 3)))
    size = sum(units) * np.dtype([(p.name, p.dtype, p.shape) for p in parts]).itemsize
    data = draw(st.binary(min_size=size, max_size=size))
    header = ChunkHeader(
        asset=draw(NAMES),
        run=draw(NAMES),
        stream="v0",
        segment=draw(st.integers(0, 1000)),
        rendition="proxy",
        n=draw(st.integers(0, 1000)),
        first_row=draw(st.integers(0, 10**9)),
        rows=units,
        first_unit=draw(st.integers(0, 10**12)),
        units=units,
        fresh=draw(st.booleans()),
        clock=Clock(tick=(1, 25), frame_rate=(25, 1)).model_dump(mode="json"),
        pts=tuple(draw(st.lists(st.integers(-(2**62), 2**62), min_size=sum(units), max_size=sum(units)))),
        parts=parts,
        matrix=draw(st.none() | st.just("bt709")),
        digest=digest(data),
    )
    return Chunk(header, data)


@given(chunks())
def test_a_chunk_is_what_was_sent(chunk: Chunk) -> None:
    again = Chunk(ChunkHeader.from_bytes(chunk.header.to_bytes()), bytes(chunk.data))
    assert again.intact() and again.header.key == chunk.header.key
    assert again.clock == Clock(tick=(1, 25), frame_rate=(25, 1))
    packed = b"".join(
        np.ascontiguousarray(again.part(part.name)[unit]).tobytes()
        for unit in range(sum(chunk.header.units))
        for part in chunk.header.parts
    )
    assert packed == bytes(chunk.data)
    for part in chunk.header.parts:
        assert again.part(part.name).shape == (sum(chunk.header.units), *part.shape)


@given(chunks(), st.integers(-3, 3).filter(bool))
def test_a_chunk_of_another_length_is_refused(chunk: Chunk, off: int) -> None:
    data = bytes(chunk.data)
    wrong = data + bytes(off) if off > 0 else data[:off]
    if len(wrong) != len(data):
        with pytest.raises(WireError):
            Chunk(chunk.header, wrong)


@given(st.binary(max_size=60))
def test_other_headers_are_wire_errors(data: bytes) -> None:
    for parse in (ChunkHeader.from_bytes, CellKey.from_bytes, Signals.from_bytes):
        with pytest.raises(WireError):
            parse(data)


DTYPES = st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_])


@st.composite
def signals(draw: st.DrawFn) -> Signals:
    rows = draw(st.integers(0, 6))
    shapes = st.lists(st.integers(1, 3), max_size=2).map(lambda tail: (rows, *tail))
    arrays: dict[str, Any] = draw(st.dictionaries(NAMES, nps.arrays(DTYPES, shapes), max_size=3))
    observations = draw(st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=3))
    return Signals(draw(st.integers(0, 2**40)), rows, arrays, tuple(observations))


@given(signals())
def test_signals_keep_every_bit(given_signals: Signals) -> None:
    data = given_signals.to_bytes()
    again = Signals.from_bytes(data)
    assert (again.first_row, again.rows, again.end_row) == (given_signals.first_row, given_signals.rows, given_signals.end_row)
    assert again.observations == given_signals.observations
    assert set(again.arrays) == set(given_signals.arrays)
    for name, array in given_signals.arrays.items():
        other = again.arrays[name]
        assert (other.dtype, other.shape, other.tobytes()) == (array.dtype, array.shape, array.tobytes())
    turned = Signals(again.first_row, again.rows, dict(reversed(again.arrays.items())), again.observations)
    assert turned.to_bytes() == data


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_packed_json_keeps_its_values(meta: dict[str, Any]) -> None:
    assert unpack(pack({}, meta)) == ({}, meta)


@given(signals(), NAMES, st.integers(0, 10**6), st.sampled_from(CellStatus), st.floats(0, 1e6))
def test_a_cell_is_what_was_sent(given_signals: Signals, name: str, n: int, status: CellStatus, seconds: float) -> None:
    key = CellKey(name, "run", "v0", 3, "proxy", n, "task", "1.0.0")
    value = given_signals.to_bytes()
    cell = CellResult(key, status, digest(value), value, seconds, "numpy")
    assert CellResult.from_message(cell.headers(), value) == cell
    assert key.id != CellKey(name, "run", "v0", 3, "proxy", n + 1, "task", "1.0.0").id
