"""Audio chunks put together are the whole decode, sample for sample; gaps and changes are told."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from processors.decode.audio import SampleClock, interleaved
from schemas.chunk import Chunk, hop_edge, hops
from schemas.ids import view
from schemas.plan import AudioFormat
from tests.decoding import audio_job, chunks_of, manifest_of, outputs


def sound(rate: int, channels: int, count: int) -> np.ndarray[Any, Any]:
    """Float64 in -1..1, a tone and noise in each channel, none like another."""
    rng = np.random.default_rng(rate + channels)
    time = np.arange(count) / rate
    tones = np.stack([np.sin(2 * np.pi * (220 + 50 * c) * time) for c in range(channels)], 1)
    return np.clip(0.5 * tones + 0.1 * rng.standard_normal((count, channels)), -0.99, 0.99)


def encode(
    path: Path,
    *,
    codec: str,
    sample_format: str,
    rate: int = 48000,
    layout: str = "stereo",
    seconds: float = 9.3,
    jump: tuple[int, int] | None = None,
) -> Path:
    """Encode a sound file. ``jump`` (at, by) lets timestamps jump by so many samples at a sample."""
    channels = av.AudioLayout(layout).nb_channels
    samples = sound(rate, channels, round(rate * seconds))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout, stream.format = layout, sample_format
        resampler = av.AudioResampler(format=sample_format, layout=layout, rate=rate)
        step = 1024
        for first in range(0, len(samples), step):
            block = np.ascontiguousarray(samples[first : first + step].reshape(1, -1).astype(np.float32))
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
            frame.sample_rate = rate
            for converted in resampler.resample(frame):
                converted.pts = first + (jump[1] if jump and first >= jump[0] else 0)
                converted.time_base = Fraction(1, rate)
                container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return path


def plainly(path: Path, index: int = 0) -> np.ndarray[Any, Any]:
    """The whole decode by other means: PyAV's own arrays."""
    with av.open(str(path)) as container:
        parts = []
        for frame in container.decode(audio=index):
            array = frame.to_ndarray()
            parts.append(array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels))
        return np.concatenate(parts)


def together(chunks: Sequence[Chunk]) -> np.ndarray[Any, Any]:
    return np.concatenate([c.part("samples")[: c.header.units[0]] for c in chunks])


@pytest.mark.parametrize(
    ("name", "codec", "sample_format", "dtype", "options"),
    [
        ("s16.wav", "pcm_s16le", "s16", "<i2", {}),
        ("s24.wav", "pcm_s24le", "s32", "<i4", {}),
        ("s32.wav", "pcm_s32le", "s32", "<i4", {}),
        ("flt.wav", "pcm_f32le", "flt", "<f4", {}),
        ("44100.wav", "pcm_s16le", "s16", "<i2", {"rate": 44100}),
        ("11025.wav", "pcm_s16le", "s16", "<i2", {"rate": 11025, "layout": "mono"}),
        ("mono.flac", "flac", "s16", "<i2", {"layout": "mono"}),
        ("deep.flac", "flac", "s32", "<i4", {"rate": 96000}),
        ("stereo.m4a", "aac", "fltp", "<f4", {"rate": 44100}),
        ("51.mp4", "aac", "fltp", "<f4", {"layout": "5.1"}),
        ("51.mkv", "ac3", "fltp", "<f4", {"layout": "5.1"}),
        ("opus.mkv", "libopus", "flt", "<f4", {}),
        ("mp3.mp3", "libmp3lame", "s16p", "<f4", {"rate": 44100}),
        ("71.wav", "pcm_s24le", "s32", "<i4", {"layout": "7.1", "seconds": 5.0}),
    ],
)
@pytest.mark.parametrize("after", [0, 300])
def test_chunks_are_the_whole_decode(
    name: str, codec: str, sample_format: str, dtype: str, options: dict[str, Any], after: int, tmp_path: Path
) -> None:
    path = encode(tmp_path / name, codec=codec, sample_format=sample_format, **options)
    found = outputs(audio_job(path, after=after))
    manifest, chunks = manifest_of(found), chunks_of(found, "audio")
    whole = plainly(path)
    assert whole.dtype == np.dtype(dtype)
    assert np.array_equal(together(chunks), whole)
    assert manifest.decoded == len(whole) == manifest.end_pts
    assert manifest.errors == () and manifest.gaps == ()
    _check_hops(chunks, len(whole), after)
    for chunk in chunks:
        h = chunk.header
        assert np.array_equal(chunk.part("samples"), whole[h.first_unit : h.first_unit + sum(h.units)])


def _check_hops(chunks: Sequence[Chunk], total: int, after: int) -> None:
    rate = chunks[0].header.rate
    assert rate is not None
    row = 0
    for chunk in chunks:
        h = chunk.header
        assert h.first_row == row and h.first_unit == hop_edge(rate, row) and h.pts == (h.first_unit,)
        row += h.rows[0]
        end = min(hop_edge(rate, row), total)
        assert h.units[0] == end - h.first_unit
        assert h.rows[1] == min(after, hops(rate, total) - row)
        assert h.units[1] == min(hop_edge(rate, row + after), total) - end
        fits = (7 << 20) // (-(-rate // 100) * h.unit_dtype.itemsize) - after
        assert h.rows[0] >= min(200, fits) or chunk is chunks[-1]
        assert h.fresh == (h.n == 0)
        assert view(chunk.data).nbytes <= 7 << 20
    assert row == hops(rate, total)


def test_many_channels_stay_below_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "many.wav"
    samples = (sound(96000, 16, 96000 * 4) * 2**31).astype(np.int32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s24le", rate=96000)
        assert isinstance(stream, av.AudioStream)
        stream.layout, stream.format = "hexadecagonal", "s32"
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s32", layout="hexadecagonal")
        frame.sample_rate = 96000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = outputs(audio_job(path, after=30))
    assert max(view(c.data).nbytes for c in chunks_of(found, "audio")) <= 7 << 20
    assert np.array_equal(together(chunks_of(found, "audio")), samples & ~255)


@pytest.mark.parametrize("name", ["gap.mkv", "gap.mp4"])
@pytest.mark.parametrize("jump", [4800, 48000])
def test_a_jump_of_timestamps_is_one_gap(name: str, jump: int, tmp_path: Path) -> None:
    path = encode(tmp_path / name, codec="flac", sample_format="s16", jump=(1024 * 100, jump))
    found = outputs(audio_job(path))
    (gap,) = manifest_of(found).gaps
    assert abs(gap.first - 1024 * 100) <= 4608  # where the packet begins that the jump falls in
    assert abs(gap.jump - jump) <= 2 * 48
    assert manifest_of(found).decoded == round(48000 * 9.3)


def test_matroskas_clock_is_no_gap(tmp_path: Path) -> None:
    path = encode(tmp_path / "fine.mkv", codec="aac", sample_format="fltp", rate=44100)
    assert manifest_of(outputs(audio_job(path))).gaps == ()


def test_the_sample_clock_counts_from_the_last_gap() -> None:
    clock = SampleClock(Fraction(1, 1000), 48000)
    for pts, position in ((10, 0), (31, 1024), (53, 2048), (174, 3072), (195, 4096), (150, 5120), (None, 6144), (171, 6144)):
        clock.check(pts, position)
    assert [(g.first, g.jump, g.pts) for g in clock.gaps] == [(3072, 4800, 174), (5120, -3200, 150)]


def test_a_format_that_changes_is_converted_and_told(tmp_path: Path) -> None:
    """Two ADTS streams end to end: the second one has another rate and one channel."""
    first = encode(tmp_path / "a.aac", codec="aac", sample_format="fltp", seconds=3)
    second = encode(tmp_path / "b.aac", codec="aac", sample_format="fltp", rate=24000, layout="mono", seconds=3)
    path = tmp_path / "both.aac"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    found = outputs(audio_job(path))
    manifest, chunks = manifest_of(found), chunks_of(found, "audio")
    assert {(c.header.rate, c.header.parts[0].shape) for c in chunks} == {(48000, (2,))}
    assert any("24000 Hz, which is converted" in e.message for e in manifest.errors)
    alone = manifest_of(outputs(audio_job(first))).decoded
    assert np.array_equal(together(chunks)[:alone], plainly(first))
    assert manifest.decoded - alone == pytest.approx(3 * 48000, abs=4096)


def test_the_planned_rate_and_channels_hold(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.wav", codec="pcm_s16le", sample_format="s16", seconds=3)
    found = outputs(audio_job(path, planned=AudioFormat(rate=24000, channels=1, layout="mono")))
    (chunk, *_) = chunks_of(found, "audio")
    assert (chunk.header.rate, chunk.header.parts[0].shape) == (24000, (1,))
    assert manifest_of(found).decoded == pytest.approx(72000, abs=64)


def test_sound_that_cannot_be_converted_is_told(tmp_path: Path) -> None:
    """Damage lets a few frames have 18 channels that nobody names: there is no way from them to two, nor through them."""
    path = tmp_path / "x.wav"
    samples = np.zeros((4800, 18), "<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 18, 48000, 48000 * 36, 36, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples)) + samples
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    manifest = manifest_of(outputs(audio_job(path, planned=AudioFormat(rate=48000, channels=2, layout="stereo"))))
    assert manifest.decoded == 0
    assert all("18 channels" in e.message for e in manifest.errors)
    assert [e.message for e in manifest.errors if "cannot be converted" in e.message]


def test_damaged_sound_gives_what_it_has(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", codec="libmp3lame", sample_format="s16p", rate=44100)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(1)
    data[30000:40000] = rng.integers(0, 256, 10000).astype(np.uint8).tobytes()
    path.write_bytes(bytes(data[:100000]))
    manifest = manifest_of(outputs(audio_job(path)))
    assert manifest.errors
    assert 3 * 44100 < manifest.decoded < 9 * 44100


@pytest.mark.parametrize(
    ("sample_format", "values", "wanted"),
    [
        ("u8", np.array([[0, 128, 255, 129]], np.uint8), np.array([[-32768, 0], [32512, 256]], np.int16)),
        ("dbl", np.array([[0.5, -1.0, 0.25, 0.0]]), np.array([[0.5, -1.0], [0.25, 0.0]], np.float32)),
        ("s16p", np.array([[1, 2], [3, 4]], np.int16), np.array([[1, 3], [2, 4]], np.int16)),
    ],
)
def test_sample_formats(sample_format: str, values: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> None:
    frame = av.AudioFrame.from_ndarray(values, format=sample_format, layout="stereo")
    got = interleaved(frame)
    assert got.dtype == wanted.dtype
    assert np.array_equal(got, wanted)


def test_eight_planar_channels_are_read_as_they_are() -> None:
    values = np.arange(16 * 64, dtype=np.float32).reshape(16, 64)
    packed = av.AudioFrame.from_ndarray(np.ascontiguousarray(values.T).reshape(1, -1), format="flt", layout="hexadecagonal")
    packed.sample_rate = 48000
    (planar,) = av.AudioResampler(format="fltp", layout="hexadecagonal", rate=48000).resample(packed)
    assert planar.format.is_planar
    assert np.array_equal(interleaved(planar), values.T)
