"""Fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import tools

pytest_plugins = ["tests.kafka"]

# A busy machine makes slow inputs, which says nothing about the code.
settings.register_profile("dailies", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dailies")


@pytest.fixture(scope="session")
def media_dir() -> Path:
    """The shared clips; skips where they are absent."""
    if not tools.MEDIA.is_dir():
        pytest.skip(f"no shared clips at {tools.MEDIA}")
    return tools.MEDIA
