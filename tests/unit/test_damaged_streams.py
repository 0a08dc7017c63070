"""Damaged files: what is concealed, what is lost, what is not there at all; each the same however the stream is cut."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from processors.analyse import analyse, run_plan
from processors.equal import differences
from processors.plan import PlanRequest, cut_points, make_plan
from processors.probe import probe
from processors.source import SourcePolicy, to_uri
from schemas.events import ContentMetadata, Finding
from tests.decoding import chunks_of, manifest_of, outputs, picture, render

POLICY = SourcePolicy()
X264 = {"preset": "ultrafast", "g": "12", "bf": "2", "x264-params": "scenecut=0:open-gop=1"}
FRAMES = 96


def examined(path: Path, *, cuts: bool = False) -> ContentMetadata:
    index = probe(to_uri(str(path)), POLICY)
    video = next(s.index_of_video for s in index.streams if s.index_of_video is not None)
    frames = tuple(key.frame for key in cut_points(video)) if cuts else ()
    assert not cuts or len(frames) >= 4
    request = PlanRequest(
        caused_by="t", created="t", code="t", tasks=("native-picture",), profiles=(), single_segment=not cuts, cuts=frames
    )
    return run_plan(make_plan(index, request), POLICY)


def errors(event: ContentMetadata) -> list[Finding]:
    return [f for f in event.findings if f.code == "video.decode_error"]


def damage(path: Path, packets: list[int], change: Callable[[bytearray, int, int], None]) -> Path:
    """Change the bytes of some packets, counted in decoding order."""
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.pos is not None]
    data = bytearray(path.read_bytes())
    for number in packets:
        change(data, *places[number])
    path.write_bytes(data)
    return path


def flip(data: bytearray, at: int, size: int) -> None:
    for place in range(at + size // 3, at + size // 3 + 40):
        data[place] ^= 0x5A


def cut_off(data: bytearray, at: int, _: int) -> None:
    data[at : at + 4] = b"\x7f\xff\xff\xff"  # a NAL unit longer than its packet


@pytest.mark.parametrize(
    ("name", "codec", "options"), [("a.mp4", "libx264", X264), ("a.ts", "mpeg2video", {"g": "12", "bf": "2"})]
)
def test_damage_inside_pictures_is_concealed_and_told(name: str, codec: str, options: dict[str, str], tmp_path: Path) -> None:
    path = render(tmp_path / name, frames=FRAMES, codec=codec, options=options, size=(320, 176))
    whole = examined(damage(path, [30, 31, 55], flip))
    (covered,) = whole.coverage.streams.values()
    assert (covered.expected, covered.decoded, covered.missing) == (FRAMES, FRAMES, 0)
    assert covered.concealed >= 3 and covered.analysed == FRAMES - covered.concealed
    found = errors(whole)
    assert sum(f.value or 0 for f in found) == covered.concealed
    assert sum((f.end_frame or 0) - (f.start_frame or 0) for f in found) == covered.concealed
    assert len({f.id for f in found}) == len(found) and all("concealed" in f.text for f in found)
    for f in found:
        assert (f.start_seconds * 25, f.end_seconds * 25) == pytest.approx((f.start_frame, f.end_frame), abs=0.01)
    # what a decoder puts in place of damage depends on what it decoded before: figures of the picture may differ
    assert not [d for d in differences(examined(path, cuts=True), whole) if not d.startswith("measurements")]


def test_lost_pictures_keep_their_numbers(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4", frames=FRAMES, options={**X264, "bf": "0", "x264-params": "scenecut=0"})
    whole = examined(damage(path, [30, 31, 55], cut_off))
    (covered,) = whole.coverage.streams.values()
    assert (covered.expected, covered.decoded, covered.missing) == (FRAMES, FRAMES - 3, 3)
    found = [f for f in errors(whole) if "InvalidDataError" in f.text]
    # what refers to a lost picture is concealed right behind it, and is one finding with it
    assert [(f.start_frame, f.start) for f in found] == [(30, 30 * 512), (55, 55 * 512)]
    assert sum(f.value or 0 for f in errors(whole)) == 3 + covered.concealed
    assert not [f for f in whole.findings if f.code == "video.timestamp_gap"]
    assert differences(examined(path, cuts=True), whole) == []


def test_cells_and_chunks_end_where_pictures_are_lost(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4", frames=FRAMES, options={**X264, "bf": "0", "x264-params": "scenecut=0"})
    damage(path, [30, 31, 55], cut_off)
    request = PlanRequest(caused_by="t", created="t", code="t", tasks=("native-picture",), single_segment=True)
    (job,) = make_plan(probe(to_uri(str(path)), POLICY), request).jobs
    found = outputs(job.model_copy(update={"renditions": ("proxy",), "after": {"proxy": 3}}))
    native = [r for r in manifest_of(found).chunks if r.rendition == "native"]
    assert [(r.first_row, r.rows) for r in native] == [(0, (30, 0)), (32, (23, 0)), (56, (40, 0))]
    headers = [c.header for c in chunks_of(found, "proxy")]
    ends = {0: 30, 32: 55, 56: FRAMES}
    for h in headers:
        begin = max(first for first in ends if first <= h.first_row)
        assert h.fresh == (h.first_row == begin) and h.first_row + sum(h.rows) <= ends[begin]
    assert sum(h.rows[0] for h in headers) == FRAMES - 3
    assert all(pts == (h.first_row + n) * 512 for h in headers for n, pts in enumerate(h.pts))


def test_a_lost_key_frame_at_a_cut(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4", frames=FRAMES, options={**X264, "bf": "0", "x264-params": "scenecut=0"})
    whole = examined(damage(path, [48], cut_off))
    (covered,) = whole.coverage.streams.values()
    assert covered.missing >= 1 and covered.expected == FRAMES
    assert errors(whole)[0].start_frame == 48
    cut = examined(path, cuts=True).coverage.streams["v0"]
    assert (cut.expected, cut.decoded + cut.missing) == (FRAMES, FRAMES)


def test_a_truncated_file_is_complete_up_to_its_end(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4", frames=FRAMES, options=X264, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    whole = examined(path)
    (covered,) = whole.coverage.streams.values()
    assert whole.run.status == "complete" and 20 < covered.decoded < 80 and covered.missing <= 4
    (short,) = [f for f in whole.findings if f.code == "container.mismatch"]
    assert short.end_seconds == pytest.approx(FRAMES / 25, abs=0.01)
    assert short.start_frame is None and short.value == pytest.approx(FRAMES / 25 - short.start_seconds)
    assert differences(analyse(str(path), code="t", tasks_wanted=["native-picture"], profiles=[], whole=False), whole) == []


def test_a_stream_of_which_nothing_can_be_decoded(tmp_path: Path) -> None:
    path = render(tmp_path / "a.mp4", frames=25, options=X264)

    def blank(data: bytearray, at: int, size: int) -> None:
        data[at : at + size] = bytes(size)

    event = examined(damage(path, list(range(25)), blank))
    (covered,) = event.coverage.streams.values()
    assert event.run.status == "unprocessable" and covered.decoded == 0
    assert event.run.reason is not None and event.run.reason.startswith("nothing_decoded")
    assert errors(event) and all(m.value is None and m.reason for m in event.measurements)


def add_track(path: Path, *, packets: bool) -> Path:
    """Pictures, and a sound track with nothing in it (and, without ``packets``, no pictures either)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=X264)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        container.start_encoding()
        for number in range(25 if packets else 0):
            frame = av.VideoFrame.from_ndarray(picture(number, 64, 48), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        if packets:
            container.mux(stream.encode(None))
    return path


def test_a_stream_without_a_packet_is_skipped_with_a_reason(tmp_path: Path) -> None:
    event = examined(add_track(tmp_path / "a.mkv", packets=True))
    assert {s.id: (s.decision, s.reason) for s in event.technical.streams} == {
        "v0": ("analysed", None),
        "a0": ("skipped", "no packets"),
    }


def test_a_file_without_a_packet_is_unprocessable(tmp_path: Path) -> None:
    event = analyse(str(add_track(tmp_path / "a.mkv", packets=False)), code="t")
    assert event.run.status == "unprocessable" and (event.run.reason or "").partition(":")[0] in ("not_media", "no_streams")


def test_damaged_sound_gives_findings_apart_from_each_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=44100, layout="mono")
        samples = (rng.standard_normal(44100 * 6) * 3000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16p", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    for at in range(20000, 60000, 8000):
        data[at : at + 2000] = rng.integers(0, 256, 2000).astype(np.uint8).tobytes()
    path.write_bytes(data)
    event = analyse(str(path), code="t", tasks_wanted=["audio-qc"], profiles=[])
    found = [f for f in event.findings if f.code == "audio.decode_error"]
    assert event.run.status == "complete" and found
    edges = [(f.start, f.end) for f in found]
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(edges))
