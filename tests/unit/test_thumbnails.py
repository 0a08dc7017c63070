"""Pictures of moments: the right ones, upright, in square pixels, and never at the command's expense."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from processors.source import SourcePolicy, open_container, open_source, to_uri
from processors.thumbnails import Moments, display_size, pictures
from schemas.events import ContentMetadata
from streams.looks.thumbnails import MOST_SHOTS, take
from streams.settings import Settings
from tests.analysed import RATE, SCENES, clip_event, with_shots
from tests.decoding import picture, render
from tests.looks import finding, made


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> ContentMetadata:
    return clip_event(tmp_path_factory.mktemp("pictures"))


def decode(jpeg: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def taken(path: Path, spans: Iterable[tuple[int, int]], **changes: Any) -> dict[int, np.ndarray]:
    uri = to_uri(str(path))
    with open_source(uri, SourcePolicy()) as source, open_container(source) as container:
        moments = Moments(uri, source.version, container.streams.video[0].index, tuple(spans), **changes)
        return {n: decode(jpeg) for n, jpeg in pictures(container, moments)}


def test_each_shot_and_finding_has_its_picture(event: ContentMetadata) -> None:
    found = take(event, Settings())
    assert found.notes == () and sorted(found.shots) == [1, 2, 3, 4]
    for number, (_, _, colour) in enumerate(SCENES, start=1):
        image = decode(found.shots[number])
        assert image.shape == (90, 160, 3)
        assert np.abs(image.mean(axis=(0, 1)) - colour).max() < 6
    seen = {f.id: f for f in event.findings if f.stream == "v0"}
    assert set(found.findings) == set(seen)
    (black,) = [f for f in seen.values() if f.code == "video.black"]
    assert decode(found.findings[black.id]).max() < 8


@pytest.mark.parametrize("options", [{"g": "250"}, {"g": "12", "bf": "3"}])
@pytest.mark.parametrize("suffix", ["mov", "mkv", "ts"])
def test_the_picture_is_from_the_span_wherever_key_frames_are(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    path = render(tmp_path / f"clip.{suffix}", frames=80, size=(160, 90), options={"preset": "ultrafast", **options})
    with open_source(to_uri(str(path)), SourcePolicy()) as source, open_container(source) as container:
        stream = container.streams.video[0]
        frame_ticks = round(1 / (RATE * stream.time_base))
        first = stream.start_time
    spans = [(0, 30), (30, 31), (31, 80), (79, 80), (200, 210)]
    found = taken(path, [(first + a * frame_ticks, first + b * frame_ticks) for a, b in spans], frame_ticks=frame_ticks)
    assert sorted(found) == [0, 1, 2, 3]  # past the end there is nothing
    for n, image in found.items():
        distance = [np.abs(image.astype(int) - picture(k, 160, 90)).mean() for k in range(80)]
        low, high = spans[n]
        assert low + (high - low) // 4 <= int(np.argmin(distance)) < high


def test_turned_and_stretched_for_display(tmp_path: Path) -> None:
    path = render(tmp_path / "clip.mov", frames=3, size=(160, 80))
    plain = taken(path, [(0, 512)])[0]
    turned = taken(path, [(0, 512)], rotation=90)[0]
    assert plain.shape == (80, 160, 3) and turned.shape == (160, 80, 3)
    assert np.abs(np.rot90(plain, -1).astype(int) - turned).mean() < 4  # clockwise
    assert taken(path, [(0, 512)], aspect=(2, 1))[0].shape == (40, 160, 3)


def test_sizes_for_display() -> None:
    assert display_size(1920, 1080, (1, 1)) == (160, 90)
    assert display_size(720, 576, (64, 45)) == (160, 90)
    assert display_size(1080, 1920, (1, 1)) == (90, 160)
    assert display_size(16, 16, (1_000_000, 1)) == (160, 10)


def test_a_source_that_changed_or_is_gone_or_refused(event: ContentMetadata, tmp_path: Path) -> None:
    def notes(settings: Settings | None = None, **changes: Any) -> tuple[str, ...]:
        found = take(event.model_copy(update={"asset": event.asset.model_copy(update=changes)}), settings or Settings())
        assert not found.shots and not found.findings
        return found.notes

    assert "has changed since it was analysed" in notes(version="other")[0]
    assert "cannot be opened" in notes(uri=(tmp_path / "gone.mov").as_uri())[0]
    assert "not under an allowed root" in notes(Settings(roots=(str(tmp_path),)))[0]
    text = tmp_path / "text.mov"
    text.write_text("no media")
    facts = text.stat()
    assert "not media" in notes(uri=text.as_uri(), version=f"{facts.st_size}-{facts.st_mtime_ns}")[0]


def test_of_many_shots_some_have_pictures(event: ContentMetadata) -> None:
    found = take(with_shots(event, range(0, 226, 3)), Settings())
    assert len(found.shots) == MOST_SHOTS and {1, 75} <= set(found.shots)
    assert found.notes == (f"There are pictures of {MOST_SHOTS} of the 75 shots, spread evenly.",)


def die_after_one(request: dict[str, Any], send: Callable[[dict[str, Any], bytes], None]) -> None:
    """A handler that sends a picture and then dies as a decoder does on a hostile file."""
    send({"n": 0}, b"jpeg")
    os.abort()


def test_a_decoder_that_dies_costs_its_pictures_only(event: ContentMetadata) -> None:
    found = take(event, Settings(), handler=f"{__name__}:die_after_one")
    assert found.shots == {1: b"jpeg"}
    assert "pictures are missing: decoding them failed" in found.notes[0] and "SIGABRT" in found.notes[0]


def test_without_pictures_to_take_nothing_is_opened() -> None:
    assert take(made(), Settings()).notes == ()
    sound_only = made(findings=[finding("f", 0, 9, stream="a0")])
    assert take(sound_only, Settings()).notes == ()
