"""Renders the sample: H.264 and 16-bit PCM in a QuickTime file, the same bytes each time, with its truth beside it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from processors.sample import sound
from processors.sample.programme import FRAMES, PARTS, RATE, Programme
from processors.sample.scenes import HEIGHT, WIDTH, Picture
from processors.sample.truth import Truth, know, truth_path

# One quality for every picture and a key frame where a shot or a freeze begins: a still picture then stays still to within a
# hundredth of a code value, where rate control would go on refining it. One thread, so that every machine makes the same file.
_X264 = {
    "preset": "ultrafast",
    "threads": "1",
    "x264-params": "qp=19:ipratio=1:pbratio=1:aq-mode=0:keyint=250:scenecut=0:bframes=0:log-level=none",
}
_KEY_FRAMES = frozenset(part.first for part in PARTS) | {part.freeze[0] for part in PARTS if part.freeze}
_SAMPLES_AT_A_TIME = sound.RATE // RATE


def render(path: Path, progress: Callable[[float], None] | None = None) -> Truth:
    """Write the sample to ``path`` and what is known of it beside it. ``progress`` hears the share that is done."""
    heard = sound.synthesise()
    truth = know(heard)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with av.open(str(path), "w", format="mov", options={"fflags": "+bitexact"}) as container:
            _write(container, heard, progress or (lambda _: None))
    finally:
        cv2.setNumThreads(threads)
    truth.write(truth_path(path))
    return truth


def _write(container: Any, heard: sound.Sound, progress: Callable[[float], None]) -> None:
    video, audio = _streams(container)
    programme = Programme()
    for number in range(FRAMES):
        for packet in video.encode(_video_frame(programme.draw(number), number)):
            container.mux(packet)
        for packet in audio.encode(_audio_frame(heard, number)):
            container.mux(packet)
        if number % RATE == 0:
            progress(number / FRAMES)
    for stream in (video, audio):
        for packet in stream.encode(None):
            container.mux(packet)
    progress(1.0)


def _streams(container: Any) -> tuple[Any, Any]:
    video = container.add_stream("libx264", rate=RATE, options=_X264)
    video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context = video.codec_context
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.flags |= av.codec.context.Flags.bitexact
    audio = container.add_stream("pcm_s16le", rate=sound.RATE, layout="stereo")
    return video, audio


def _video_frame(picture: Picture, number: int) -> Any:
    flat = np.concatenate([plane.reshape(-1) for plane in picture.planes]).reshape(HEIGHT * 3 // 2, WIDTH)
    frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    if number in _KEY_FRAMES:
        frame.pict_type = PictureType.I
    return frame


def _audio_frame(heard: sound.Sound, number: int) -> Any:
    first = number * _SAMPLES_AT_A_TIME
    part = heard.samples[first : first + _SAMPLES_AT_A_TIME]
    frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = sound.RATE, first, Fraction(1, sound.RATE)
    return frame
