"""Fifty assets at once, mixed and shuffled: each as if it were alone."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from processors.analyse import analyse
from processors.equal import differences
from tests.stack import QUICK, Stack, options

pytestmark = [pytest.mark.kafka, pytest.mark.media, pytest.mark.long, pytest.mark.timeout(1800)]

ASSETS = 50
FOLDERS = ("video", "audio", "hdr", "flashing")
SUFFIXES = {".mp4", ".mkv", ".wav", ".flac", ".eac3"}


def test_fifty_assets_at_once(tmp_path: Path, media_dir: Path) -> None:
    clips = sorted(path for folder in FOLDERS for path in (media_dir / folder).iterdir() if path.suffix in SUFFIXES)
    rng = random.Random(50)
    chosen = [clips[number % len(clips)] for number in range(ASSETS)]
    copies = [Path(shutil.copy(clip, tmp_path / f"{number:02d}-{clip.name}")) for number, clip in enumerate(chosen)]
    rng.shuffle(copies)
    with Stack(tmp_path / "stack") as stack:
        done = stack.dailies("ingest", *map(str, copies), "--wait", "--json", *options(QUICK), timeout=1200)
    events = stack.events(done.stdout)
    assert len(events) == ASSETS, done.stderr.decode()[-2000:]
    by_uri = {event.asset.uri: event for event in events}
    assert set(by_uri) == {copy.as_uri() for copy in copies}
    for copy in copies:
        alone = analyse(str(copy), code="test", tasks_wanted=QUICK, device="cpu")
        together = by_uri[copy.as_uri()]
        assert together.run.status == alone.run.status, copy.name
        assert differences(together, alone) == [], copy.name
