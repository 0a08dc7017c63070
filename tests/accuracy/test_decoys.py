"""What looks like a defect and is none: nothing of severity major is found in it, and hours of it in ``make accuracy``."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.analyse import analyse
from processors.tasks.audio_qc import TASK as AUDIO_QC
from tests import flashes
from tests.accuracy import clean
from tests.accuracy.clean import Episode, Planes
from tests.picture import analyse as measure
from tests.picture import folded, native
from tests.sound import LAYOUTS, to_int16
from tests.sound import analyse as listen

RATE = 25
FRAMED = ("boxed", "credits")
"""What has bars, and letters on a ground that is dark enough for bars: facts, and nothing of severity major."""


def found(pictures: Iterator[Planes]) -> set[str]:
    """Every finding of native picture and both flashing tasks."""
    shown = list(pictures)
    stacked = tuple(np.stack([picture[k] for picture in shown]) for k in range(3))
    flashing = [flashes.found(task, stacked, matrix="bt709") for task in (flashes.BT1702, flashes.IRIS)]
    frames = [native(planes, number) for number, planes in enumerate(shown)]
    return {f.code for drafts in (folded(measure(frames))[0], *flashing) for f in drafts}


def episode() -> Episode:
    return Episode(1, 60)  # 25 frames a second


def short_black() -> Iterator[Planes]:
    """A view that fades to black, which lasts for a few frames less than 2 s."""
    drawn = episode()
    view = list(drawn.view(30))
    yield from (drawn.mix(picture, drawn.plain(16), k / 29) for k, picture in enumerate(view))
    yield from [drawn.plain(16)] * (2 * RATE - 10)  # the darkest of the fade are black too
    yield from drawn.view(30)


@pytest.mark.parametrize(
    "name", ["short_black", "card", "credits", "night", "still_camera", "lightning", "strobe", "white", "view", "boxed"]
)
def test_a_decoy_of_picture_passes(name: str) -> None:
    pictures = short_black() if name == "short_black" else getattr(episode(), name)(3 * RATE)
    expected = {"video.letterbox"} if name in FRAMED else set()
    assert found(pictures) == expected


def test_the_decoys_come_close() -> None:
    """The same a little further on is found: a longer black, a faster strobe."""
    drawn = episode()
    black = [*drawn.view(20), *[drawn.plain(16)] * (2 * RATE), *drawn.view(20)]
    assert found(iter(black)) == {"video.black"}
    faster = (p if int(k / RATE * 3.4 * 2) % 2 else drawn.plain(225) for k, p in enumerate(drawn.view(4 * RATE)))
    assert "video.flash.luminance" in found(faster)


def noise(seconds: float, channels: int, level: float) -> NDArray[np.float64]:
    return level * np.random.default_rng(3).standard_normal((int(48_000 * seconds), channels))


def test_silent_surrounds_pass() -> None:
    samples = noise(4, 6, 0.05)
    samples[:, 3:] = 0.0  # LFE and both surrounds
    assert listen(AUDIO_QC, to_int16(samples), names=LAYOUTS[6]).findings == []


def test_a_loud_master_passes() -> None:
    """Limited softly, to −0.3 dBFS at the most, some 17 dB louder than a programme."""
    samples = 0.966 * np.tanh(3 * noise(4, 2, 0.5))
    assert listen(AUDIO_QC, to_int16(samples)).findings == []


def test_pauses_of_speech_pass() -> None:
    samples = noise(8, 2, 0.05)
    for second in (1, 4):
        samples[second * 48_000 : second * 48_000 + 48_000 * 19 // 10] *= 1e-3 / 0.05 * 0.5
    assert listen(AUDIO_QC, to_int16(samples)).findings == []


def test_an_episode_passes_whole(tmp_path: Path) -> None:
    path = tmp_path / "episode.mov"
    clean.render(path, 2, 15)
    event = analyse(str(path), code="test", tasks_wanted=clean.TASKS, profiles=["feature-picture"])
    assert [r.rule for v in event.verdicts for r in v.rules if r.outcome in ("fail", "review")] == []
    assert event.run.status == "complete"
    with wave.open(str(tmp_path / "sound.wav"), "wb") as out:
        out.setparams((1, 2, clean.SOUND_RATE, 0, "NONE", ""))
        out.writeframes(clean.sound(2, 60).tobytes())
    heard = analyse(str(tmp_path / "sound.wav"), code="test", tasks_wanted=["loudness", "audio-qc"], profiles=["ebu-r128"])
    assert [v.outcome for v in heard.verdicts] == ["pass"]
