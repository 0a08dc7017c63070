"""Probing: the index agrees with what a decoder gives, and what cannot be trusted is not."""

from __future__ import annotations

import json
import os
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import processors.probe as probing
from processors.limits import MediaLimits
from processors.probe import probe
from processors.probe.index import IndexedStream, MediaIndex
from processors.sandbox import Child, Limits
from processors.source import Source, SourcePolicy, to_uri
from schemas.errors import SourceChanged, SourceMissing, Unprocessable
from tests.decoding import render
from tests.tools import MEDIA, require_tool

POLICY = SourcePolicy()
OPEN = {"preset": "ultrafast", "g": "10", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
HEVC = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=10:min-keyint=10:scenecut=0:bframes=3:open-gop=1"}
VP8 = {"deadline": "realtime", "cpu-used": "8", "g": "10", "auto-alt-ref": "1", "lag-in-frames": "8", "arnr-maxframes": "5"}
CLIPS = {
    "h264.mp4": ("libx264", OPEN),
    "h264.mkv": ("libx264", OPEN),
    "h264.ts": ("libx264", OPEN),
    "hevc.mp4": ("libx265", HEVC),
    "hevc.ts": ("libx265", HEVC),
    "mpeg2.ts": ("mpeg2video", {"g": "10", "bf": "2"}),
    "mpeg2.mxf": ("mpeg2video", {"g": "10", "bf": "2"}),
    "vp8.webm": ("libvpx", VP8),
    "vp9.webm": ("libvpx-vp9", {**VP8, "row-mt": "0"}),
    "prores.mov": ("prores_ks", {}),
}


def video(index: MediaIndex) -> IndexedStream:
    return next(s for s in index.streams if s.kind == "video" and s.decision == "analysed")


def decoded_pts(path: Path, index: int) -> list[int]:
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(container.streams[index]) if frame.pts is not None]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("probe")
    pixel_formats = {"prores.mov": "yuv422p10le"}
    return {
        name: render(
            folder / name,
            frames=47,
            codec=codec,
            options=options,
            pixel_format=pixel_formats.get(name, "yuv420p"),
            size=(96, 64),
        )
        for name, (codec, options) in CLIPS.items()
    }


@pytest.mark.parametrize("name", CLIPS)
def test_frames_and_key_frames_are_the_decoders(clips: dict[str, Path], name: str) -> None:
    stream = video(probe(str(clips[name]), POLICY))
    found, pts = stream.index_of_video, decoded_pts(clips[name], stream.index)
    assert found is not None and found.trusted, found
    assert found.frames == len(pts) == 47
    assert (found.first_pts, found.undecodable) == (pts[0], 0)
    assert [pts.index(key.pts) for key in found.key_frames] == [key.frame for key in found.key_frames]
    assert len(found.key_frames) == (46 if "prores" in name else 4)
    assert stream.clock.frame_rate == (25, 1) and stream.clock.vfr is False


@pytest.mark.parametrize("name", CLIPS)
def test_settled_is_where_no_packet_is_shown_earlier_any_more(clips: dict[str, Path], name: str) -> None:
    stream = video(probe(str(clips[name]), POLICY))
    assert stream.index_of_video is not None
    with av.open(str(clips[name])) as container:
        packets = [(p.dts, p.pts) for p in container.demux(container.streams[stream.index]) if p.size]
    for key in stream.index_of_video.key_frames:
        assert all(pts >= key.pts for dts, pts in packets if dts is not None and dts >= key.settled_dts)
        later = [pts for dts, pts in packets if dts is not None and key.dts <= dts < key.settled_dts]
        assert all(pts <= key.pts for pts in later)
    leading = [key.settled_dts > key.dts for key in stream.index_of_video.key_frames]
    assert all(leading) if name.startswith(("h264", "hevc", "mpeg2")) else not any(leading)


def test_a_varying_frame_rate_is_told(tmp_path: Path) -> None:
    steps = [n + n // 5 for n in range(40)]
    stream = video(probe(str(render(tmp_path / "vfr.mkv", frames=40, steps=steps)), POLICY))
    assert stream.clock.vfr is True and stream.clock.timecode(3) is None
    assert stream.index_of_video is not None and stream.index_of_video.frames == 40


def test_intra_refresh_has_no_cut_points(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "g": "10", "bf": "0", "intra-refresh": "1"}
    stream = video(probe(str(render(tmp_path / "refresh.ts", frames=60, options=options)), POLICY))
    assert stream.index_of_video is not None
    assert stream.index_of_video.frames == 60
    assert not stream.index_of_video.key_frames


def test_containers_without_exact_seeking_are_one_segment(tmp_path: Path) -> None:
    found = video(probe(str(render(tmp_path / "x.flv", options={"g": "10"}, frames=30)), POLICY)).index_of_video
    assert found is not None and found.frames == 30
    assert found.distrust is not None and "flv" in found.distrust


def test_raw_streams_without_timestamps_are_one_segment(tmp_path: Path) -> None:
    found = video(probe(str(render(tmp_path / "x.h264", options={"g": "10", "bf": "3"}, frames=30)), POLICY)).index_of_video
    assert found is not None and not found.trusted


def mux(path: Path, *, timecode: str | None = None, audio_offset: float = 0.0, rate: int = 48000) -> Path:
    """A second of picture at 29.97 and of stereo sound that starts later, with a timecode track."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=Fraction(30000, 1001), options={"preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        picture.sample_aspect_ratio = Fraction(4, 3)
        if timecode:
            picture.metadata["timecode"] = timecode
        sound = container.add_stream("aac", rate=rate, layout="stereo")
        sound.metadata["language"] = "ger"
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24").reformat(
                format="yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1001, 30000)
            container.mux(picture.encode(frame))
        for number in range(20):
            block = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            block.sample_rate, block.pts, block.time_base = rate, number * 1024 + round(audio_offset * rate), Fraction(1, rate)
            container.mux(sound.encode(block))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    return path


def test_streams_clocks_and_tags(tmp_path: Path) -> None:
    index = probe(str(mux(tmp_path / "x.mov", timecode="01:00:00;02", audio_offset=0.5)), POLICY)
    assert (index.uri, index.container) == (to_uri(str(tmp_path / "x.mov")), "mov,mp4,m4a,3gp,3g2,mj2")
    assert index.size == (tmp_path / "x.mov").stat().st_size
    assert [s.id for s in index.streams] == ["v0", "a0", "d0"]
    picture, sound, data = index.streams
    assert picture.video is not None and picture.video.sample_aspect_ratio == (4, 3)
    assert (picture.video.width, picture.video.height, picture.video.bit_depth) == (64, 48, 8)
    assert picture.clock.frame_rate == (30000, 1001)
    assert (picture.clock.start_timecode, picture.clock.drop_frame) == ("01:00:00;02", True)
    assert picture.clock.timecode(1) == "01:00:00;03"
    assert sound.audio is not None and (sound.audio.rate, sound.audio.channel_names) == (48000, ("FL", "FR"))
    assert sound.language == "de" and sound.layout_source == "declared"
    assert picture.timecode_source == "timecode track"
    with av.open(str(tmp_path / "x.mov")) as container:
        first = next(container.decode(audio=0))
    assert first.time is not None and first.time > 0.4
    assert sound.clock.event_time(0) == round(first.time * 48000)
    assert (data.decision, data.reason) == ("skipped", "data streams are not analysed")


def test_a_start_far_from_zero_is_the_origin(tmp_path: Path) -> None:
    path = render(tmp_path / "late.ts", frames=20, container_options={"output_ts_offset": "100"})
    stream = video(probe(str(path), POLICY))
    assert stream.index_of_video is not None and stream.index_of_video.first_pts is not None
    assert stream.index_of_video.first_pts >= 100 * 90_000
    assert stream.clock.event_time(stream.index_of_video.first_pts) == 0


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"not media at all " * 100, "not_media"), (b"#EXTM3U\n/etc/passwd\n", "not_media")]
)
def test_what_is_no_media(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(Unprocessable) as caught:
        probe(str(tmp_path / "x.mp4"), POLICY)
    assert caught.value.reason == reason


def test_limits_are_told(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "wide.mov"), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16400, 2, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(16400, 2, "yuv420p")))
    with pytest.raises(Unprocessable, match="16400x2, more than the limit of 16384") as wide:
        probe(str(tmp_path / "wide.mov"), POLICY)
    assert wide.value.reason == "too_large"
    with av.open(str(tmp_path / "many.mov"), "w") as container:
        for sound in [container.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(257)]:
            block = av.AudioFrame.from_ndarray(np.zeros((1, 80), np.int16), format="s16", layout="mono")
            block.sample_rate = 8000
            container.mux(sound.encode(block))
    with pytest.raises(Unprocessable, match="more than the limit of 256 streams") as many:
        probe(str(tmp_path / "many.mov"), POLICY)
    assert many.value.reason == "too_many_streams"


def test_nothing_to_analyse(tmp_path: Path) -> None:
    whole = render(tmp_path / "whole.mp4", frames=5, container_options={"movflags": "faststart"}).read_bytes()
    (tmp_path / "x.mp4").write_bytes(whole[: whole.index(b"mdat") + 4])
    with pytest.raises(Unprocessable, match="v0: no packets") as caught:
        probe(str(tmp_path / "x.mp4"), POLICY)
    assert caught.value.reason == "no_streams"


def test_the_child_gives_the_same_index_and_the_same_errors(tmp_path: Path) -> None:
    path = str(mux(tmp_path / "x.mp4"))
    policy = {"schemes": ["file"], "roots": [str(tmp_path)]}
    with Child("processors.probe.child:handle", Limits(wall_seconds=60, memory_bytes=1 << 30)) as child:
        (message,) = child.call({"uri": path, "policy": policy})
        assert message.head == {"type": "index"}
        assert MediaIndex.model_validate_json(message.body) == probe(path, POLICY)
        with pytest.raises(SourceMissing):
            list(child.call({"uri": path + "x", "policy": policy}))


def test_a_file_that_is_being_written_is_probed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mux(tmp_path / "x.mp4")
    touches = iter(range(10))
    real = probing.probe_source

    def disturbed(source: Source, limits: MediaLimits) -> MediaIndex:
        found = real(source, limits)
        if next(touches) < disturbances:
            os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        return found

    monkeypatch.setattr(probing, "probe_source", disturbed)
    disturbances = 2
    assert probe(str(path), POLICY).version.endswith(str(path.stat().st_mtime_ns))
    disturbances = 10
    with pytest.raises(SourceChanged):
        probe(str(path), POLICY)


@pytest.mark.media
@pytest.mark.parametrize(
    ("clip", "frames"),
    [
        ("nasa_13013.mp4", 390),
        ("pyscenedetect_testvideo.mp4", 720),
        ("aspect_ratio_sar16_11.mp4", 628),
        ("rotated.mp4", 240),
        ("testsrc2_h265.mp4", 60),
    ],
)
def test_frame_counts_are_ffprobes(media_dir: Path, clip: str, frames: int) -> None:
    path = media_dir / "video" / clip
    stream = video(probe(str(path), POLICY))
    command = [require_tool("ffprobe"), "-v", "quiet", "-count_frames", "-select_streams", str(stream.index), "-of", "json"]
    out = subprocess.run(
        [*command, "-show_entries", "stream=nb_read_frames", str(path)], capture_output=True, check=True
    ).stdout
    counted = int(json.loads(out)["streams"][0]["nb_read_frames"])
    assert stream.index_of_video is not None and stream.index_of_video.trusted
    assert stream.index_of_video.frames == counted == frames


@pytest.mark.media
def test_known_streams_of_a_clip(media_dir: Path) -> None:
    index = probe(str(media_dir / "video" / "nasa_13013.mp4"), POLICY)
    told = {s.id: (s.decision, s.reason) for s in index.streams}
    assert told["v0"] == ("skipped", "not the best video stream")
    assert told["s0"] == ("skipped", "subtitle streams are not analysed")
    assert [name for name, (decision, _) in told.items() if decision == "analysed"] == ["a0", "v1", "a1"]
    rotated = video(probe(str(media_dir / "video" / "rotated.mp4"), POLICY))
    assert rotated.video is not None and rotated.video.rotation == 90
    hdr = video(probe(str(media_dir / "hdr" / "bt2020_10bit.mp4"), POLICY)).video
    assert hdr is not None
    assert (hdr.primaries, hdr.transfer, hdr.matrix, hdr.bit_depth) == ("bt2020", "smpte2084", "bt2020nc", 10)


CLIP_FILES = sorted(p for p in MEDIA.glob("*/*") if p.is_file()) if MEDIA.is_dir() else []


@pytest.mark.media
@pytest.mark.parametrize("path", CLIP_FILES, ids=lambda p: p.name)
def test_every_clip_has_an_index_or_a_reason(media_dir: Path, path: Path) -> None:
    try:
        index = probe(str(path), POLICY)
    except Unprocessable as error:
        assert path.suffix in (".rttm", ".csv", ".jpg") and error.reason == "not_media"
        return
    for stream in index.streams:
        assert (stream.reason is None) == (stream.decision == "analysed")
        if stream.index_of_video is not None and stream.index_of_video.trusted:
            keys = stream.index_of_video.key_frames
            assert [k.frame for k in keys] == sorted({k.frame for k in keys})
            assert stream.index_of_video.frames is not None
            assert all(0 < k.frame < stream.index_of_video.frames for k in keys)
