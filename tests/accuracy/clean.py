"""Clean programmes: hours of what may look like a defect and is none, in which nothing of severity major may be found.

``python -m tests.accuracy.clean --hours 2``. Episodes are drawn (seeded; 256x144, so that two hours take minutes): pans, zooms,
still cameras, night under grain, dissolves, fades to black and to white, title cards, credits, letterboxed and black-and-white
scenes, lightning, photographers' flashes and a strobe below 3 Hz. They are coded, and analysed whole with every task but the
networks. The shared clips that nobody knows to be damaged follow. The status is 1 where a rule of severity major is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from processors.analyse import analyse
from processors.sample.scenes import fractal
from processors.sample.sound import integrated
from tests.accuracy.children import each
from tests.tools import MEDIA

WIDTH, HEIGHT = 256, 144
SOUND_RATE, DRAWN_RATE = 16_000, 48_000
"""Sound is drawn at 48 kHz, where its loudness is known, and stored at 16."""
TASKS = ("native-picture", "flashing-bt1702", "flashing-iris", "loudness", "audio-qc")
PROFILES = ("feature-picture", "ebu-r128")
RATES = (24, 25, 30)
SERIOUS = ("major", "blocker")

SHARED = (
    *("video/nasa_13013.mp4", "video/aspect_ratio_sar16_11.mp4", "video/rotated.mp4", "video/testsrc2_h265.mp4"),
    *("video/bt709_full_range.mp4", "video/odd_size_444_10bit.mp4", "hdr/nasa_13013_hdr.mp4", "hdr/bt2020_10bit.mp4"),
    *("flashing/iris_2Hz_5s.mp4", "flashing/iris_gray.mp4"),
)
"""Shared clips that nobody knows to be damaged. Left out are files cut short or with damaged frames, the flashing one, and
``pyscenedetect_testvideo.mp4``, which holds stills of 2.5 s and more (freezedetect reports the same)."""

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]


@dataclass(frozen=True, slots=True)
class Watched:
    """One programme: its length, and the rules of severity major or above that were broken."""

    name: str
    seconds: float
    broken: tuple[str, ...]
    minor: tuple[str, ...] = ()


class Episode:
    """Draws one programme, shot by shot."""

    def __init__(self, seed: int, seconds: int) -> None:
        self._rng = np.random.default_rng([seed, 4])
        self.rate = RATES[seed % len(RATES)]
        self.frames = seconds * self.rate
        self.shots: list[tuple[float, str, str]] = []
        """Seconds, kind and way in of each shot."""
        self._at = 0
        self._grain = [self._rng.normal(0, 1.6, (HEIGHT + 32, WIDTH + 32)).round().astype(np.int16) for _ in range(4)]

    def pictures(self) -> Iterator[Planes]:
        """As many as the programme has."""
        left = self.frames
        last: Planes | None = None
        while left > 0:
            for picture in self._shot(last):
                last = picture
                yield picture
                self._at += 1
                left -= 1
                if not left:
                    return

    def _shot(self, last: Planes | None) -> Iterator[Planes]:
        kinds: tuple[tuple[Callable[[int], Iterator[Planes]], float], ...] = (
            (self.view, 0.4), (self.still_camera, 0.2), (self.night, 0.1), (self.card, 0.05), (self.credits, 0.04),
            (self.boxed, 0.06), (self.lightning, 0.05), (self.strobe, 0.04), (self.white, 0.06),
        )  # fmt: skip
        draw = kinds[self._rng.choice(len(kinds), p=[share for _, share in kinds])][0]
        frames = int(self._rng.uniform(2.2, 9) * self.rate)
        joined, length = (
            self._rng.choice(["cut", "dissolve", "fade"], p=[0.7, 0.18, 0.12]),
            int(self._rng.uniform(0.3, 1.6) * self.rate),
        )
        self.shots.append((self._at / self.rate, draw.__name__, str(joined)))
        for k, picture in enumerate(draw(frames)):
            if joined == "dissolve" and last is not None and k < length:
                yield self.mix(last, picture, (k + 1) / (length + 1))
            elif joined == "fade" and k < length:
                yield self.mix(self.plain(16), picture, k / length)
            else:
                yield picture
        if joined == "fade":
            for k in range(length):
                yield self.mix(picture, self.plain(16), (k + 1) / length)
            for _ in range(int(self._rng.uniform(0.2, 1.8) * self.rate) - 1):  # black for less than 2 s
                yield self.plain(16)

    def view(self, frames: int) -> Iterator[Planes]:
        """A moving camera, sometimes in black and white."""
        scene = self._scene(colour=self._rng.random() > 0.15)
        speed, zoom = self._rng.uniform(-1.2, 1.2, 2), self._rng.uniform(0.999, 1.001)
        for k in range(frames):
            yield self._grained(self._window(scene, speed * k, zoom**k), k)

    def still_camera(self, frames: int) -> Iterator[Planes]:
        """Nothing but a figure moves, under grain."""
        scene = self._window(self._scene(), np.zeros(2), 1.0)
        x, y = self._rng.uniform(40, WIDTH - 40), self._rng.uniform(50, HEIGHT - 20)
        luma, radius = int(self._rng.integers(40, 200)), int(self._rng.integers(10, 28))
        for k in range(frames):
            picture = scene[0].copy(), scene[1], scene[2]
            place = round(x + 14 * np.sin(k / 9)), round(y + 5 * np.sin(k / 4))
            cv2.ellipse(picture[0], place, (radius, radius * 2), 0, 0, 360, luma, -1, cv2.LINE_AA)
            yield self._grained(picture, k)

    def night(self, frames: int) -> Iterator[Planes]:
        """Dark and grainy, with a few lamps."""
        scene = self._scene(low=18, high=52)
        lamps = self._rng.uniform((10, 10), (WIDTH - 10, HEIGHT - 10), (6, 2))
        for k in range(frames):
            picture = self._window(scene, np.array([0.3, 0.1]) * k, 1.0)
            for x, y in lamps:
                cv2.circle(picture[0], (round(x + k * 0.2) % WIDTH, round(y)), 4, 190, -1, cv2.LINE_AA)
            yield self._grained(picture, k)

    def card(self, frames: int) -> Iterator[Planes]:
        """A title, still for up to 5 s."""
        y, u, v = self.plain(int(self._rng.choice([16, 30, 60])))
        for line in range(int(self._rng.integers(2, 5))):
            words = "".join(self._rng.choice(list("AEHKLMNORSTUV "), 11))
            cv2.putText(y, words, (14, 36 + 27 * line), cv2.FONT_HERSHEY_DUPLEX, 0.9, 220, 2, cv2.LINE_AA)
        for _ in range(min(frames, 5 * self.rate)):
            yield y, u, v

    def credits(self, frames: int) -> Iterator[Planes]:
        """Lines that roll upwards."""
        lines = ["".join(self._rng.choice(list("AEHKLMNORSTUV "), 14)) for _ in range(12)]
        for k in range(frames):
            picture = self.plain(20)
            for number, words in enumerate(lines):
                height = HEIGHT + 26 * number - k * 2
                if -26 < height < HEIGHT + 26:
                    cv2.putText(picture[0], words, (20, height), cv2.FONT_HERSHEY_DUPLEX, 0.7, 210, 1, cv2.LINE_AA)
            yield picture

    def boxed(self, frames: int) -> Iterator[Planes]:
        """A wider picture between bars."""
        bar = int(self._rng.integers(4, 12)) * 2
        for picture in self.view(frames):
            for plane, code, lines in zip(picture, (16, 128, 128), (bar, bar // 2, bar // 2), strict=True):
                plane[:lines], plane[-lines:] = code, code
            yield picture

    def lightning(self, frames: int) -> Iterator[Planes]:
        """Two flashes, and photographers' single ones, at least half a second apart."""
        bolts = {int(self.rate * t) for t in (0.6, 1.2, 2.1)}
        for k, picture in enumerate(self.night(frames)):
            yield self.mix(picture, self.plain(225), 0.85) if k in bolts else picture

    def strobe(self, frames: int) -> Iterator[Planes]:
        """Dark and light 2.9 times a second, eight times, below what is a danger, and no other change for a second around."""
        calm = round(2.8 * self.rate)  # a dissolve takes up to 1.6 s of it
        for k, (y, u, v) in enumerate(self.view(2 * calm + 3 * self.rate)):
            turn = int((k - calm) / self.rate * 2.9 * 2) if k >= calm else 16
            yield (y if turn % 2 or turn >= 16 else (y // 3 + 11).astype(np.uint8)), u, v

    def white(self, frames: int) -> Iterator[Planes]:
        """A view that fades to white and back."""
        for k, picture in enumerate(self.view(frames)):
            yield self.mix(picture, self.plain(228), max(0.0, 1 - abs(k - frames / 2) / self.rate))

    def _scene(self, low: int | None = None, high: int | None = None, *, colour: bool = True) -> Planes:
        rng = self._rng
        texture = fractal(rng, WIDTH * 2, HEIGHT * 2, int(rng.integers(3, 9)), 6, float(rng.uniform(0.5, 0.75)))
        tint = fractal(rng, WIDTH, HEIGHT, 2, 3, 0.5)
        low = int(rng.integers(20, 70)) if low is None else low
        high = int(rng.integers(130, 220)) if high is None else high
        spread = rng.uniform(-50, 50, 2) if colour else np.zeros(2)
        return (
            (low + texture * (high - low)).astype(np.uint8),
            np.rint(128 + (tint - 0.5) * spread[0]).astype(np.uint8),
            np.rint(128 + (tint - 0.5) * spread[1]).astype(np.uint8),
        )

    def _window(self, scene: Planes, by: NDArray[np.float64], zoom: float) -> Planes:
        found = []
        for plane, share in zip(scene, (1, 2, 2), strict=True):
            height, width = plane.shape
            x, y = by / share
            move = np.array([[zoom, 0, width / 4 + x], [0, zoom, height / 4 + y]])
            size = WIDTH // share, HEIGHT // share
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            found.append(np.asarray(cv2.warpAffine(plane, move, size, flags=flags, borderMode=cv2.BORDER_REFLECT), np.uint8))
        return found[0], found[1], found[2]

    def _grained(self, picture: Planes, number: int) -> Planes:
        dx, dy = (number * 13) % 32, (number * 7) % 32
        noise = self._grain[number % 4][dy : dy + HEIGHT, dx : dx + WIDTH]
        return np.clip(picture[0] + noise, 16, 235).astype(np.uint8), picture[1], picture[2]

    def plain(self, luma: int) -> Planes:
        half = (HEIGHT // 2, WIDTH // 2)
        return np.full((HEIGHT, WIDTH), luma, np.uint8), np.full(half, 128, np.uint8), np.full(half, 128, np.uint8)

    def mix(self, a: Planes, b: Planes, share: float) -> Planes:
        mixed = [np.asarray(cv2.addWeighted(x, 1 - share, y, share, 0), np.uint8) for x, y in zip(a, b, strict=True)]
        return mixed[0], mixed[1], mixed[2]


def sound(seed: int, seconds: int) -> NDArray[np.int16]:
    """Mono speech and music by chance with pauses of up to 1.5 s, at −23 LUFS: a minute of it, again and again."""
    rng = np.random.default_rng([seed, 5])
    parts: list[NDArray[np.float64]] = []
    total, minute = 0, 60 * DRAWN_RATE
    while total < minute:
        length = int(DRAWN_RATE * rng.uniform(0.15, 2.5))
        t = np.arange(length) / DRAWN_RATE
        swell = 0.25 + 0.75 * np.abs(np.sin(np.pi * t * rng.uniform(1, 5)))
        voice = np.cumsum(rng.standard_normal(length)) * 0.01
        voice -= np.convolve(voice, np.ones(480) / 480, "same")
        chord = sum(np.sin(2 * np.pi * hertz * t + rng.uniform(0, 6)) for hertz in rng.uniform(110, 900, 3))
        parts.append(swell * (voice / max(1e-9, np.abs(voice).max()) + 0.2 * chord) * rng.uniform(0.3, 1))
        parts.append(np.zeros(int(DRAWN_RATE * rng.choice([0.0, 0.1, 0.4, 1.5], p=[0.5, 0.3, 0.15, 0.05]))))
        total += length + len(parts[-1])
    one = np.concatenate(parts)[:minute] + rng.normal(0, 1e-4, minute)
    gain = 10 ** ((-23 - integrated(one[:, None])) / 20)
    stored = resample_poly(np.clip(one * gain, -0.8, 0.8), SOUND_RATE, DRAWN_RATE)
    whole = np.tile(stored, -(-seconds // 60))[: seconds * SOUND_RATE]
    return np.rint(whole * 32767).astype(np.int16)


def render(path: Path, seed: int, seconds: int) -> None:
    """Write one episode."""
    episode, heard = Episode(seed, seconds), sound(seed, seconds)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "20", "threads": "1"}
        video: Any = container.add_stream("libx264", rate=episode.rate, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio: Any = container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono")
        edges = np.arange(episode.frames + 1) * SOUND_RATE // episode.rate
        for number, planes in enumerate(episode.pictures()):
            flat = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(HEIGHT * 3 // 2, WIDTH)
            frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, episode.rate)
            container.mux(video.encode(frame))
            first = int(edges[number])
            part = av.AudioFrame.from_ndarray(heard[None, first : edges[number + 1]], format="s16", layout="mono")
            part.sample_rate, part.pts, part.time_base = SOUND_RATE, first, Fraction(1, SOUND_RATE)
            container.mux(audio.encode(part))
        for stream in (video, audio):
            container.mux(stream.encode(None))


def watch(path: Path, name: str, profiles: Sequence[str]) -> Watched:
    """Analyse a file and list the broken rules. Sound that is longer or shorter than the picture counts too."""
    event = analyse(str(path), code="test", tasks_wanted=TASKS, profiles=profiles)
    rules = [(v.profile, r) for v in event.verdicts for r in v.rules if r.outcome in ("fail", "review")]
    told = [(r.severity, f"{profile} {r.rule} ({_places(event.findings, r.findings)})") for profile, r in rules]
    serious = tuple(text for severity, text in told if severity in SERIOUS)
    minor = tuple(text for severity, text in told if severity not in SERIOUS)
    return Watched(name, float(event.technical.duration or 0), serious, minor)


def _places(findings: Sequence[Any], ids: Sequence[str]) -> str:
    return ", ".join(f"{f.start_seconds:.2f}–{f.end_seconds:.2f} s" for f in findings if f.id in ids)


def _one(which: int | str, seconds: int) -> Watched:
    """The episode of a seed, or a shared clip by name."""
    if isinstance(which, str):
        return watch(MEDIA / which, which, ("feature-picture",))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "episode.mov"
        render(path, which, seconds)
        return watch(path, f"episode {which}", PROFILES)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.clean", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--minutes", type=int, default=5, help="length of an episode")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args(arguments)
    episodes = round(chosen.hours * 60 / chosen.minutes)
    seen: list[Watched] = []
    pieces = {f"episode {chosen.first + n}": (chosen.first + n, 60 * chosen.minutes) for n in range(episodes)}
    pieces |= {name: (name, 0) for name in SHARED if (MEDIA / name).is_file()}
    for _, one in each(_one, pieces, chosen.workers):
        seen.append(one)
        told = "; ".join(one.broken) or "nothing of severity major"
        print(f"{len(seen)}/{len(pieces)} {one.name}, {one.seconds:.0f} s: {told}; minor: {len(one.minor)}", flush=True)
    hours = sum(one.seconds for one in seen) / 3600
    alarms = sum(len(one.broken) for one in seen)
    # of none in so many hours: the rate that would have shown none with a chance of 5 % (the rule of three)
    most = f", at most {3 / hours:.2f} an hour with 95 % confidence" if not alarms else ""
    print(f"{len(seen)} programmes, {hours:.2f} h clean: {alarms} false alarms of severity major or above{most}")
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main())
