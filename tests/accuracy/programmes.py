"""Seeded programmes with defects in them: short files whose codec, rate, size, depth and sound vary, with their truth beside.

A programme is drawn part by part: moving pictures, and between them black, stills, bars around the picture, levels out of
range, fades, flashes. Lengths lie about the limits of the definitions (2 s), amounts about theirs (98 % of the picture,
1 % of the samples, 0.001 of full scale), so that what is compared is the definition and not the obvious case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""Shares of the nominal range; luma 0 (black) to 1 (white), chroma −0.5 to 0.5. Beyond these it is out of range."""
Planes = tuple[Plane, Plane, Plane]


@dataclass(frozen=True, slots=True)
class Coding:
    """A way to store pictures: encoder, container, pixel formats by depth, options."""

    encoder: str
    suffix: str
    formats: tuple[str, ...]
    options: tuple[dict[str, str], ...]
    rates: tuple[str, ...]
    even: bool = True
    """Whether sizes must be even."""


FILM = ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")
BROADCAST = ("24000/1001", "25", "30000/1001", "50", "60")
CODINGS = (
    Coding("libx264", "mp4", ("yuv420p", "yuv420p10le", "yuv422p"), (
        {"preset": "veryfast", "crf": "20"}, {"preset": "ultrafast", "qp": "0"}, {"preset": "veryfast", "crf": "33"},
    ), FILM),
    Coding("libx265", "mkv", ("yuv420p", "yuv420p10le"), (
        {"preset": "ultrafast", "crf": "22", "x265-params": "log-level=none:pools=1"},
    ), FILM),
    Coding("mpeg2video", "ts", ("yuv420p", "yuv422p"), ({"qscale": "3", "bf": "2"}, {"qscale": "8"}), BROADCAST),
    Coding("libvpx-vp9", "webm", ("yuv420p",), ({"deadline": "realtime", "cpu-used": "8", "crf": "25", "b:v": "0"},), FILM),
    Coding("prores_ks", "mov", ("yuv422p10le",), ({"profile": "hq"}, {"profile": "lt"}), FILM),
    Coding("ffv1", "mkv", ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le"), ({},), FILM, even=False),
)  # fmt: skip
SIZES = ((160, 90), (176, 144), (256, 144), (320, 180), (320, 240), (426, 240), (480, 270), (640, 360), (720, 576), (1280, 720))
_COMMON = (0.16, 0.16, 0.2, 0.22, 0.12, 0.07, 0.03, 0.02, 0.01, 0.01)
"""How often each size comes: large ones take long, and have at most 30 frames a second."""
SOUNDS = {
    "mp4": ("aac", "ac3", "flac"),
    "mkv": ("pcm_s16le", "flac", "pcm_s24le", "libopus"),
    "ts": ("mp2", "ac3"),
    "webm": ("libopus",),
    "mov": ("pcm_s16le", "pcm_s24le", "aac"),
}


@dataclass(frozen=True, slots=True)
class Form:
    """How one programme is stored. ``rate`` is a fraction in words, ``full_range`` of the luma and chroma codes."""

    encoder: str
    suffix: str
    pixel_format: str
    options: dict[str, str]
    rate: str
    width: int
    height: int
    full_range: bool
    sound: str
    sample_rate: int
    channels: int

    @property
    def depth(self) -> int:
        return 10 if "10" in self.pixel_format else 8


@dataclass(frozen=True, slots=True)
class Truth:
    """What was drawn: ``(what, first frame, frame after the last)``, and for sound ``(what, first second, last second)``."""

    seed: int
    form: Form
    frames: int
    picture: tuple[tuple[str, int, int], ...]
    sound: tuple[tuple[str, float, float], ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def form(seed: int) -> Form:
    """The form of a programme: codecs in turn, all else by chance."""
    rng = np.random.default_rng([seed, 1])
    coding = CODINGS[seed % len(CODINGS)]
    width, height = SIZES[rng.choice(len(SIZES), p=_COMMON)]
    if not coding.even and rng.random() < 0.6:
        width, height = width - 1, height - int(rng.integers(0, 2))
    sound = str(rng.choice(SOUNDS[coding.suffix]))
    rates = [rate for rate in coding.rates if width < 480 or Fraction(rate) <= 30]
    return Form(
        encoder=coding.encoder,
        suffix=coding.suffix,
        pixel_format=str(rng.choice(coding.formats)),
        options=coding.options[rng.integers(len(coding.options))],
        rate=str(rng.choice(rates)),
        width=width,
        height=height,
        full_range=coding.encoder in ("libx264", "ffv1") and rng.random() < 0.15,
        sound=sound,
        sample_rate=48_000 if sound in ("libopus", "ac3") or rng.random() < 0.6 else 44_100,
        channels=int(rng.choice([1, 2, 2, 2, 6])) if sound in ("pcm_s16le", "flac", "ac3", "aac") else int(rng.choice([1, 2])),
    )


def render(seed: int, folder: Path) -> tuple[Path, Truth]:
    """Write the programme of a seed and give its path and truth."""
    chosen = form(seed)
    path = folder / f"programme-{seed}.{chosen.suffix}"
    drawing = _Drawing(chosen, np.random.default_rng([seed, 2]))
    parts, heard = drawing.programme(), _sound(chosen, np.random.default_rng([seed, 3]), drawing.seconds)
    frames = _write(path, chosen, parts, heard[0])
    return path, Truth(seed, chosen, frames, tuple(drawing.drawn), heard[1])


class _Drawing:
    """Draws the parts of a programme, and notes what it has drawn."""

    def __init__(self, form: Form, rng: np.random.Generator) -> None:
        self.form, self.rng, self.rate = form, rng, float(Fraction(form.rate))
        self.drawn: list[tuple[str, int, int]] = []
        self._at = 0
        self._opening = 12 * int(rng.integers(2))
        self._plan = [self._part() for _ in range(int(rng.integers(3, 5)))]
        if rng.random() < 0.5:  # the last part ends with the stream
            self._plan[-1] = (*self._plan[-1][:3], 0)
        self.seconds = (sum(n + m for _, n, _, m in self._plan) + self._opening) / self.rate

    def programme(self) -> Iterator[Planes]:
        """All frames. Moving pictures come between the parts, each another scene: a cut."""
        yield from self._note("moving", self._opening, self.moving(self._opening))
        for name, frames, draw, pause in self._plan:
            yield from self._note(name, frames, draw(frames))
            yield from self._note("moving", pause, self.moving(pause))

    def _part(self) -> tuple[str, int, Callable[[int], Iterator[Planes]], int]:
        kinds = (
            self.black,
            self.nearly_black,
            self.still,
            self.noisy_still,
            self.boxed,
            self.illegal,
            self.fade,
            self.flash,
            self.dim,
        )
        draw = kinds[self.rng.integers(len(kinds))]
        limit = round(2 * self.rate)
        about = [limit - 2, limit - 1, limit, limit + 1, limit + 2, round(0.8 * limit), round(1.3 * limit)]
        frames = int(self.rng.integers(1, 5)) if draw == self.flash else int(self.rng.choice(about))
        return draw.__name__, frames, draw, int(self.rng.integers(8, 25))

    def _note(self, name: str, frames: int, pictures: Iterator[Planes]) -> Iterator[Planes]:
        self.drawn.append((name, self._at, self._at + frames))
        self._at += frames
        yield from pictures

    def moving(self, frames: int) -> Iterator[Planes]:
        """A texture that moves under grain."""
        scene, speed = self._scene(), self.rng.uniform(0.7, 4, 2) * self.rng.choice([-1, 1], 2)
        for k in range(frames):
            yield self._grained(self._shift(scene, speed * k), 0.006)

    def black(self, frames: int) -> Iterator[Planes]:
        """Luma about the limit of 10 %, or well below it."""
        level = float(self.rng.choice([0.0, 0.03, 0.09, 0.0975, 0.102]))
        for _ in range(frames):
            yield self._grained(self._plain(level), float(self.rng.choice([0.0, 0.001])))

    def nearly_black(self, frames: int) -> Iterator[Planes]:
        """Black but for a bright patch about as large as 2 % of the picture."""
        share = self.rng.choice([0.012, 0.0195, 0.0205, 0.03])
        picture = self._plain(0.02)
        rows = max(1, round(self.form.height * share**0.5))
        columns = max(1, round(share * self.form.height * self.form.width / rows))
        picture[0][3 : 3 + rows, 5 : 5 + columns] = 0.8
        for _ in range(frames):
            yield picture

    def still(self, frames: int) -> Iterator[Planes]:
        """One picture again and again."""
        picture = self._grained(self._scene_at(), 0.004)
        for _ in range(frames):
            yield picture

    def noisy_still(self, frames: int) -> Iterator[Planes]:
        """One picture under noise about as strong as a freeze may have."""
        picture, noise = self._scene_at(), float(self.rng.choice([0.0004, 0.0012, 0.0025, 0.006]))
        for _ in range(frames):
            yield self._grained(picture, noise)

    def boxed(self, frames: int) -> Iterator[Planes]:
        """A moving picture between bars above and below, left and right, or all around."""
        level, kind = float(self.rng.choice([0.0, 0.02, 0.03])), self.rng.integers(3)
        across = int(self.rng.integers(2, 1 + self.form.width // 5)) if kind != 0 else 0
        down = int(self.rng.integers(2, 1 + self.form.height // 5)) if kind != 1 else 0
        for picture in self.moving(frames):
            framed = self._plain(level)
            for plane, inside in zip(framed, picture, strict=True):
                y, x = (round(down * plane.shape[0] / self.form.height), round(across * plane.shape[1] / self.form.width))
                place = slice(y, plane.shape[0] - y), slice(x, plane.shape[1] - x)
                plane[place] = inside[place]
            yield framed

    def illegal(self, frames: int) -> Iterator[Planes]:
        """A patch of about 1 % of all samples outside the legal range, in luma, chroma or both."""
        share, which = float(self.rng.choice([0.006, 0.0095, 0.0105, 0.02, 0.05])), self.rng.integers(3)
        luma, chroma = float(self.rng.choice([-0.03, 1.03, 1.06])), float(self.rng.choice([-0.54, 0.53]))
        for picture in self.moving(frames):
            for number, plane in enumerate(picture):
                if (which == 0 and number) or (which == 1 and not number):
                    continue
                side = (share * 1.5) ** 0.5
                rows, columns = round(side * plane.shape[0]), round(side * plane.shape[1])
                plane[4 : 4 + rows, 6 : 6 + columns] = luma if number == 0 else chroma
            yield picture

    def fade(self, frames: int) -> Iterator[Planes]:
        """Out and in again."""
        for k, (y, u, v) in enumerate(self.moving(frames)):
            gain = np.float32(abs(1 - 2 * k / max(1, frames - 1)))
            yield y * gain, u * gain, v * gain

    def flash(self, frames: int) -> Iterator[Planes]:
        """One colour all over."""
        level = float(self.rng.uniform(0, 1))
        for _ in range(frames):
            yield self._plain(level)

    def dim(self, frames: int) -> Iterator[Planes]:
        """A moving picture at night: about as dark as what counts as an active line."""
        gain = np.float32(self.rng.uniform(0.03, 0.2))
        for y, u, v in self.moving(frames):
            yield y * gain, u * gain, v * gain

    def _scene(self) -> Planes:
        """A texture larger than the picture, in the formats' colours."""
        height, width = self.form.height * 3 // 2 + 8, self.form.width * 3 // 2 + 8
        total = np.zeros((height, width), np.float32)
        for octave in range(6):
            cells = 3 << octave
            grid = self.rng.random((cells, cells), np.float32)
            total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(0.6**octave)
        total = (total - total.min()) / (total.max() - total.min())
        low, high = self.rng.uniform(0.05, 0.4), self.rng.uniform(0.55, 0.95)
        tints = (np.float32(self.rng.uniform(-0.3, 0.3)) * (total - np.float32(0.5)) for _ in range(2))
        half = chroma_size(self.form.pixel_format, width, height)
        u, v = (cv2.resize(t, half, interpolation=cv2.INTER_AREA) for t in tints)
        return (low + total * (high - low)).astype(np.float32), u, v

    def _scene_at(self) -> Planes:
        return self._shift(self._scene(), np.zeros(2))

    def _shift(self, scene: Planes, by: NDArray[np.float64]) -> Planes:
        """The picture inside a scene, moved by so many luma pixels; it turns back at the scene's edge."""
        slack = np.array([self.form.width // 2, self.form.height // 2])
        x, y = slack - np.abs(slack - np.abs(by) % (2 * slack))
        across, down = _subsampling(self.form.pixel_format)
        size = self.form.width, self.form.height
        chroma = chroma_size(self.form.pixel_format, *size)
        return (
            _window(scene[0], x, y, size),
            _window(scene[1], x / across, y / down, chroma),
            _window(scene[2], x / across, y / down, chroma),
        )

    def _plain(self, level: float) -> Planes:
        across, down = chroma_size(self.form.pixel_format, self.form.width, self.form.height)
        zero = np.zeros((down, across), np.float32)
        return np.full((self.form.height, self.form.width), level, np.float32), zero, zero.copy()

    def _grained(self, picture: Planes, deviation: float) -> Planes:
        if not deviation:
            return picture
        y = picture[0] + self.rng.standard_normal(picture[0].shape, np.float32) * np.float32(deviation)
        return y, picture[1], picture[2]


def _window(plane: Plane, x: float, y: float, size: tuple[int, int]) -> Plane:
    move = np.array([[1.0, 0.0, -x], [0.0, 1.0, -y]])
    return np.asarray(cv2.warpAffine(plane, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)


def _subsampling(pixel_format: str) -> tuple[int, int]:
    return (1, 1) if "444" in pixel_format else (2, 1) if "422" in pixel_format else (2, 2)


def chroma_size(pixel_format: str, width: int, height: int) -> tuple[int, int]:
    """Width and height of the chroma planes of a picture."""
    across, down = _subsampling(pixel_format)
    return -(-width // across), -(-height // down)


def codes(picture: Planes, depth: int, *, full_range: bool) -> list[NDArray[Any]]:
    """Code values of a picture in shares of the nominal range."""
    top, unit = (1 << depth) - 1, 1 << (depth - 8)
    low, span, colour = (0, top, top) if full_range else (16 * unit, 219 * unit, 224 * unit)
    dtype = np.uint8 if depth == 8 else np.dtype("<u2")
    middle = 128 * unit
    scaled = (picture[0] * span + low, picture[1] * colour + middle, picture[2] * colour + middle)
    return [np.rint(plane).clip(0, top).astype(dtype) for plane in scaled]


def video_frame(planes: list[NDArray[Any]], pixel_format: str, *, full_range: bool) -> av.VideoFrame:
    """A frame of these code values."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixel_format)
    frame.color_range = 2 if full_range else 1
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        data = np.ascontiguousarray(values).view(np.uint8)
        rows[:, : data.shape[1]] = data
        plane.update(rows.tobytes())
    return frame


def _write(path: Path, form: Form, pictures: Iterator[Planes], heard: NDArray[np.float32]) -> int:
    rate, count = Fraction(form.rate), 0
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[form.channels]
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(form.encoder, rate=rate, options=dict(form.options))
        video.width, video.height, video.pix_fmt = form.width, form.height, form.pixel_format
        video.codec_context.color_range = 2 if form.full_range else 1
        video.codec_context.gop_size = 25
        video.codec_context.thread_count = 1
        audio: Any = container.add_stream(form.sound, rate=form.sample_rate, layout=layout)
        resampler = av.AudioResampler(audio.format, layout, form.sample_rate, audio.codec_context.frame_size or 1024)
        written = 0
        for picture in pictures:
            frame = video_frame(
                codes(picture, form.depth, full_range=form.full_range), form.pixel_format, full_range=form.full_range
            )
            frame.pts, frame.time_base = count, 1 / rate
            container.mux(video.encode(frame))
            count += 1
            due = min(len(heard), round(count / rate * form.sample_rate))
            for block in resampler.resample(_audio_frame(heard[written:due], form, layout, written)) if due > written else []:
                container.mux(audio.encode(block))
            written = due
        for block in resampler.resample(None):
            container.mux(audio.encode(block))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return count


def _audio_frame(samples: NDArray[np.float32], form: Form, layout: str, first: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = form.sample_rate, first, Fraction(1, form.sample_rate)
    return frame


def _sound(
    form: Form, rng: np.random.Generator, seconds: float
) -> tuple[NDArray[np.float32], tuple[tuple[str, float, float], ...]]:
    """Noise with quiet stretches about 2 s long, digitally silent or about −60 dBFS."""
    rate, total = form.sample_rate, int(seconds * form.sample_rate)
    parts: list[NDArray[np.float32]] = []
    drawn: list[tuple[str, float, float]] = []
    at = 0
    while at < total:
        loud = rng.standard_normal((int(rate * rng.uniform(0.3, 1.5)), form.channels), np.float32) * np.float32(0.05)
        height = float(rng.choice([0.0, 0.0002, 0.0008, 0.003]))
        length = int(rate * rng.choice([1.2, 1.85, 2.15, 2.6, 3.5]))
        quiet = rng.uniform(-height, height, (length, form.channels)).astype(np.float32)
        drawn.append((f"quiet {height}", (at + len(loud)) / rate, (at + len(loud) + length) / rate))
        parts += [loud, quiet]
        at += len(loud) + length
    return np.concatenate(parts)[:total], tuple(drawn)
