"""Fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tools

pytest_plugins = ["tests.kafka"]


@pytest.fixture(scope="session")
def media_dir() -> Path:
    """The shared clips; skips where they are absent."""
    if not tools.MEDIA.is_dir():
        pytest.skip(f"no shared clips at {tools.MEDIA}")
    return tools.MEDIA
