"""Chunks of the video renditions: edges, halos, numbers, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from processors.renditions import RENDITIONS
from processors.renditions.chunks import LIMIT_BYTES, TARGET_BYTES
from processors.renditions.scale import fit
from processors.renditions.stills import block_span
from schemas.chunk import Chunk, ChunkHeader
from schemas.ids import view
from schemas.plan import Job
from streams.topics import CHUNKS
from tests.decoding import chunks_of, index_of, manifest_of, outputs, render, video_jobs

GOP = {"preset": "ultrafast", "g": "30", "x264-params": "scenecut=0:bframes=2:open-gop=1"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return render(path, frames=330, size=(200, 112), options=GOP)


def run(jobs: Sequence[Job], rendition: str) -> list[list[Chunk]]:
    return [chunks_of(outputs(job), rendition) for job in jobs]


def owned(chunks: Sequence[Chunk], part: str) -> np.ndarray[Any, Any]:
    return np.concatenate([c.part(part)[: c.header.units[0]] for c in chunks])


def test_the_table_and_the_topics_agree() -> None:
    assert set(RENDITIONS) <= set(CHUNKS)
    assert all((spec.frames is None) == (spec.kind == "audio") for spec in RENDITIONS.values())
    assert all((spec.samples is None) == (spec.kind == "video") for spec in RENDITIONS.values())


@pytest.mark.parametrize("rendition", ["proxy", "thumbs"])
def test_chunks_hold_every_frame_once(clip: Path, rendition: str) -> None:
    (chunks,) = run(video_jobs(clip, renditions=[rendition]), rendition)
    pts = [p for c in chunks for p in c.header.pts[: c.header.rows[0]]]
    assert pts == list(index_of(clip).pts)
    rows = [r for c in chunks for r in range(c.header.first_row, c.header.first_row + c.header.rows[0])]
    assert rows == list(range(330))
    assert [c.header.fresh for c in chunks] == [True] + [False] * (len(chunks) - 1)
    assert all(c.header.first_unit == c.header.first_row and c.header.units == c.header.rows for c in chunks)


@pytest.mark.parametrize("rendition", ["proxy", "thumbs"])
@pytest.mark.parametrize("after", [0, 1, 99])
def test_halos_are_the_frames_that_follow(clip: Path, rendition: str, after: int) -> None:
    (whole,) = run(video_jobs(clip, renditions=[rendition]), rendition)
    part = RENDITIONS[rendition].parts[0]
    frames = owned(whole, part)
    pts = index_of(clip).pts
    jobs = video_jobs(clip, cuts=[2, 5, 9], renditions=[rendition], after={rendition: after})
    per_job = run(jobs, rendition)
    assert np.array_equal(np.concatenate([owned(chunks, part) for chunks in per_job]), frames)
    for chunks in per_job:
        for chunk in chunks:
            h = chunk.header
            end = h.first_row + h.rows[0]
            assert h.rows[1] == min(after, len(frames) - end)
            assert np.array_equal(chunk.part(part), frames[h.first_row : end + h.rows[1]])
            assert h.pts == pts[h.first_row : end + h.rows[1]]
            assert h.fresh == (h.first_row == 0)


def test_thumbs_are_cut_on_the_streams_own_grid(clip: Path) -> None:
    for cuts in ([], [1], [3, 4, 8], [2, 5, 6, 10]):
        jobs = video_jobs(clip, cuts=cuts, renditions=["thumbs"], after={"thumbs": 99})
        ends = {job.first_frame for job in jobs} | {330}
        for chunks in run(jobs, "thumbs"):
            for chunk in chunks:
                first, count = chunk.header.first_row, chunk.header.rows[0]
                assert first % 50 == 0 or first in ends
                assert (first + count) % 50 == 0 or first + count in ends
                assert count <= 200


def test_chunks_are_about_a_mebibyte_and_never_over_seven(clip: Path, tmp_path: Path) -> None:
    (small,) = run(video_jobs(clip, renditions=["proxy"], after={"proxy": 2}), "proxy")
    sizes = [view(c.data).nbytes for c in small]
    unit = 200 * 112 * 3 // 2
    assert all(TARGET_BYTES - unit < size <= TARGET_BYTES for size in sizes[:-1])
    deep = render(tmp_path / "deep.mkv", codec="ffv1", pixel_format="yuv420p10le", size=(320, 180), frames=30)
    (wide,) = run(video_jobs(deep, renditions=["proxy"], after={"proxy": 36}), "proxy")
    assert all(view(c.data).nbytes <= LIMIT_BYTES for c in wide)
    with pytest.raises(ValueError, match="does not fit"):
        run(video_jobs(deep, renditions=["proxy"], after={"proxy": 60}), "proxy")


@pytest.mark.parametrize(
    ("pixel_format", "codec", "size", "shape"),
    [
        ("yuv420p", "ffv1", (640, 360), (180, 320)),
        ("yuv422p10le", "ffv1", (722, 577), (256, 320)),
        ("gray", "ffv1", (300, 301), (300, 300)),
        ("gray16le", "ffv1", (100, 50), (50, 100)),
        ("bgr0", "ffv1", (400, 200), (160, 320)),
        ("yuv444p", "ffv1", (99, 33), (32, 98)),
    ],
)
def test_a_proxy_says_what_it_is(
    pixel_format: str, codec: str, size: tuple[int, int], shape: tuple[int, int], tmp_path: Path
) -> None:
    path = render(tmp_path / "clip.mkv", codec=codec, pixel_format=pixel_format, size=size, frames=5)
    (chunks,) = run(video_jobs(path, renditions=["proxy"]), "proxy")
    header = chunks[0].header
    deep = "10" in pixel_format or "16" in pixel_format
    assert [p.shape for p in header.parts] == [shape, (shape[0] // 2, shape[1] // 2), (shape[0] // 2, shape[1] // 2)]
    assert [p.dtype for p in header.parts] == ["<u2" if deep else "|u1"] * 3
    assert header.bit_depth == {"yuv422p10le": 10, "gray16le": 16}.get(pixel_format, 8)
    assert header.pixel_format == {10: "yuv420p10le", 16: "yuv420p16le"}.get(header.bit_depth, "yuv420p")
    assert header.colour_range == ("full" if pixel_format == "bgr0" else "limited")
    if pixel_format.startswith("gray"):
        assert set(np.unique(chunks[0].part("u"))) == {1 << (header.bit_depth - 1)}
    assert ChunkHeader.from_bytes(header.to_bytes()) == header


def test_a_change_of_geometry_cuts_chunks_but_not_thumbs(tmp_path: Path) -> None:
    path = tmp_path / "change.ts"
    parts = []
    for at, size in enumerate(((320, 180), (160, 96), (320, 180))):
        part = render(tmp_path / f"{at}.ts", size=size, frames=30, options=GOP, steps=range(30 * at, 30 * at + 30))
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    job = video_jobs(path, renditions=["proxy", "thumbs", "stills"], after={"proxy": 4, "thumbs": 99})[0]
    found = outputs(job)
    assert manifest_of(found).decoded == 90
    proxies = chunks_of(found, "proxy")
    shapes = [c.header.parts[0].shape for c in proxies]
    assert set(shapes) == {(180, 320), (96, 160)}
    for before, chunk in zip([None, *proxies[:-1]], proxies, strict=True):
        changed = before is None or before.header.parts[0].shape != chunk.header.parts[0].shape
        assert chunk.header.fresh == changed
        row = chunk.header.first_row
        edge = next(e for e in (30, 60, 90) if e > row)
        assert row + sum(chunk.header.rows) <= edge
    assert sum(c.header.rows[0] for c in proxies) == 90
    thumbs = chunks_of(found, "thumbs")
    assert [(c.header.first_row, c.header.rows, c.header.fresh) for c in thumbs] == [(0, (90, 0), True)]
    assert {c.header.parts[0].shape for c in chunks_of(found, "stills")} == {(180, 320, 3), (96, 160, 3)}


VARYING = [0, 1, 2, 24, 25, 26, 49, 51, 52, 74, 80, 160, 161, 175, 176, 200, 201, 230, 250, 251]


@pytest.mark.parametrize("steps", [None, VARYING], ids=["constant", "varying"])
def test_stills_are_the_first_frames_of_each_second(steps: list[int] | None, tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "g": "4", "x264-params": "scenecut=0:bframes=0"}
    frames = len(steps) if steps else 80
    path = render(tmp_path / "clip.mkv", frames=frames, options=options, steps=steps, size=(96, 64))
    times = [p / 1000 for p in index_of(path).pts]
    wanted = {}
    for time in times:
        wanted.setdefault(int(time), time)
    (whole,) = run(video_jobs(path, renditions=["stills"]), "stills")
    assert _stills(whole) == {s: round(t * 1000) for s, t in wanted.items()}
    keys = len(index_of(path).keys)
    for cuts in ([1], [2, 3], range(1, keys)):
        parts = run(video_jobs(path, cuts=cuts, renditions=["stills"]), "stills")
        assert _stills([c for chunks in parts for c in chunks]) == _stills(whole)
        assert np.array_equal(owned([c for p in parts for c in p], "rgb"), owned(whole, "rgb"))


def _stills(chunks: Sequence[Chunk]) -> dict[int, int]:
    found: dict[int, int] = {}
    for chunk in chunks:
        h = chunk.header
        rows = range(h.first_row, h.first_row + h.rows[0])
        assert not found.keys() & set(rows)
        found |= dict(zip(rows, h.pts, strict=True))
    return found


def test_a_still_shows_the_colours_and_the_native_block(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        rgb = np.full((1080, 1920, 3), (200, 30, 60), np.uint8)
        rgb[:, 960:] = (20, 180, 90)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (chunks,) = run(video_jobs(path, renditions=["stills"]), "stills")
    still = chunks[0].part("rgb")[0].astype(int)
    assert still.shape == (720, 1280, 3)
    assert np.abs(still[100, 100] - (200, 30, 60)).max() <= 3
    assert np.abs(still[100, 1200] - (20, 180, 90)).max() <= 3
    with av.open(str(path)) as container:
        native = next(container.decode(video=0)).to_ndarray()
    left, top, width, height = block_span(1920, 1080)
    assert (left, top, width, height) == (704, 280, 512, 512)
    assert np.array_equal(chunks[0].part("block_y")[0], native[280:792, 704:1216])
    assert chunks[0].part("block_u").shape == (1, 256, 256)


@pytest.mark.parametrize(
    ("size", "span"),
    [
        ((1920, 1080), (704, 280, 512, 512)),
        ((720, 576), (104, 32, 512, 512)),
        ((500, 301), (0, 0, 496, 296)),
        ((7, 6), (0, 0, 7, 6)),
    ],
)
def test_native_blocks_are_aligned(size: tuple[int, int], span: tuple[int, int, int, int]) -> None:
    assert block_span(*size) == span


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((1920, 1080), (320, 180)),
        ((1080, 1920), (180, 320)),
        ((720, 576), (320, 256)),
        ((319, 239), (318, 238)),
        ((321, 241), (320, 240)),
        ((4096, 2), (320, 2)),
        ((1920, 804), (320, 134)),
    ],
)
def test_proxies_keep_the_aspect_and_are_never_enlarged(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert fit(*size, 320) == wanted
