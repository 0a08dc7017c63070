"""Which versions go together: of tasks, of plans and of events. One rule for all of them, semantic versioning's."""

from __future__ import annotations

from schemas.errors import WireError

TASK_VERSION = "task_version"
"""The reason of what was not analysed since the plan and the workers have different major versions of a task."""

STATE_VERSION = "state_version"
"""The reason of a run whose kept state another version of the aggregator wrote."""


def compatible(one: str, other: str) -> bool:
    """Whether two versions have the same major one. Before 1.0.0 a new minor version may break as well."""
    return _major(one) == _major(other)


def _major(version: str) -> tuple[str, ...]:
    parts = version.split(".")
    return tuple(parts[:2]) if parts[0] == "0" else (parts[0],)


def order(version: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts versions: numbers by value, before words."""
    return tuple((int(part), "") if part.isascii() and part.isdigit() else (1 << 62, part) for part in version.split("."))


def known(version: str, ours: str, what: str) -> str:
    """The version, if this code reads it: an unknown minor one is read without what is new in it.

    Raises ``ValueError`` for another major version, since the same fields may mean something else there.
    """
    if not compatible(version, ours):
        raise ValueError(f"{what} version {version} is not one that this version of Dailies reads ({ours})")
    return version


def expect_type(found: bytes | None, wanted: str) -> None:
    """Raises ``WireError`` if an event says that it is of another type, or of another major version of it.

    ``found`` is the header ``ce_type``; an event without one is taken for what its topic promises.
    """
    if found is not None and found.decode(errors="replace") != wanted:
        raise WireError(f"an event of type {found.decode(errors='replace')!r}; this version of Dailies reads {wanted!r} here")
