"""Fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from processors.sample import Truth, render, truth_path
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


@pytest.fixture(scope="session")
def programme(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Path, Truth]:
    """The rendered sample with its truth, made once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    path = (base if worker_id == "master" else base.parent) / "programme.mov"
    with FileLock(path.with_suffix(".lock")):
        if not truth_path(path).exists():  # written last
            heard: list[float] = []
            render(path, heard.append)
            assert heard == sorted(heard)
            assert heard[-1] == 1.0
    return path, Truth.read(truth_path(path))
