"""The sample: a one-minute programme with known faults, rendered here so that anyone can see what is found in it."""

from __future__ import annotations

from processors.sample.compare import Row, compare
from processors.sample.render import render
from processors.sample.truth import Truth, truth_path

__all__ = ["Row", "Truth", "compare", "render", "truth_path"]
