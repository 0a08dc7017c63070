"""An object store in memory, as s3fs gives its answers, with faults on demand; it counts what it is asked."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from fsspec.asyn import get_loop

from processors.s3 import S3Source

errors = pytest.importorskip("botocore.exceptions", reason="s3fs is not installed")


@dataclass
class Version:
    """One state of an object."""

    data: bytes
    etag: str
    version_id: str | None


class Body:
    """A body that is read once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aenter__(self) -> Body:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self) -> bytes:
        return self._data


@dataclass
class Store:
    """One bucket, ``in``. ``faults`` are raised by the next requests, one each."""

    versioned: bool = False
    objects: dict[str, list[Version]] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    retries: int = 5

    @property
    def loop(self) -> Any:
        return get_loop()

    def put(self, key: str, data: bytes, *, etag: str | None = None) -> None:
        """A new version of an object; the old one stays where the bucket has versions."""
        kept = self.objects.get(key, []) if self.versioned else []
        number = f"v{len(kept) + 1}" if self.versioned else None
        self.objects[key] = [*kept, Version(data, etag or f'"{hashlib.md5(data).hexdigest()}"', number)]

    def open(self, uri: str) -> S3Source:
        return S3Source(uri, self)

    async def _call_s3(self, method: str, **asked: Any) -> dict[str, Any]:
        self.asked[method] += 1
        if self.faults:
            raise self.faults.pop(0)
        found = self._found(method, asked)
        facts = {"ETag": found.etag, "VersionId": found.version_id, "LastModified": datetime(2026, 1, 1, tzinfo=UTC)}
        if method == "head_object":
            return facts | {"ContentLength": len(found.data)}
        if asked.get("IfMatch") not in (None, found.etag):
            raise refusal(412, "PreconditionFailed")
        start, end = map(int, asked["Range"].removeprefix("bytes=").split("-"))
        return facts | {"Body": Body(found.data[start : end + 1])}

    def _found(self, method: str, asked: dict[str, Any]) -> Version:
        assert asked["Bucket"] == "in"
        versions = self.objects.get(asked["Key"], [])
        wanted = asked.get("VersionId")
        matching = [v for v in versions if wanted in (None, v.version_id)]
        if not matching:
            raise refusal(404, "404" if method == "head_object" else "NoSuchKey")
        return matching[-1]


def refusal(status: int, code: str) -> Exception:
    """What a store's refusal is in the client."""
    answer = {"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    made: Exception = errors.ClientError(answer, "GetObject")
    return made


def absent() -> Iterator[Exception]:
    """What a client meets where a store does not answer."""
    yield errors.EndpointConnectionError(endpoint_url="http://store")
    yield errors.ReadTimeoutError(endpoint_url="http://store")
    yield errors.HTTPClientError(error=OSError("reset"))
    yield ConnectionResetError("reset")
    yield refusal(503, "SlowDown")
    yield refusal(500, "InternalError")
