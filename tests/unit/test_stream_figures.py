"""What is known of a sound stream without listening to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from processors.analyse import analyse
from tests.sound import TONE_RATE, tone_file


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float | None, str]]:
    path: Path = tone_file(tmp_path_factory.mktemp("tone") / "tone.wav", 2)
    event = analyse(str(path), code="t", tasks_wanted=["audio-qc"], profiles=["audiobook-acx"])
    [verdict] = event.verdicts
    found = {rule.rule: (rule.measured, rule.outcome) for rule in verdict.rules}
    return found | {m.id: (m.value, m.unit) for m in event.measurements if m.by == "p0"}


def test_they_are_measurements(figures: dict[str, tuple[float | None, str]]) -> None:
    assert figures["audio.sample_rate"] == (TONE_RATE, "Hz")
    assert figures["audio.channels"] == (1, "count")
    assert figures["audio.duration"] == (2, "s")
    assert figures["audio.bit_rate"] == (16 * TONE_RATE, "bit/s")


def test_profiles_set_limits_on_them(figures: dict[str, tuple[float | None, str]]) -> None:
    assert figures["sample-rate"] == (TONE_RATE, "fail")
    assert figures["duration"] == (2, "pass")
    assert figures["bit-rate"] == (16 * TONE_RATE, "pass")
    assert figures["head"] == (0, "fail")
