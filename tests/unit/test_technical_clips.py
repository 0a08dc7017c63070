"""Technical metadata of the shared clips against mediainfo and ffprobe, which tell container and bitstream apart in part."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from processors.agreement import compared
from processors.analyse import analyse
from processors.probe import probe
from processors.probe.index import IndexedStream
from processors.source import SourcePolicy
from schemas.events import ContentMetadata
from schemas.plan import MasteringDisplay, PictureFacts, StreamPlan
from tests.tools import MEDIA, require_tool

pytestmark = pytest.mark.media

PICTURES = sorted(p for folder in ("video", "hdr") for p in (MEDIA / folder).glob("*.m*"))
SOUNDS = sorted(p for p in (MEDIA / "audio").glob("*") if p.suffix != ".rttm")
NAMES = {
    "BT.709": {"bt709"},
    "BT.2020": {"bt2020"},
    "BT.601 NTSC": {"smpte170m"},
    "BT.601": {"smpte170m", "bt470bg"},
    "BT.2020 non-constant": {"bt2020nc"},
    "PQ": {"smpte2084"},
    "Limited": {"limited"},
    "Full": {"full"},
}
COLOURS = {
    "primaries": "colour_primaries",
    "transfer": "transfer_characteristics",
    "matrix": "matrix_coefficients",
    "range": "colour_range",
}
FIXED = frozenset({"mpeg2video", "prores"})
"""Codecs whose range is limited by their standard: mediainfo only tells what is written."""


@cache
def tracks(path: Path, kind: str) -> list[dict[str, Any]]:
    out = subprocess.run([require_tool("mediainfo"), "--Output=JSON", str(path)], capture_output=True, check=True).stdout
    return [track for track in json.loads(out)["media"]["track"] if track["@type"] == kind]


@cache
def streams(path: Path) -> tuple[IndexedStream, ...]:
    return probe(str(path), SourcePolicy()).streams


def stated(track: dict[str, Any], name: str) -> tuple[str | None, str | None]:
    """What mediainfo says the container and the bitstream say."""
    value, source = track.get(name), track.get(f"{name}_Source", "")
    container = value if "Container" in source else None
    bitstream = track.get(f"{name}_Original") or (value if "Stream" in source else None)
    return container, bitstream


@pytest.mark.parametrize("path", PICTURES, ids=lambda p: p.name)
def test_colours_of_both_sides_are_mediainfos(media_dir: Path, path: Path) -> None:
    ours = [s for s in streams(path) if s.kind == "video"]
    for stream, track in zip(ours, tracks(path, "Video"), strict=False):
        sides = stream.declared or PictureFacts(), stream.signalled or PictureFacts()
        for name, theirs in COLOURS.items():
            source = f"{'colour_range' if name == 'range' else 'colour_primaries'}_Source"
            for side, said in zip(sides, stated({f"{theirs}_Source": track.get(source, ""), **track}, theirs), strict=True):
                value = getattr(side, name)
                if said is not None:
                    assert value in NAMES[said], (path.name, name, side)
                elif track.get("Format") in ("AVC", "HEVC"):
                    assert value is None or name == "range", (path.name, name, value)


@pytest.mark.parametrize("path", PICTURES, ids=lambda p: p.name)
def test_sizes_rates_languages_and_levels_are_mediainfos(media_dir: Path, path: Path) -> None:
    ours = [s for s in streams(path) if s.kind == "video"]
    for stream, track in zip(ours, tracks(path, "Video"), strict=False):
        declared, signalled = stream.declared or PictureFacts(), stream.signalled or PictureFacts()
        if declared.size is not None:
            assert declared.size == (int(track["Width"]), int(track["Height"]))
        if declared.frame_rate is not None and "FrameRate" in track:
            assert float(Fraction(*declared.frame_rate)) == pytest.approx(float(track["FrameRate"]), abs=1e-3)
        if "FrameRate_Original" in track and signalled.frame_rate is not None:
            assert float(Fraction(*signalled.frame_rate)) == pytest.approx(float(track["FrameRate_Original"]), abs=1e-3)
        assert stream.language == track.get("Language")
        if stream.level is not None and path.name != "fate_attachment631-small.mp4":  # its two parameter sets differ
            assert stream.level == track["Format_Level"]


def first_frame(path: Path, index: int) -> dict[str, Any]:
    """ffprobe's first frame, from as few packets as give one."""
    command = [require_tool("ffprobe"), "-v", "quiet", "-show_frames", "-select_streams", str(index), "-of", "json"]
    for packets in (1, 200):
        out = subprocess.run([*command, "-read_intervals", f"%+#{packets}", str(path)], capture_output=True, check=True).stdout
        if frames := json.loads(out)["frames"]:
            return dict(frames[0])
    raise AssertionError(f"ffprobe decodes no frame of {path}")


@pytest.mark.parametrize("path", PICTURES, ids=lambda p: p.name)
def test_what_a_decoder_is_told_by_frames_is_the_bitstreams_word(media_dir: Path, path: Path) -> None:
    """ffprobe's first frame mixes both sides: where the bitstream speaks, it is the bitstream's."""
    for stream in streams(path):
        if stream.kind != "video" or stream.signalled is None:
            continue
        frame = first_frame(path, stream.index)
        said = stream.signalled
        assert said.size == (frame["width"], frame["height"])
        names = {"color_primaries": "primaries", "color_transfer": "transfer", "color_space": "matrix"}
        for theirs, ours in names.items():
            if (value := getattr(said, ours)) is not None:
                assert value == frame[theirs]
        if said.range is not None:
            assert {"tv": "limited", "pc": "full"}[frame["color_range"]] == said.range
        shown = [e for e in frame.get("side_data_list", ()) if e["side_data_type"] == "Mastering display metadata"]
        if said.mastering_display is not None:
            assert said.mastering_display.red == pytest.approx(
                (float(Fraction(shown[0]["red_x"])), float(Fraction(shown[0]["red_y"]))), abs=1e-5
            )


@pytest.mark.parametrize("path", SOUNDS, ids=lambda p: p.name)
def test_channels_are_mediainfos(media_dir: Path, path: Path) -> None:
    (track,), (stream,) = tracks(path, "Audio"), streams(path)
    assert stream.audio is not None
    assert stream.audio.channels == int(track["Channels"])
    assert (stream.layout_source == "declared") == ("ChannelLayout" in track)


@cache
def analysed(path: Path) -> ContentMetadata:
    return analyse(str(path), code="test", tasks_wanted=("native-picture", "loudness", "audio-qc"))


def test_hdr10_tags_that_differ_are_found(media_dir: Path) -> None:
    event = analysed(media_dir / "hdr" / "fate_hdr10tags-both.mkv")
    (finding,) = event.findings
    assert (finding.code, finding.stream, finding.value, finding.by) == ("container.mismatch", "v0", 2.0, "p0")
    assert (finding.start, finding.start_frame, finding.end_frame) == (0, 0, 10)
    assert "frame rate: container 25, bitstream 29.97, measured 25" in finding.text
    assert "min luminance: container 0.01, bitstream 0.001" in finding.text
    stream = event.technical.streams[0]
    assert stream.light_levels is not None and stream.mastering_display is not None
    assert stream.light_levels.container == {"max_cll": 1000, "max_fall": 300}
    assert (stream.light_levels.bitstream, stream.light_levels.agree) == (None, True), (
        "less light than stated is no disagreement"
    )
    assert 0 < stream.light_levels.measured["max_fall"] <= stream.light_levels.measured["max_cll"] < 1000
    display = MasteringDisplay(**stream.mastering_display.container)
    assert (display.red, display.white, display.min_luminance) == ((0.68, 0.32), (0.3127, 0.329), 0.01)
    (rule,) = (r for v in event.verdicts for r in v.rules if r.code == "container.mismatch")
    assert (rule.outcome, rule.severity, rule.findings) == ("review", "minor", (finding.id,))


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.mxf"])
def test_headers_that_another_writer_makes(media_dir: Path, tmp_path: Path, name: str) -> None:
    """ffmpeg carries what a container states over to another one; MXF needs another codec, and has no light levels there."""
    clip, codec = media_dir / "hdr" / "fate_hdr10tags-both.mkv", "libx264" if name == "x.mxf" else "copy"
    command = [require_tool("ffmpeg"), "-v", "error", "-noautorotate", "-i", str(clip), "-map", "0:v", "-c:v", codec]
    options = ["-strict", "unofficial", "-r", "25"] + ["-pix_fmt", "yuv422p10le"] * (codec != "copy")
    subprocess.run([*command, *options, str(tmp_path / name)], check=True)
    theirs, ours = streams(clip)[0].declared, streams(tmp_path / name)[0].declared
    assert ours is not None and theirs is not None and theirs.mastering_display is not None
    assert ours.mastering_display == theirs.mastering_display
    assert ours.light_levels == (None if name == "x.mxf" else theirs.light_levels)
    assert (ours.size, ours.frame_rate, ours.transfer) == ((560, 320), (25, 1), "smpte2084")


def test_mono_tracks_are_presentations_in_pairs(media_dir: Path) -> None:
    (path,) = (media_dir / "video").glob("fate_SonyXAVC*")
    event = analysed(path)
    told = [([part.stream for part in p.streams], p.layout, p.source) for p in event.technical.presentations]
    assert told == [(["a0", "a1"], "stereo", "inferred"), (["a2", "a3"], "stereo", "inferred")]
    named = {(m.stream, m.presentation) for m in event.measurements if m.stream.startswith("a")}
    assert named == {("a0", "p0"), ("a1", "p0"), ("a2", "p1"), ("a3", "p1")}
    assert (event.clocks["v0"].start_timecode, event.technical.streams[0].timecode_source) == ("08:00:37:05", "container")
    # The file is cut short, which decoding tells of; what its headers say agrees.
    codes = {f.code for f in event.findings if f.code != "container.mismatch" or f.start == 0}
    assert codes.isdisjoint({"av.duration_mismatch", "container.mismatch"})


DIFFERING = {
    "nasa_13013_hdr.mp4": {"primaries", "transfer", "matrix"},
    "fate_hdr10tags-both.mkv": {"frame_rate", "mastering_display"},
    "fate_frame_size_change.mp4": {"size"},
    "fate_law-and-order-partial.mp4": {"size"},
    "fate_attachment631-small.mp4": {"frame_rate"},
}
"""What differs, each looked at: SDR tags on PQ, a changed rate and mastering display, a first picture of 160x90 in 1920x1080,
720x576 that a recorder calls 704x480, fields counted as frames."""


@pytest.mark.parametrize("path", PICTURES, ids=lambda p: p.name)
def test_only_what_differs_is_said_to_differ(media_dir: Path, path: Path) -> None:
    found = set()
    for stream in streams(path):
        if stream.kind == "video" and stream.decision == "analysed":
            plan = StreamPlan(**stream.model_dump(exclude={"index_of_video"}))
            found |= {name for name, sides in compared(plan, None).items() if sides.agree is False}
    assert found == DIFFERING.get(path.name, set())
