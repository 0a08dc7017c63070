"""Deterministic identities: the same input has the same id wherever and however often it is made."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Bytes = bytes | memoryview | NDArray[np.uint8]
"""Anything that holds a message's value without a copy."""


def view(data: Bytes) -> memoryview:
    """The bytes of a value as a memoryview (numpy's type stubs know no ``Buffer`` before Python 3.12)."""
    return memoryview(cast(Any, data))


def digest(data: Bytes) -> str:
    """BLAKE2b-128 of some bytes, as 32 hexadecimal digits: the identity of a chunk's or a cell's value."""
    return hashlib.blake2b(view(data), digest_size=16).hexdigest()


def identity(*parts: object) -> str:
    """A 32-digit id of an ordered list of parts; parts are told apart, so ("ab", "c") differs from ("a", "bc")."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        text = str(part).encode()
        hasher.update(len(text).to_bytes(8, "big"))
        hasher.update(text)
    return hasher.hexdigest()


def asset_id(uri: str, version: str) -> str:
    """The id of one version of one object."""
    return identity("asset", uri, version)


def finding_id(asset: str, stream: str, code: str, start: int, *, opinion: str | None = None) -> str:
    """The id of a finding: the same in reactions and in the final event. ``opinion`` names the task that has a second one."""
    return "f" + identity("finding", asset, stream, code, start, *([] if opinion is None else [opinion]))
