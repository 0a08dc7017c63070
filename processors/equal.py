"""Whether two final events say the same of an asset: the pipeline's against whole-file analysis, or two runs'."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from schemas.events import ContentMetadata

ARITHMETIC = 1e-9
"""Relative (and, near zero, absolute) tolerance of figures that arithmetic gives."""

NETWORK = 1e-4
"""Absolute tolerance of figures that a network gives."""

_PER_RUN = {"seconds", "runtime", "params"}


def differences(ours: ContentMetadata, reference: ContentMetadata) -> list[str]:
    """What differs, in words; empty where the two agree.

    Run, plan and chunk counts may differ, and times that the analysis took. Findings, shots, coverage of every stream,
    clocks, technical metadata and verdicts must be identical; measurements (those among technical metadata too) agree
    within 1e-9, confidences within 1e-4.
    """
    return [
        *_compare("status", ours.run.status, reference.run.status, 0.0),
        *_compare("coverage", _coverage(ours), _coverage(reference), 0.0),
        *_compare("clocks", _plain(ours.clocks), _plain(reference.clocks), 0.0),
        *_compare("technical", _plain(ours.technical), _plain(reference.technical), ARITHMETIC),
        *_compare("measurements", _plain(ours.measurements), _plain(reference.measurements), ARITHMETIC),
        *_compare("findings", _plain(ours.findings), _plain(reference.findings), ARITHMETIC),
        *_compare("tracks", _plain(ours.tracks), _plain(reference.tracks), NETWORK),
        *_compare("verdicts", _plain(ours.verdicts), _plain(reference.verdicts), ARITHMETIC),
    ]


def _coverage(event: ContentMetadata) -> Any:
    body = event.coverage.model_dump(mode="json")
    body.pop("chunks")
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _compare(path: str, ours: Any, reference: Any, tolerance: float) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(reference, dict):
        for key in sorted(ours.keys() | reference.keys()):
            if key not in _PER_RUN:
                yield from _compare(f"{path}.{key}", ours.get(key), reference.get(key), tolerance)
    elif isinstance(ours, list) and isinstance(reference, list):
        if len(ours) != len(reference):
            yield f"{path}: {len(ours)} items, not {len(reference)}"
        for i, (a, b) in enumerate(zip(ours, reference, strict=False)):
            yield from _compare(f"{path}[{i}]", a, b, tolerance)
    elif isinstance(ours, float) and isinstance(reference, float):
        if not math.isclose(ours, reference, rel_tol=tolerance, abs_tol=tolerance):
            yield f"{path}: {ours!r}, not {reference!r}"
    elif ours != reference:
        yield f"{path}: {ours!r}, not {reference!r}"
